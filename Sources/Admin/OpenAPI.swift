import HTTP

extension AdminResource {
    /// `/openapi.json`: what the admin listener answers, in OpenAPI 3.1. Everybody may read it.
    package static var description: AdminResource {
        AdminResource(.path("/openapi.json"), methods: [.get]) { _, response in
            try await response.respond(
                AdminAnswer(mediaType: "application/json", body: Array(openAPIDocument.utf8)))
        }
    }
}

/// The one description of this room's resources. Tests hold it against the resources, either way.
let openAPIDocument = #"""
    {
      "openapi": "3.1.0",
      "info": {
        "title": "Oncegate's admin listener",
        "version": "1",
        "description": "Idempotency keys for callers that are not behind the gateway, for \#
    backends with stages of their own, and for operators. HEAD goes wherever GET goes. A method \#
    that a resource lacks gets 405 with Allow, a path that there is not 404; all problems are \#
    application/problem+json (RFC 9457)."
      },
      "paths": {
        "/healthz": {
          "get": {
            "operationId": "health",
            "summary": "Whether the event loop answers",
            "security": [],
            "responses": {
              "200": {"description": "It does.", "content": {"text/plain": {"schema": {"type": \#
    "string"}}}}
            }
          }
        },
        "/readyz": {
          "get": {
            "operationId": "readiness",
            "summary": "Whether the gateway can do its work",
            "security": [],
            "responses": {
              "200": {
                "description": "It can.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Readiness"}}}
              },
              "503": {
                "description": "It cannot: not_ready says why.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Readiness"}}}
              }
            }
          }
        },
        "/metrics": {
          "get": {
            "operationId": "metrics",
            "summary": "Everything that is counted, for Prometheus",
            "security": [],
            "responses": {
              "200": {
                "description": "The text format.",
                "content": {"text/plain": {"schema": {"type": "string"}}}
              }
            }
          }
        },
        "/openapi.json": {
          "get": {
            "operationId": "description",
            "summary": "This document",
            "security": [],
            "responses": {
              "200": {
                "description": "OpenAPI 3.1.",
                "content": {"application/json": {"schema": {"type": "object"}}}
              }
            }
          }
        },
        "/v1/keys": {
          "get": {
            "operationId": "list",
            "summary": "Records, the newest first",
            "security": [{"adminToken": []}],
            "parameters": [
              {
                "name": "state",
                "in": "query",
                "schema": {"type": "string", "enum": ["locked", "free", "unknown", "finished", \#
    "expired"]}
              },
              {
                "name": "route",
                "in": "query",
                "description": "The name of a route.",
                "schema": {"type": "string"}
              },
              {
                "name": "key",
                "in": "query",
                "description": "The key itself, in every scope.",
                "schema": {"type": "string"}
              },
              {
                "name": "before",
                "in": "query",
                "description": "An id: older ones follow.",
                "schema": {"type": "string"}
              },
              {
                "name": "after",
                "in": "query",
                "description": "An id: newer ones follow, the oldest first.",
                "schema": {"type": "string"}
              },
              {
                "name": "limit",
                "in": "query",
                "description": "At most so many.",
                "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
              }
            ],
            "responses": {
              "200": {
                "description": "A page.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/RecordList"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          },
          "post": {
            "operationId": "create",
            "summary": "Make a record, locked for the caller",
            "security": [{"adminToken": []}],
            "requestBody": {
              "required": true,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewKey"}}}
            },
            "responses": {
              "201": {
                "description": "The record with its lock_token.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/LockedRecord"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "409": {"$ref": "#/components/responses/Exists"},
              "413": {"$ref": "#/components/responses/BodyTooLarge"},
              "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          }
        },
        "/v1/keys/initialize": {
          "post": {
            "operationId": "initializeRequest",
            "summary": "Make a record, or take up what is there",
            "security": [{"adminToken": []}],
            "requestBody": {
              "required": true,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewKey"}}}
            },
            "responses": {
              "200": {
                "description": "It was there: finished, with its answer, or taken up at its \#
    recovery_point, then with a lock_token.",
                "content": {
                  "application/json": {
                    "schema": {
                      "oneOf": [
                        {"$ref": "#/components/schemas/Record"},
                        {"$ref": "#/components/schemas/LockedRecord"}
                      ]
                    }
                  }
                }
              },
              "201": {
                "description": "The record with its lock_token.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/LockedRecord"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "409": {"$ref": "#/components/responses/NotFree"},
              "410": {"$ref": "#/components/responses/Expired"},
              "413": {"$ref": "#/components/responses/BodyTooLarge"},
              "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
              "422": {"$ref": "#/components/responses/Reused"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          }
        },
        "/v1/keys/{id}": {
          "parameters": [{"$ref": "#/components/parameters/id"}],
          "get": {
            "operationId": "retrieve",
            "summary": "One record",
            "security": [{"adminToken": []}, {"stageToken": []}],
            "responses": {
              "200": {
                "description": "The record.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Record"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "404": {"$ref": "#/components/responses/NotFound"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          },
          "patch": {
            "operationId": "update",
            "summary": "Note a recovery point, an outcome, or a sign of life",
            "description": "Renews the lease. finished takes the answer that is stored for good; \#
    unknown says that nobody knows; a stage's name, with or without its answer, records a stage; \#
    nothing at all is a sign of life.",
            "security": [{"adminToken": [], "stageToken": []}, {"stageToken": []}],
            "requestBody": {
              "required": false,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Step"}}}
            },
            "responses": {
              "200": {
                "description": "The record.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Record"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "404": {"$ref": "#/components/responses/NotFound"},
              "409": {"$ref": "#/components/responses/Stale"},
              "413": {"$ref": "#/components/responses/BodyTooLarge"},
              "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          }
        },
        "/v1/keys/{id}/lock": {
          "parameters": [{"$ref": "#/components/parameters/id"}],
          "post": {
            "operationId": "lock",
            "summary": "Take up a record that nobody works on",
            "security": [{"adminToken": []}],
            "requestBody": {
              "required": false,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Lock"}}}
            },
            "responses": {
              "200": {
                "description": "The record with its new lock_token; older tokens are stale.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/LockedRecord"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "404": {"$ref": "#/components/responses/NotFound"},
              "409": {"$ref": "#/components/responses/Locked"},
              "413": {"$ref": "#/components/responses/BodyTooLarge"},
              "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          }
        },
        "/v1/keys/{id}/stages": {
          "parameters": [{"$ref": "#/components/parameters/id"}],
          "post": {
            "operationId": "workStage",
            "summary": "Record a stage that is done",
            "description": "A stage's name records that it is done, and renews the lease; the \#
    stage that was recorded last can be sent again. finished, or no recovery_point, takes the \#
    answer that is stored for good.",
            "security": [{"adminToken": [], "stageToken": []}, {"stageToken": []}],
            "requestBody": {
              "required": false,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Step"}}}
            },
            "responses": {
              "200": {
                "description": "The record.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Record"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "404": {"$ref": "#/components/responses/NotFound"},
              "409": {"$ref": "#/components/responses/Stale"},
              "413": {"$ref": "#/components/responses/BodyTooLarge"},
              "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          }
        },
        "/v1/keys/{id}/release": {
          "parameters": [{"$ref": "#/components/parameters/id"}],
          "post": {
            "operationId": "release",
            "summary": "Free a record: the next request executes, or goes on",
            "security": [{"adminToken": []}],
            "requestBody": {
              "required": false,
              "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Release"}}}
            },
            "responses": {
              "200": {
                "description": "The record.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Record"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "404": {"$ref": "#/components/responses/NotFound"},
              "409": {"$ref": "#/components/responses/Unsettled"},
              "413": {"$ref": "#/components/responses/BodyTooLarge"},
              "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          }
        },
        "/v1/keys/{id}/complete": {
          "parameters": [{"$ref": "#/components/parameters/id"}],
          "post": {
            "operationId": "complete",
            "summary": "Settle a record that nobody works on",
            "security": [{"adminToken": []}],
            "requestBody": {
              "required": true,
              "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Completion"}}}
            },
            "responses": {
              "200": {
                "description": "The record.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Record"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "404": {"$ref": "#/components/responses/NotFound"},
              "409": {"$ref": "#/components/responses/Unsettled"},
              "413": {"$ref": "#/components/responses/BodyTooLarge"},
              "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          }
        },
        "/v1/keys/{id}/erase": {
          "parameters": [{"$ref": "#/components/parameters/id"}],
          "post": {
            "operationId": "erase",
            "summary": "Drop an answer's body and fields, keep the verdict",
            "security": [{"adminToken": []}],
            "requestBody": {
              "required": false,
              "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Erasure"}}}
            },
            "responses": {
              "200": {
                "description": "The record.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Record"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "404": {"$ref": "#/components/responses/NotFound"},
              "409": {"$ref": "#/components/responses/Unsettled"},
              "413": {"$ref": "#/components/responses/BodyTooLarge"},
              "415": {"$ref": "#/components/responses/UnsupportedMediaType"},
              "503": {"$ref": "#/components/responses/StoreUnavailable"}
            }
          }
        },
        "/v1/backup": {
          "post": {
            "operationId": "backup",
            "summary": "Copy the store to a new file on the gateway's machine",
            "security": [{"adminToken": []}],
            "requestBody": {
              "required": true,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Backup"}}}
            },
            "responses": {
              "201": {
                "description": "The copy is there.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Backup"}}}
              },
              "400": {"$ref": "#/components/responses/BadRequest"},
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "503": {"$ref": "#/components/responses/BackupFailed"}
            }
          }
        },
        "/v1/reload": {
          "post": {
            "operationId": "reload",
            "summary": "Read the configuration's file anew and use it",
            "security": [{"adminToken": []}],
            "responses": {
              "200": {
                "description": "It is in use, from the next request on.",
                "content": {"application/json": {"schema": {"$ref": \#
    "#/components/schemas/Reload"}}}
              },
              "401": {"$ref": "#/components/responses/Unauthorized"},
              "403": {"$ref": "#/components/responses/Forbidden"},
              "409": {"$ref": "#/components/responses/Draining"},
              "422": {"$ref": "#/components/responses/ReloadRefused"}
            }
          }
        }
      },
      "components": {
        "securitySchemes": {
          "adminToken": {"type": "http", "scheme": "bearer", "description": "admin.token of \#
    gateway.json."},
          "stageToken": {
            "type": "apiKey",
            "in": "header",
            "name": "Idempotency-Stage-Token",
            "description": "The lock_token of one record: a backend gets it with its request. \#
    Alone it opens that record, to be looked at, updated and advanced."
          }
        },
        "parameters": {
          "id": {
            "name": "id",
            "in": "path",
            "required": true,
            "description": "The record's id.",
            "schema": {"type": "string"}
          }
        },
        "responses": {
          "BadRequest": {
            "description": "bad-request: mistakes lists what is wrong with the body.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Unauthorized": {
            "description": "unauthorized: the token is missing or wrong, or is not that of the \#
    record any more.",
            "headers": {"WWW-Authenticate": {"schema": {"type": "string"}}},
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Forbidden": {
            "description": "forbidden: no admin token is configured.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "NotFound": {
            "description": "not-found: there is no record of that id.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "BodyTooLarge": {
            "description": "body-too-large",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "UnsupportedMediaType": {
            "description": "unsupported-media-type: the body is JSON.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "StoreUnavailable": {
            "description": "store-unavailable: the change may or may not have been made.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Exists": {
            "description": "key-exists: id names the record.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "NotFree": {
            "description": "in-flight: somebody is at work on it; Retry-After says until when at \#
    most. outcome-unknown: nobody knows what became of it.",
            "headers": {"Retry-After": {"schema": {"type": "integer"}}},
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Expired": {
            "description": "key-expired: the answer is no longer kept.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Reused": {
            "description": "key-reused: the key belongs to another request; differs says in \#
    what.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Locked": {
            "description": "in-flight: a live lock is held. key-finished: there is an answer. \#
    Nothing was changed.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Stale": {
            "description": "token-stale: the lock is somebody else's. key-finished: there is an \#
    answer. Nothing was changed; stop the work.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Unsettled": {
            "description": "in-flight, key-finished, or conflict: nothing was changed.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "BackupFailed": {
            "description": "backup-failed",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "Draining": {
            "description": "draining: the gateway is about to end; nothing was read.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          },
          "ReloadRefused": {
            "description": "reload-refused: nothing was changed; mistakes lists all that is wrong \#
    with the file, or that needs a restart.",
            "content": {"application/problem+json": {"schema": {"$ref": \#
    "#/components/schemas/Problem"}}}
          }
        },
        "schemas": {
          "Record": {
            "type": "object",
            "additionalProperties": false,
            "required": [
              "id",
              "created_at",
              "idempotency_key",
              "request_method",
              "request_path",
              "request_params",
              "route",
              "recovery_point",
              "resumable",
              "pending_stage",
              "stages",
              "locked_at",
              "response_code",
              "response_headers",
              "response_body",
              "scope",
              "fingerprint",
              "owner",
              "lease_until",
              "attempts",
              "updated_at",
              "expires_at"
            ],
            "properties": {
              "id": {"type": "string", "pattern": "^ikey_[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$"},
              "created_at": {"type": "string", "format": "date-time"},
              "idempotency_key": {"type": "string"},
              "request_method": {"type": "string"},
              "request_path": {"type": "string", "description": "Empty once the record has \#
    expired."},
              "request_params": {"type": "object"},
              "route": {"type": "string", "description": "The gateway's route; empty for keys \#
    made here."},
              "recovery_point": {"type": "string", "description": "started, a stage's name, \#
    finished or unknown."},
              "resumable": {
                "type": "boolean",
                "description": "Whether work that stopped goes on at recovery_point."
              },
              "pending_stage": {"type": ["string", "null"], "description": "The stage whose call \#
    may be on its way."},
              "stages": {"type": "array", "items": {"$ref": "#/components/schemas/StageRecord"}},
              "locked_at": {"type": ["string", "null"], "format": "date-time"},
              "response_code": {"type": ["integer", "null"]},
              "response_headers": {
                "type": ["array", "null"],
                "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, \#
    "maxItems": 2}
              },
              "response_body": {
                "description": "JSON as it is, other text as a string, other bytes as \#
    {\"base64\": \"…\"}; null where there is none."
              },
              "scope": {"type": "string", "description": "A hash of who asks."},
              "fingerprint": {"type": "string", "description": "Digests of the request."},
              "owner": {"type": "string"},
              "lease_until": {"type": ["string", "null"], "format": "date-time"},
              "attempts": {"type": "integer"},
              "updated_at": {"type": "string", "format": "date-time"},
              "expires_at": {"type": ["string", "null"], "format": "date-time"}
            },
            "description": "One key's state."
          },
          "LockedRecord": {
            "type": "object",
            "additionalProperties": false,
            "required": [
              "id",
              "created_at",
              "idempotency_key",
              "request_method",
              "request_path",
              "request_params",
              "route",
              "recovery_point",
              "resumable",
              "pending_stage",
              "stages",
              "locked_at",
              "response_code",
              "response_headers",
              "response_body",
              "scope",
              "fingerprint",
              "owner",
              "lock_token",
              "lease_until",
              "attempts",
              "updated_at",
              "expires_at"
            ],
            "properties": {
              "id": {"type": "string", "pattern": "^ikey_[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$"},
              "created_at": {"type": "string", "format": "date-time"},
              "idempotency_key": {"type": "string"},
              "request_method": {"type": "string"},
              "request_path": {"type": "string", "description": "Empty once the record has \#
    expired."},
              "request_params": {"type": "object"},
              "route": {"type": "string", "description": "The gateway's route; empty for keys \#
    made here."},
              "recovery_point": {"type": "string", "description": "started, a stage's name, \#
    finished or unknown."},
              "resumable": {
                "type": "boolean",
                "description": "Whether work that stopped goes on at recovery_point."
              },
              "pending_stage": {"type": ["string", "null"], "description": "The stage whose call \#
    may be on its way."},
              "stages": {"type": "array", "items": {"$ref": "#/components/schemas/StageRecord"}},
              "locked_at": {"type": ["string", "null"], "format": "date-time"},
              "response_code": {"type": ["integer", "null"]},
              "response_headers": {
                "type": ["array", "null"],
                "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, \#
    "maxItems": 2}
              },
              "response_body": {
                "description": "JSON as it is, other text as a string, other bytes as \#
    {\"base64\": \"…\"}; null where there is none."
              },
              "scope": {"type": "string", "description": "A hash of who asks."},
              "fingerprint": {"type": "string", "description": "Digests of the request."},
              "owner": {"type": "string"},
              "lock_token": {
                "type": "string",
                "pattern": "^[0-9a-f]{32}$",
                "description": "Proves the lock: Idempotency-Stage-Token of the calls that \#
    follow. Shown here alone."
              },
              "lease_until": {"type": ["string", "null"], "format": "date-time"},
              "attempts": {"type": "integer"},
              "updated_at": {"type": "string", "format": "date-time"},
              "expires_at": {"type": ["string", "null"], "format": "date-time"}
            },
            "description": "A record that is locked for the caller."
          },
          "StageRecord": {
            "type": "object",
            "additionalProperties": false,
            "required": ["recovery_point", "response_code", "reached_at"],
            "properties": {
              "recovery_point": {"type": "string"},
              "response_code": {"type": ["integer", "null"]},
              "reached_at": {"type": "string", "format": "date-time"}
            },
            "description": "A stage that is done, in the order in which they were."
          },
          "RecordList": {
            "type": "object",
            "additionalProperties": false,
            "required": ["keys", "next"],
            "properties": {
              "keys": {"type": "array", "items": {"$ref": "#/components/schemas/Record"}},
              "next": {
                "type": ["string", "null"],
                "description": "Pass it as before (or as after, if that was given) for more; \#
    null at the end. A page may be short, even empty, and not be the last."
              }
            }
          },
          "Reload": {
            "type": "object",
            "additionalProperties": false,
            "required": ["generation", "config", "changes"],
            "properties": {
              "generation": {"type": "integer", "description": "Counts configurations since the \#
    start."},
              "config": {
                "type": "string",
                "pattern": "^[0-9a-f]{16}$",
                "description": "The first digits of the SHA-256 of what oncegate check prints."
              },
              "changes": {
                "type": "array",
                "items": {
                  "type": "object",
                  "additionalProperties": false,
                  "required": ["path", "change"],
                  "properties": {
                    "path": {"type": "string"},
                    "change": {"type": "string", "enum": ["added", "changed", "removed"]}
                  }
                }
              }
            }
          },
          "NewKey": {
            "type": "object",
            "additionalProperties": false,
            "required": ["request_method", "request_path"],
            "properties": {
              "request_method": {"type": "string"},
              "request_path": {"type": "string", "pattern": "^/", "description": "Without query; \#
    visible ASCII."},
              "request_params": {
                "type": ["object", "null"],
                "description": "What the work is about. Compared with that of the record, \#
    whitespace and order of members aside."
              },
              "idempotency_key": {
                "type": ["string", "null"],
                "minLength": 1,
                "maxLength": 255,
                "description": "Visible ASCII. A UUID is made where none is given."
              },
              "scope": {
                "type": ["string", "null"],
                "description": "Who asks. Keys of different scopes have nothing to do with each \#
    other, nor with the gateway's."
              },
              "lease": {
                "type": ["string", "null"],
                "pattern": "^[0-9]{1,12}(ms|s|m|h|d)$",
                "description": "How long the lock holds without a sign of life, from 1s to 24h; \#
    30s, or as the route says."
              }
            }
          },
          "Lock": {
            "type": "object",
            "additionalProperties": false,
            "required": [],
            "properties": {
              "lease": {
                "type": ["string", "null"],
                "pattern": "^[0-9]{1,12}(ms|s|m|h|d)$",
                "description": "How long the lock holds without a sign of life, from 1s to 24h; \#
    30s, or as the route says."
              }
            }
          },
          "Step": {
            "type": "object",
            "additionalProperties": false,
            "required": [],
            "properties": {
              "recovery_point": {"type": ["string", "null"], "pattern": \#
    "^[A-Za-z0-9_.:-]{1,64}$"},
              "response_code": {"type": ["integer", "null"], "minimum": 200, "maximum": 599},
              "response_headers": {
                "type": ["array", "null"],
                "description": "Pairs of a field's name and its value, in order. Fields of the \#
    connection, of framing and of keys are refused.",
                "items": {
                  "type": "array",
                  "prefixItems": [{"type": "string"}, {"type": "string"}],
                  "minItems": 2,
                  "maxItems": 2
                }
              },
              "response_body": {
                "description": "A JSON value as it is (Content-Type: application/json, unless \#
    one is given), a string as its text, or {\"base64\": \"…\"} for bytes."
              },
              "lease": {
                "type": ["string", "null"],
                "pattern": "^[0-9]{1,12}(ms|s|m|h|d)$",
                "description": "How long the lock holds without a sign of life, from 1s to 24h; \#
    30s, or as the route says."
              },
              "retention": {
                "type": ["string", "null"],
                "pattern": "^[0-9]{1,12}(ms|s|m|h|d)$",
                "description": "How long the answer is kept, from 1s to 3650d; 24h, or as the \#
    route says."
              }
            }
          },
          "Release": {
            "type": "object",
            "additionalProperties": false,
            "required": [],
            "properties": {
              "force": {"type": ["boolean", "null"], "description": "Whether a live lock is \#
    broken."}
            }
          },
          "Completion": {
            "type": "object",
            "additionalProperties": false,
            "required": ["response_code"],
            "properties": {
              "response_code": {"type": "integer", "minimum": 200, "maximum": 599},
              "response_headers": {
                "type": ["array", "null"],
                "description": "Pairs of a field's name and its value, in order. Fields of the \#
    connection, of framing and of keys are refused.",
                "items": {
                  "type": "array",
                  "prefixItems": [{"type": "string"}, {"type": "string"}],
                  "minItems": 2,
                  "maxItems": 2
                }
              },
              "response_body": {
                "description": "A JSON value as it is (Content-Type: application/json, unless \#
    one is given), a string as its text, or {\"base64\": \"…\"} for bytes."
              },
              "retention": {
                "type": ["string", "null"],
                "pattern": "^[0-9]{1,12}(ms|s|m|h|d)$",
                "description": "How long the answer is kept, from 1s to 3650d; 24h, or as the \#
    route says."
              }
            }
          },
          "Erasure": {"type": "object", "additionalProperties": false, "required": [], \#
    "properties": {}},
          "Backup": {
            "type": "object",
            "additionalProperties": false,
            "required": ["path"],
            "properties": {"path": {"type": "string", "pattern": "^/"}}
          },
          "Readiness": {
            "type": "object",
            "additionalProperties": false,
            "required": ["ready", "not_ready"],
            "properties": {
              "ready": {"type": "boolean"},
              "not_ready": {"type": "array", "items": {"type": "string"}}
            }
          },
          "Problem": {
            "type": "object",
            "additionalProperties": false,
            "required": ["type", "title", "status", "detail"],
            "properties": {
              "type": {"type": "string", "pattern": "^urn:oncegate:"},
              "title": {"type": "string"},
              "status": {"type": "integer"},
              "detail": {"type": "string", "description": "What to do."},
              "id": {"type": "string", "pattern": "^ikey_[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26}$"},
              "recovery_point": {"type": "string"},
              "differs": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The members in which the request differs from the record's."
              },
              "mistakes": {
                "type": "array",
                "items": {
                  "type": "object",
                  "additionalProperties": false,
                  "required": ["path", "message"],
                  "properties": {
                    "path": {"type": "string"},
                    "message": {"type": "string"},
                    "line": {"type": "integer"},
                    "column": {"type": "integer"}
                  }
                }
              }
            },
            "description": "RFC 9457."
          }
        }
      }
    }

    """#

/// What each room may import beside the standard library.
let importsByRoom: [String: Set<String>] = [
    "Idempotency": ["Glibc"],
    "HTTP": [],
    "JSON": [],
    "Telemetry": ["JSON", "Glibc"],
    "Compression": ["CCompression"],
    "Crypto": ["CCrypto"],
    "Transport": ["Crypto", "Telemetry", "Glibc", "CTransport"],
    "IdempotencySQLite": ["Idempotency", "CIdempotencySQLite"],
    "IdempotencyPostgres": ["Idempotency", "CIdempotencyPostgres"],
    "IdempotencyRedis": ["Idempotency", "CIdempotencyRedis"],
    "Gateway": ["Idempotency", "HTTP", "JSON", "Compression", "Crypto", "Telemetry"],
    "HTTPServer": ["HTTP", "Transport", "Telemetry"],
    "CurlUpstream": ["HTTP", "Transport", "Telemetry", "CCurlUpstream"],
    "Admin": ["Idempotency", "HTTP", "JSON", "Telemetry"],
    "GatewayCommand": [
        "Idempotency", "HTTP", "JSON", "Telemetry", "Compression", "Crypto", "Transport",
        "IdempotencySQLite", "IdempotencyPostgres", "IdempotencyRedis", "Gateway", "HTTPServer",
        "CurlUpstream", "Admin",
        "Glibc",
    ],
]

/// The C rooms, each with the one room that imports it.
let cRooms: [String: String] = [
    "CCompression": "Compression", "CCrypto": "Crypto", "CTransport": "Transport",
    "CCurlUpstream": "CurlUpstream",
    "CIdempotencySQLite": "IdempotencySQLite", "CIdempotencyPostgres": "IdempotencyPostgres",
    "CIdempotencyRedis": "IdempotencyRedis",
]

/// Modules that come with the language.
let standardLibrary: Set<String> = ["Swift", "Synchronization", "_Concurrency", "RegexBuilder"]

/// Rooms that other packages may use, so that their interfaces are public.
let offeredRooms: Set<String> = [
    "Idempotency", "IdempotencySQLite", "IdempotencyPostgres", "IdempotencyRedis",
]

import Gateway
import HTTP

extension Configuration {
    /// In which fields proxies tell for whom they speak.
    enum Forwarded: String, CaseIterable {
        case xForwarded = "x-forwarded"
        case rfc7239, both, none
    }

    /// What becomes of `traceparent`.
    enum Trace: String, CaseIterable { case pass, make }

    /// How requests get their ids.
    struct RequestID: Section {
        /// Whose ids are passed on.
        enum Acceptance: String, CaseIterable { case trusted, all, none }

        var header = FieldName.xRequestID
        var accept = Acceptance.trusted

        static var members: [Member<RequestID>] {
            [
                Member("header", \.header, .requestIDField),
                Member("accept", \.accept, .word()),
            ]
        }
    }

    /// Which scripts of other origins may read the problems that the gateway makes.
    struct CORS: Section {
        /// Nil for all.
        var origins: [String]?
        var credentials = false

        static var members: [Member<CORS>] {
            [
                .required("origins", \.origins, .or("*", .list(.origin, count: 1...100))),
                Member("credentials", \.credentials, .flag),
            ]
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            guard origins == nil, credentials, let place = cursor.member("credentials"),
                !reading.isFlawed(cursor.missing("origins").path)
            else { return }
            reading.tell(
                "expected false with \"*\", which browsers take without it alone", at: place)
        }
    }

    /// Ids and forwarded keys are told in fields of their own. A key may come in the field of ids: it
    /// stays behind, and what leaves in its place is the id.
    func checkRequestID(_ cursor: Cursor, _ reading: inout Reading) {
        guard let requestID else { return }
        for (route, place) in zip(routes, cursor.member("routes")?.elements ?? []) {
            guard let keys = route.idempotency, let place = place.member("idempotency") else {
                continue
            }
            if keys.header == requestID.header, keys.forwardKey == .yes {
                reading.tell(
                    "expected another field: request_id has \(requestID.header)",
                    at: place.member("forward_key") ?? place)
            }
            if case .renamed(requestID.header) = keys.forwardKey {
                reading.tell(
                    "expected another field: request_id has \(requestID.header)",
                    at: place.member("forward_key") ?? place)
            }
        }
        for (route, place) in zip(routes, cursor.member("routes")?.elements ?? []) {
            for (rules, name) in [
                (route.requestFields, "request_fields"), (route.responseFields, "response_fields"),
            ] {
                guard let place = place.member(name) else { continue }
                rules.tell(
                    requestID.header, "request_id says what becomes of it", at: place, &reading)
            }
        }
    }
}

extension Notation<FieldName> {
    /// The name of the field that carries requests' ids.
    fileprivate static var requestIDField: Notation {
        let expected = "a field name such as \"X-Request-Id\""
        return .text(
            expected,
            parse: { text throws(Invalid) in
                let name = FieldName(text)
                guard name.isToken else { throw Invalid("expected \(expected)") }
                if let reason = name.reasonAgainstRules {
                    throw Invalid("expected another field: \(reason)")
                }
                guard !name.holdsCredentials else {
                    throw Invalid("expected a field without credentials: ids are shown")
                }
                guard name.id == .other || name.id == .xRequestID else {
                    throw Invalid("expected another field: \(name) has a meaning of its own")
                }
                return name
            },
            print: \.description)
    }
}

extension Notation<String> {
    /// An origin as browsers write it.
    fileprivate static var origin: Notation {
        let expected = "an origin such as \"https://shop.example\""
        return .text(
            expected,
            parse: { text throws(Invalid) in
                guard let mark = text.firstRange(of: "://"), mark.lowerBound > text.startIndex,
                    mark.upperBound < text.endIndex,
                    text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
                    !text[mark.upperBound...].contains(where: { "/?#@,*".contains($0) }),
                    text == text.lowercased()
                else { throw Invalid("expected \(expected), in lower case, without a path") }
                return text
            },
            print: \.self)
    }
}

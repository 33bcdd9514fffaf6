import HTTP
import Idempotency
import JSON

extension RequestDocument {
    /// The answer to be stored: `response_code`, `response_headers`, `response_body`; nil without a
    /// code, which then is to be the only one of them that is not there.
    mutating func reply(isRequired: Bool) -> StoredReply? {
        let code = value("response_code")
        let headers = value("response_headers")
        let content = value("response_body")
        guard let code else {
            if isRequired || headers != nil || content != nil {
                tell("response_code", "is missing; expected a number from 200 to 599")
            }
            return nil
        }
        let status = code.integer.flatMap { 200...599 ~= $0 ? UInt16($0) : nil }
        if status == nil { tell("response_code", "expected a number from 200 to 599") }
        var fields = headers.map { self.fields($0) } ?? Fields()
        let body = content.map { self.body($0) } ?? (bytes: [], mediaType: nil)
        if let type = body.mediaType, !fields.contains(.contentType) {
            fields.append(.contentType, type)
        }
        var section: [UInt8] = []
        fields.appendFieldSection(to: &section)
        if section.count > 65_536 { tell("response_headers", "expected at most 65536 bytes") }
        return status.map {
            StoredReply(responseCode: $0, responseHeaders: section, responseBody: body.bytes)
        }
    }

    private mutating func fields(_ list: JSONValue) -> Fields {
        var fields = Fields()
        guard let elements = list.elements else {
            tell("response_headers", "expected a list of pairs such as [[\"Location\", \"/1\"]]")
            return fields
        }
        for (index, pair) in elements.enumerated() {
            let path = "response_headers[\(index)]"
            guard let sides = pair.elements, sides.count == 2, let name = sides[0].string,
                let text = sides[1].string, FieldName(name).isToken,
                text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
            else {
                tell(path, "expected a field's name and its value, such as [\"Location\", \"/1\"]")
                continue
            }
            guard !FieldName(name).isOfGateway else {
                tell(path + "[0]", "the gateway writes \(name) itself")
                continue
            }
            fields.append(FieldName(name), text)
        }
        return fields
    }

    /// Text as it is, `{"base64": …}` decoded, any other JSON as its text.
    private mutating func body(_ body: JSONValue) -> (bytes: [UInt8], mediaType: String?) {
        if let text = body.string { return (Array(text.utf8), nil) }
        if let members = body.members, members.count == 1, members[0].name == "base64" {
            guard let text = members[0].value.string, let bytes = Base64.decode(text) else {
                tell("response_body.base64", "expected padded base64 (RFC 4648 section 4)")
                return ([], nil)
            }
            return (bytes, nil)
        }
        return (text("response_body", of: body), "application/json")
    }
}

extension FieldName {
    /// Whether a field belongs to one connection, says where a message ends, or is what the
    /// gateway says of keys.
    fileprivate var isOfGateway: Bool {
        switch id {
        case .connection, .contentLength, .keepAlive, .proxyConnection, .te, .trailer,
            .transferEncoding, .upgrade, .idempotencyKey, .idempotencyStatus, .idempotencyExpires,
            .idempotentReplayed, .idempotencyRecordID, .idempotencyRecoveryPoint,
            .idempotencyStageToken:
            true
        default: false
        }
    }
}

extension JSONWriter {
    /// Writes a parsed value again, its numbers as they were written.
    package mutating func value(_ parsed: JSONValue) {
        switch parsed.kind {
        case .null: null()
        case .bool(let flag): value(flag)
        case .number(let text): value(json: Array(text.utf8)[...])
        case .string(let text): value(text)
        case .array(let elements):
            beginArray()
            for element in elements { value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                name(member.name)
                value(member.value)
            }
            endObject()
        }
    }
}

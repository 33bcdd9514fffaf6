import JSON

/// As much of JSON Schema 2020-12 as `/openapi.json` uses. A keyword that nobody checks is a
/// mistake too.
struct SchemaChecker {
    let document: JSONValue

    /// What `$ref` names, or the value itself.
    func resolved(_ value: JSONValue) -> JSONValue {
        guard let reference = value["$ref"]?.string else { return value }
        return reference.dropFirst(2).split(separator: "/").reduce(document) { found, name in
            found[String(name)] ?? JSONValue(.null)
        }
    }

    /// What is wrong with a value, with its places.
    func mistakes(_ value: JSONValue, _ schema: JSONValue, at path: String = "$") -> [String] {
        let schema = resolved(schema)
        guard let keywords = schema.members, !keywords.isEmpty else {
            return ["\(path): there is no schema"]
        }
        return keywords.flatMap { keyword in
            check(value, keyword.name, keyword.value, of: schema, path)
        }
    }

    private func check(
        _ value: JSONValue, _ keyword: String, _ argument: JSONValue, of schema: JSONValue,
        _ path: String
    ) -> [String] {
        func expect(_ isMet: Bool?) -> [String] {
            isMet ?? true ? [] : ["\(path): \(keyword) is not met"]
        }
        switch keyword {
        case "description", "format", "default": return []
        case "type":
            let types = argument.elements?.map(\.string) ?? [argument.string]
            return expect(types.contains { $0.map { isOfType(value, $0) } ?? false })
        case "enum": return expect(argument.elements?.contains { $0.string == value.string })
        case "pattern":
            guard let pattern = argument.string, let regex = try? Regex(pattern) else {
                return ["\(path): a bad pattern"]
            }
            return expect(value.string.map { $0.firstMatch(of: regex) != nil })
        case "minLength": return expect(value.string.map { $0.count >= argument.integer! })
        case "maxLength": return expect(value.string.map { $0.count <= argument.integer! })
        case "minimum": return expect(value.integer.map { $0 >= argument.integer! })
        case "maximum": return expect(value.integer.map { $0 <= argument.integer! })
        case "minItems": return expect(value.elements.map { $0.count >= argument.integer! })
        case "maxItems": return expect(value.elements.map { $0.count <= argument.integer! })
        case "items":
            return (value.elements ?? []).enumerated().flatMap {
                mistakes($1, argument, at: "\(path)[\($0)]")
            }
        case "prefixItems":
            return zip(value.elements ?? [], argument.elements ?? []).flatMap {
                mistakes($0, $1, at: path)
            }
        case "required":
            guard value.members != nil else { return [] }
            return (argument.elements ?? []).compactMap(\.string).filter { value[$0] == nil }
                .map { "\(path).\($0): is missing" }
        case "properties":
            return (value.members ?? []).flatMap { member in
                argument[member.name].map {
                    mistakes(member.value, $0, at: "\(path).\(member.name)")
                } ?? []
            }
        case "additionalProperties":
            guard argument.bool == false else { return ["\(path): only false is checked"] }
            return (value.members ?? []).filter { schema["properties"]?[$0.name] == nil }
                .map { "\(path).\($0.name): is not described" }
        case "oneOf":
            let matches = argument.elements?.filter { mistakes(value, $0).isEmpty } ?? []
            return expect(matches.count == 1)
        default: return ["\(path): nobody checks \(keyword)"]
        }
    }

    private func isOfType(_ value: JSONValue, _ type: String) -> Bool {
        switch type {
        case "null": value.isNull
        case "string": value.string != nil
        case "boolean": value.bool != nil
        case "integer": value.integer != nil
        case "array": value.elements != nil
        case "object": value.members != nil
        default: false
        }
    }
}

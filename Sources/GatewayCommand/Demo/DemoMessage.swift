/// A request or a response with a known length.
struct DemoMessage {
    /// The request line or the status line.
    let startLine: String
    /// Names in lower case.
    private let fields: [String: String]
    /// `Content-Length`; 0 without one.
    let length: Int
    var body: [UInt8] = []

    /// Reads a head, its empty line included; nil when it is none, or of another framing.
    init?(head: ArraySlice<UInt8>) {
        var lines = String(decoding: head, as: UTF8.self)
            .split(separator: "\r\n", omittingEmptySubsequences: true)[...]
        guard let startLine = lines.popFirst() else { return nil }
        var fields: [String: String] = [:]
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            guard
                fields.updateValue(String(value), forKey: line[..<colon].lowercased()) == nil
                    || !Self.isFraming(line[..<colon].lowercased())
            else { return nil }
        }
        guard fields["transfer-encoding"] == nil else { return nil }
        let length = fields["content-length"].map { Int($0) } ?? 0
        guard let length, (0...65536).contains(length) else { return nil }
        self.startLine = String(startLine)
        self.fields = fields
        self.length = length
    }

    /// The value of the last line of a name in lower case.
    subscript(_ name: String) -> String? { fields[name] }

    /// The status of a response.
    var status: Int? {
        guard startLine.hasPrefix("HTTP/1.1 ") else { return nil }
        return Int(startLine.dropFirst(9).prefix(3))
    }

    /// How many bytes the head has; nil while its end has not come.
    static func endOfHead(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 3..<bytes.count where bytes[index] == 10 {
            if bytes[index - 1] == 13, bytes[index - 2] == 10, bytes[index - 3] == 13 {
                return index + 1
            }
        }
        return nil
    }

    private static func isFraming(_ name: String) -> Bool {
        name == "content-length" || name == "transfer-encoding"
    }
}

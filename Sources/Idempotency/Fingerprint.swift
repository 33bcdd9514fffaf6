/// Digests of a request's parts, in one byte string, so that equality is one comparison.
///
/// It tells a repeated request from another one under the same key without keeping either.
/// Parts count in the order in which they are appended; a caller always appends them in the same.
public struct Fingerprint: Sendable {
    /// What a digest was taken of.
    public enum Part: Sendable, Hashable {
        /// A part that every request has, by its name.
        case method, path, query, mediaType, body
        /// A header field by its name, of which the first 255 bytes count.
        case field(String)

        /// The contract's name, as it stands in `differs`.
        public var name: String {
            switch self {
            case .method: "method"
            case .path: "path"
            case .query: "query"
            case .mediaType: "media_type"
            case .body: "body"
            case .field(let name): "field:" + name
            }
        }
    }

    /// For each part its kind, for a field the name's length and the name, and 16 digest bytes.
    public private(set) var encoded: [UInt8]

    /// No parts.
    public init() {
        encoded = []
        encoded.reserveCapacity(5 * 17)
    }

    /// A fingerprint as ``encoded`` gave it; nil for bytes that are none.
    public init?(encoded: [UInt8]) {
        self.encoded = encoded
        var position = 0
        while position < encoded.count {
            guard let next = element(at: position)?.next else { return nil }
            position = next
        }
    }

    /// Adds a part's digest: the first 16 bytes of a strong hash, the first byte on top.
    public mutating func append(_ part: Part, _ digest: (UInt64, UInt64)) {
        encoded.append(part.code)
        if case .field(let name) = part {
            let bytes = name.utf8.prefix(255)
            encoded.append(UInt8(bytes.count))
            encoded.append(contentsOf: bytes)
        }
        append(digest.0)
        append(digest.1)
    }

    /// The names of the parts that differ or that only one of the two has, in order.
    public func differences(from other: Fingerprint) -> [String] {
        let mine = elements
        let others = other.elements
        var names: [String] = []
        for element in mine where !others.contains(element) { names.append(element.part.name) }
        for element in others where !mine.contains(where: { $0.part == element.part }) {
            names.append(element.part.name)
        }
        return names
    }

    private mutating func append(_ word: UInt64) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            encoded.append(UInt8(truncatingIfNeeded: word >> shift))
        }
    }
}

extension Fingerprint: Hashable {
    /// Whether both hold the same bytes.
    public static func == (a: Fingerprint, b: Fingerprint) -> Bool {
        areEqual(a.encoded, b.encoded)
    }
}

extension Fingerprint {
    private struct Element: Equatable {
        let part: Part
        let digest: ArraySlice<UInt8>
    }

    private var elements: [Element] {
        var elements: [Element] = []
        var position = 0
        while let (element, next) = element(at: position) {
            elements.append(element)
            position = next
        }
        return elements
    }

    /// The part that begins at `position`, and where the next one does.
    private func element(at position: Int) -> (element: Element, next: Int)? {
        guard position < encoded.count else { return nil }
        var start = position + 1
        var name = ""
        if encoded[position] == Part.fieldCode {
            guard start < encoded.count else { return nil }
            let end = start + 1 + Int(encoded[start])
            guard end <= encoded.count else { return nil }
            name = String(decoding: encoded[(start + 1)..<end], as: UTF8.self)
            start = end
        }
        guard let part = Part(code: encoded[position], name: name) else { return nil }
        guard start + 16 <= encoded.count else { return nil }
        return (Element(part: part, digest: encoded[start..<(start + 16)]), start + 16)
    }
}

extension Fingerprint.Part {
    fileprivate static let fieldCode: UInt8 = 6

    fileprivate var code: UInt8 {
        switch self {
        case .method: 1
        case .path: 2
        case .query: 3
        case .mediaType: 4
        case .body: 5
        case .field: Self.fieldCode
        }
    }

    fileprivate init?(code: UInt8, name: String) {
        switch code {
        case 1: self = .method
        case 2: self = .path
        case 3: self = .query
        case 4: self = .mediaType
        case 5: self = .body
        case Self.fieldCode: self = .field(name)
        default: return nil
        }
    }
}

/// How far the work under a key has come.
public enum RecoveryPoint: Sendable, Hashable {
    /// Claimed, nothing known to be done yet.
    case started
    /// A stage of several, by its name, is done.
    case stage(String)
    /// Concluded: there is an answer.
    case finished
    /// Something was sent, and nobody knows what came of it.
    case unknown

    /// The point that a text names. Every text that is none of the fixed names is a stage's.
    public init(_ text: String) {
        switch text {
        case "started": self = .started
        case "finished": self = .finished
        case "unknown": self = .unknown
        default: self = .stage(text)
        }
    }

    /// A stage's own point; nil for a name that no stage can have: those of the fixed points, and
    /// any but 1 to 64 of the characters `A-Z a-z 0-9 _ . : -`.
    public init?(stage name: String) {
        guard case .stage = RecoveryPoint(name), 1...64 ~= name.utf8.count,
            name.utf8.allSatisfy({ $0.isStageCharacter })
        else { return nil }
        self = .stage(name)
    }
}

extension RecoveryPoint: CustomStringConvertible {
    /// The contract's name: `started`, the stage's name, `finished`, `unknown`.
    public var description: String {
        switch self {
        case .started: "started"
        case .stage(let name): name
        case .finished: "finished"
        case .unknown: "unknown"
        }
    }
}

extension UInt8 {
    fileprivate var isStageCharacter: Bool {
        switch self {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "-"): true
        default: false
        }
    }
}

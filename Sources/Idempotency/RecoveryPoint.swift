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

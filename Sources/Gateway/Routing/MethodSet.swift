package import HTTP

/// A set of request methods.
package struct MethodSet: Sendable {
    private var known: UInt16 = 0
    private var others: [Method] = []

    /// The methods of a list.
    package init(_ methods: [Method]) {
        for method in methods {
            if let bit = Self.bit(method) { known |= bit } else { others.append(method) }
        }
    }

    /// Whether a method is in the set.
    package func contains(_ method: Method) -> Bool {
        if let bit = Self.bit(method) { known & bit != 0 } else { others.contains(method) }
    }

    private static func bit(_ method: Method) -> UInt16? {
        switch method {
        case .get: 1
        case .head: 2
        case .post: 4
        case .put: 8
        case .patch: 16
        case .delete: 32
        case .options: 64
        case .trace: 128
        case .connect: 256
        case .other: nil
        }
    }
}

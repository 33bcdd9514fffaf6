import HTTP
import JSON

/// What came of reading the configuration anew.
package enum ReloadOutcome: Sendable {
    /// Something that the new configuration says otherwise than the one before.
    package struct Change: Sendable, Hashable {
        /// How they differ.
        package enum Kind: String, Sendable { case added, changed, removed }

        /// As in `upstreams.api.url` or `routes["orders"].methods`; never a value.
        package let path: String
        package let kind: Kind

        /// A change from its parts.
        package init(_ path: String, _ kind: Kind) {
            self.path = path
            self.kind = kind
        }
    }

    /// Why the new configuration is not used.
    package struct Mistake: Sendable, Hashable, CustomStringConvertible {
        /// Empty for the whole file.
        package let path: String
        /// What is wrong and what would be right; never the value of a secret.
        package let message: String
        /// Where it stands, counted from 1; nil where the file says nothing of it.
        package let line: Int?
        package let column: Int?

        /// As compilers write it: `12:9: routes[0].path: …`.
        package var description: String {
            let place = line.flatMap { line in column.map { "\(line):\($0)" } }
            return [place, path.isEmpty ? nil : path, message].compactMap(\.self)
                .joined(separator: ": ")
        }

        /// A mistake from its parts.
        package init(_ path: String, _ message: String, line: Int? = nil, column: Int? = nil) {
            self.path = path
            self.message = message
            self.line = line
            self.column = column
        }
    }

    /// It is in use. `generation` counts configurations since the start, from 1; `hash` names the
    /// configuration, its secrets aside.
    case applied(generation: Int, hash: String, changes: [Change])
    /// Nothing was changed.
    case refused(file: String, [Mistake])
    /// Nothing was read: the process is about to end.
    case draining
}

extension AdminResource {
    /// `POST /v1/reload`: reads the configuration anew, and answers when it is in use, or when it
    /// is refused as a whole.
    ///
    /// - Parameter reload: Reads and applies it; calls at the same time may share one reading.
    package static func reload(
        _ access: AdminAccess, _ reload: @escaping @Sendable () async -> ReloadOutcome
    ) -> AdminResource {
        AdminResource(.path("/v1/reload"), methods: [.post]) { request, response in
            if let refusal = access.refusal(of: request.head) {
                return try await response.respond(refusal)
            }
            try await response.respond(answer(await reload()))
        }
    }

    private static func answer(_ outcome: ReloadOutcome) -> AdminAnswer {
        switch outcome {
        case .applied(let generation, let hash, let changes):
            return AdminAnswer { json in
                json.member("generation", generation)
                json.member("config", hash)
                json.list("changes", changes) { json, change in
                    json.beginObject()
                    json.member("path", change.path)
                    json.member("change", change.kind.rawValue)
                    json.endObject()
                }
            }
        case .refused(let file, let mistakes):
            var problem = AdminProblem(
                "reload-refused", status: 422, title: "Reload refused",
                detail: "Nothing was changed. Correct \(file) and reload again.")
            problem.mistakes = mistakes
            return AdminAnswer(problem)
        case .draining:
            return AdminAnswer(
                AdminProblem(
                    "draining", status: 409, title: "Draining",
                    detail: "The gateway is about to end. Its successor reads the new file."))
        }
    }
}

package import HTTP

/// Answers on the admin listener: finds the resource, checks the method, lets it answer.
///
/// Whatever finds no resource gets 404, a method that the resource lacks 405 with `Allow`, both as
/// problem documents. HEAD goes wherever GET goes; the server leaves the body out.
package final class AdminHandler: Handler {
    private let resources: [AdminResource]

    /// A handler for these resources; the first one whose place matches answers.
    package init(_ resources: [AdminResource]) {
        self.resources = resources
    }

    package func respond(to request: Request, through response: any ResponseWriter) async throws {
        let path = request.head.path
        guard let resource = resources.first(where: { $0.place.contains(path) }) else {
            return try await response.respond(AdminAnswer(.notFound))
        }
        guard resource.allows(request.head.method) else {
            return try await response.respond(
                AdminAnswer(.methodNotAllowed, allow: resource.methods))
        }
        try await resource.answer(request, response)
    }
}

/// Something that the admin listener answers for.
package struct AdminResource {
    /// Which paths are the resource's own.
    package enum Place: Sendable {
        /// This path.
        case path(String)
        /// This path and everything below it.
        case tree(String)

        func contains(_ path: ArraySlice<UInt8>) -> Bool {
            switch self {
            case .path(let own): return path.elementsEqual(own.utf8)
            case .tree(let own):
                let rest = path.dropFirst(own.utf8.count)
                return path.starts(with: own.utf8) && (rest.first ?? slash) == slash
            }
        }
    }

    let place: Place
    /// The methods that are let through; empty lets all through.
    let methods: [Method]
    let answer: (Request, any ResponseWriter) async throws -> Void

    /// A resource that answers these methods. Without any it gets all of them and refuses by itself.
    package init(
        _ place: Place, methods: [Method] = [],
        answer: @escaping (Request, any ResponseWriter) async throws -> Void
    ) {
        self.place = place
        self.methods = methods.contains(.get) ? methods + [.head] : methods
        self.answer = answer
    }

    /// Whether the resource is asked with this method.
    func allows(_ method: Method) -> Bool {
        methods.isEmpty || methods.contains(method)
    }
}

private let slash = UInt8(ascii: "/")

import HTTP
package import Idempotency
import JSON

extension AdminResource {
    /// `POST /v1/backup` with `{"path": "…"}`: copies the store to a new file on the gateway's
    /// machine, and answers when it is there.
    ///
    /// - Parameter copy: Makes the copy while the store is used; why it failed, if it did.
    package static func backup(
        _ access: AdminAccess,
        copy: @escaping @Sendable (_ path: String) async -> StoreError?
    ) -> AdminResource {
        AdminResource(.path("/v1/backup"), methods: [.post]) { request, response in
            if let refusal = access.refusal(of: request.head) {
                return try await response.respond(refusal)
            }
            guard let path = try await path(in: request.body) else {
                return try await response.respond(AdminAnswer(.noPath))
            }
            if let failure = await copy(path) {
                return try await response.respond(AdminAnswer(.failed(failure)))
            }
            try await response.respond(AdminAnswer(201) { $0.member("path", path) })
        }
    }

    /// The path in a body of at most 64 KiB; nil if there is none.
    private static func path(in body: any RequestBody) async throws -> String? {
        var bytes: [UInt8] = []
        while let chunk = try await body.read() {
            bytes += chunk
            guard bytes.count <= 65_536 else { return nil }
        }
        guard
            let path = try? JSON.parse(bytes[...], depth: 4)["path"]?.string,
            path.hasPrefix("/"), !path.utf8.contains(0)
        else { return nil }
        return path
    }
}

extension AdminProblem {
    fileprivate static let noPath = AdminProblem(
        "bad-request", status: 400, title: "Bad request",
        detail: "Send {\"path\": \"/absolute/path/of/a/new/file\"}.")

    fileprivate static func failed(_ error: StoreError) -> AdminProblem {
        AdminProblem(
            "backup-failed", status: 503, title: "The backup failed", detail: error.detail)
    }
}

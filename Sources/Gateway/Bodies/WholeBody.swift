import HTTP

/// Why a body was not read whole.
enum BodyFailure: Error {
    case tooLarge(limit: Int)
    case broken(DownstreamError)
    /// There is no room for it.
    case spool(BodySpoolError)

    /// What the client is told; nil when nobody is left to be told.
    var problem: Problem? {
        switch self {
        case .tooLarge(let limit): .bodyTooLarge(limit: limit)
        case .broken(let error): .brokenBody(error, executed: .no)
        case .spool: .spoolUnavailable
        }
    }

    /// What ended the connection.
    var downstream: DownstreamError {
        if case .broken(let error) = self { error } else { .closed }
    }
}

extension KeyedRequestHandler {
    /// Reads a request's body, within the route's limit. One that comes in one chunk is not copied;
    /// a long one goes to the spool, where there is one.
    func readBody(
        of request: Request, _ account: RequestAccount
    ) async throws(BodyFailure) -> KeyedBody {
        let limit = route.bodyLimit ?? .max
        switch request.head.framing {
        case .none: return .memory([])
        case .length(let length) where length > UInt64(limit): throw .tooLarge(limit: limit)
        case .length, .chunked, .untilClose: break
        }
        var held: ArraySlice<UInt8> = []
        var spooled: SpooledContent?
        while let chunk = try await nextChunk(of: request, account, limit) {
            if let spooled {
                try spool(chunk, to: spooled)
            } else if held.isEmpty, chunk.count <= KeyedBody.heldInMemory {
                held = chunk
            } else if held.count + chunk.count <= KeyedBody.heldInMemory || services.spool == nil {
                held += chunk
            } else {
                let content = try openSpool(for: request)
                if !held.isEmpty { try spool(held, to: content) }
                try spool(chunk, to: content)
                (held, spooled) = ([], content)
            }
        }
        return spooled.map { .spooled($0) } ?? .memory(held)
    }

    private func nextChunk(
        of request: Request, _ account: RequestAccount, _ limit: Int
    ) async throws(BodyFailure) -> ArraySlice<UInt8>? {
        let chunk: ArraySlice<UInt8>?
        do throws(DownstreamError) {
            chunk = try await request.body.read()
        } catch {
            throw .broken(error)
        }
        account.bytesIn += chunk?.count ?? 0
        guard account.bytesIn <= limit else { throw .tooLarge(limit: limit) }
        return chunk
    }

    private func openSpool(for request: Request) throws(BodyFailure) -> SpooledContent {
        let boundary = services.identities.boundary(rules.fingerprint, request.head.fields)
        do throws(BodySpoolError) {
            guard let spool = services.spool else { throw BodySpoolError("there is no spool") }
            return SpooledContent(try spool.open(), boundary: boundary)
        } catch {
            throw .spool(error)
        }
    }

    private func spool(
        _ chunk: ArraySlice<UInt8>, to content: SpooledContent
    ) throws(BodyFailure) {
        do throws(BodySpoolError) {
            try content.append(chunk)
        } catch {
            throw .spool(error)
        }
    }
}

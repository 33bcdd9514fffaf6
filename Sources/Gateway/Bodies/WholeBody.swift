import HTTP

extension KeyedRequestHandler {
    /// Why a body was not read whole.
    enum BodyFailure: Error {
        case tooLarge(limit: Int)
        case broken(DownstreamError)

        /// What the client is told; nil when nobody is left to be told.
        var problem: Problem? {
            switch self {
            case .tooLarge(let limit): .bodyTooLarge(limit: limit)
            case .broken(let error): .brokenBody(error, executed: .no)
            }
        }

        /// What ended the connection.
        var downstream: DownstreamError {
            if case .broken(let error) = self { error } else { .closed }
        }
    }

    /// Reads a request's body, within the route's limit. One that comes in one chunk is not copied.
    func readBody(
        of request: Request, _ account: RequestAccount
    ) async throws(BodyFailure) -> ArraySlice<UInt8> {
        let limit = route.bodyLimit ?? .max
        switch request.head.framing {
        case .none: return []
        case .length(let length) where length > UInt64(limit): throw .tooLarge(limit: limit)
        case .length, .chunked, .untilClose: break
        }
        var whole: ArraySlice<UInt8> = []
        do throws(DownstreamError) {
            while let chunk = try await request.body.read() {
                account.bytesIn += chunk.count
                guard account.bytesIn <= limit else { break }
                if whole.isEmpty { whole = chunk } else { whole += chunk }
            }
        } catch {
            throw .broken(error)
        }
        guard account.bytesIn <= limit else { throw .tooLarge(limit: limit) }
        return whole
    }
}

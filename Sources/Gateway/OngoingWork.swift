/// Work that must come to a durable conclusion before the process ends.
protocol Concluding: AnyObject {
    /// Cuts the work short; it concludes with what is known by then.
    func cancel()
}

/// The work of one event loop that has no conclusion yet, so that the end of the process can wait
/// for it.
@safe final class OngoingWork {
    /// Whether the process is about to end: nothing may be claimed any more.
    private(set) var isOver = false
    private var works: [ObjectIdentifier: any Concluding] = [:]
    private var claims = 0
    private var isPastGrace = false
    private var idle: UnsafeContinuation<Void, Never>?

    /// Adds work; such that begins when everything is over is cut short at once.
    func begin(_ work: any Concluding) {
        works[ObjectIdentifier(work)] = work
        if isOver { work.cancel() }
    }

    /// Takes work out that is concluded.
    func end(_ work: any Concluding) {
        works[ObjectIdentifier(work)] = nil
        resumeIfIdle()
    }

    /// Waits for a claim as for work: it may be about to become some.
    func claiming<Result, Failure: Error>(
        _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        claims += 1
        defer {
            claims -= 1
            resumeIfIdle()
        }
        return try await body()
    }

    /// Waits until all is concluded. What is not by `limit` is cut short, and waited for no longer
    /// than `grace`.
    ///
    /// - Returns: how much was cut short.
    func drain(
        within limit: Duration, grace: Duration, _ timers: any Timers,
        cutting others: @escaping () -> Void
    ) async -> Int {
        var cut = 0
        let end = timers.after(limit) { [self] in
            isOver = true
            cut = works.count
            others()
            for work in Array(works.values) { work.cancel() }
        }
        let last = timers.after(limit + grace) { [self] in
            isPastGrace = true
            resume()
        }
        // A claim that ends may become work before this task has its turn.
        while !isIdle, !isPastGrace {
            await unsafe withUnsafeContinuation { continuation in
                // Getting here may take a turn of the loop, in which the last may end.
                guard !isIdle, !isPastGrace else { return unsafe continuation.resume() }
                unsafe idle = unsafe continuation
            }
        }
        isOver = true
        end.cancel()
        last.cancel()
        return cut
    }

    private var isIdle: Bool { works.isEmpty && claims == 0 }

    private func resumeIfIdle() {
        if isIdle { resume() }
    }

    private func resume() {
        guard let continuation = unsafe idle else { return }
        unsafe idle = nil
        unsafe continuation.resume()
    }
}

package import Idempotency
import JSON
import Telemetry

/// Goes on with suspended work whose clients are gone. One for each event loop; one of them looks
/// for such work.
package final class Completer {
    private let routes: [String: StagedRoute]
    private let services: LoopServices
    private let progress: Progress
    private var hasEnded = false

    /// How far the completers of a loop are, one after the other: what one has under way counts for
    /// its successor, so that the limits hold over all.
    private final class Progress {
        var underWay: Set<KeyID> = []
        var last: KeyID?
        var waits: [KeyID: Wait] = [:]
    }

    /// When a record is tried again that could not be ended.
    private struct Wait {
        var pause: Duration
        /// On the loop's clock, in nanoseconds.
        var until: UInt64
    }

    /// Records that are gone on with at a time.
    static let concurrency = 16
    /// Records that are fetched at a time, each with its request and its answers.
    static let page = 8
    /// Records that one round looks at.
    static let round = 256
    /// Bytes after which a round looks no further: a record comes with its request and answers.
    static let roundBytes = 16 << 20
    /// Records whose pauses are remembered.
    static let remembered = 10_000

    /// - Parameter predecessor: Whose place it takes; that one takes nothing up any more.
    init(
        _ routes: [String: StagedRoute], _ services: LoopServices,
        succeeding predecessor: Completer? = nil
    ) {
        self.routes = routes
        self.services = services
        progress = predecessor?.progress ?? Progress()
        predecessor?.end()
    }

    /// The records that are gone on with now.
    var underWay: Set<KeyID> { progress.underWay }

    /// Looks at the next suspended records and goes on with those whose time has come. To be called
    /// about once a second, on one loop; it does not wait for their ends.
    ///
    /// - Throws: When the store failed.
    package func round() async throws(StoreError) {
        guard !routes.isEmpty else { return }
        var bytes = 0
        for _ in 0..<(Self.round / Self.page) {
            guard underWay.count < Self.concurrency, !hasEnded, bytes < Self.roundBytes else {
                return
            }
            let page = try await services.keys.suspended(after: progress.last, limit: Self.page)
            for key in page {
                guard underWay.count < Self.concurrency else { return }
                progress.last = key.id
                bytes += key.bytesOfWork
                if isDue(key.id) { take(key) }
            }
            guard page.count == Self.page else {
                progress.last = nil
                return
            }
        }
    }

    /// Goes on with a record at once, because something was learnt of it.
    func resume(_ key: IdempotencyKey) {
        guard !underWay.contains(key.id), underWay.count < Self.concurrency else { return }
        take(key)
    }

    /// Takes nothing up any more, because the process is about to end, or has a newer completer.
    func end() { hasEnded = true }

    private func isDue(_ id: KeyID) -> Bool {
        guard !underWay.contains(id) else { return false }
        return progress.waits[id].map { $0.until <= services.timers.now } ?? true
    }

    private func take(_ key: IdempotencyKey) {
        guard let staged = routes[key.route], !hasEnded else { return }
        guard staged.fits(key) else { return staged.noteMisfit(key) }
        progress.underWay.insert(key.id)
        services.start {
            let isOver = await self.work(on: key.id, staged)
            self.progress.underWay.remove(key.id)
            self.note(key.id, isOver: isOver)
        }
    }

    /// Claims a record and works on it; whether it needs nobody any more.
    private func work(on id: KeyID, _ staged: StagedRoute) async -> Bool {
        let (work, keys) = (services.work, services.keys)
        do throws(StoreError) {
            let claim = try await work.claiming { () async throws(StoreError) in
                try await keys.resume(id, policy: staged.rules.policy)
            }
            guard let claim else { return true }
            let execution = StagedExecution(claim, nil, nil, staged)
            work.begin(execution)
            await execution.run()
            return !execution.isSuspended
        } catch {
            services.log.write(.warning, "stages not gone on with") { line in
                line.member("key_id", id.description)
                line.member("detail", error.description)
            }
            return false
        }
    }

    private func note(_ id: KeyID, isOver: Bool) {
        guard !isOver else {
            progress.waits[id] = nil
            return
        }
        let now = services.timers.now
        let known = progress.waits[id]
        let pause = known.map { min($0.pause * 2, Self.longestPause) } ?? Self.shortestPause
        if known == nil, progress.waits.count >= Self.remembered {
            progress.waits = progress.waits.filter { $0.value.until > now }
            // Of too many, those that are forgotten are tried in every turn.
            guard progress.waits.count < Self.remembered else { return }
        }
        let nanoseconds = UInt64(clamping: pause.components.seconds) * 1_000_000_000
        progress.waits[id] = Wait(
            pause: pause, until: now + nanoseconds + services.jitter(nanoseconds / 4))
    }

    private static let shortestPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(60)
}

extension IdempotencyKey {
    /// The bytes of its request and its stages' answers, more or less.
    fileprivate var bytesOfWork: Int {
        stages.reduce(content?.count ?? 0) { $0 + ($1.reply?.responseBody?.count ?? 0) }
    }
}

internal import Idempotency

/// Gives pages that the file no longer needs back to the file system, a few milliseconds' worth at
/// a time, while there are many of them. New rows use free pages before the file grows.
///
/// Files that were made by an older version do not know which page refers to which, and never
/// shrink; `VACUUM` gives them what they lack.
final class FreeSpace {
    private let free, all, vacuum: Statement
    private let duration: Duration
    /// Whether the file can shrink at all.
    let isIncremental: Bool
    /// Whether pages are to be given back after this transaction.
    private(set) var isWanted = false

    /// - Parameter duration: How long a step takes.
    init(_ connection: Connection, duration: Duration) throws(StoreError) {
        self.duration = duration
        isIncremental = try connection.number("PRAGMA auto_vacuum") == 2
        free = try connection.prepare("PRAGMA freelist_count")
        all = try connection.prepare("PRAGMA page_count")
        vacuum = try connection.prepare("PRAGMA incremental_vacuum")
    }

    /// Fewer free pages are kept for the rows to come: 4 MiB.
    private static let least: Int64 = 1024

    /// Looks whether a quarter of the file is free. In a transaction.
    func look() throws(StoreError) {
        guard isIncremental else { return }
        let free = try free.number()
        let all = try all.number()
        isWanted = free > Self.least && free * 4 > all
    }

    /// Gives pages back. In a transaction of its own.
    func shrink() throws(StoreError) {
        isWanted = false
        defer { vacuum.reset() }
        let end = ContinuousClock.now + duration
        var left = try free.number() - Self.least
        while left > 0, try vacuum.step(), ContinuousClock.now < end { left -= 1 }
    }
}

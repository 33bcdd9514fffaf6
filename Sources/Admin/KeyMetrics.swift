package import Idempotency
package import Telemetry

extension Metrics {
    /// Adds what a key service keeps and what its store has done, out of one snapshot at every
    /// scrape.
    package func observe(_ keys: IdempotencyKeyService) {
        collect { text in
            let statistics = keys.statistics
            text.write(statistics, isReady: keys.isReady)
            text.write(statistics.store)
        }
    }
}

extension PrometheusText {
    fileprivate mutating func write(_ keys: KeyStatistics, isReady: Bool) {
        gauge("oncegate_claims", "Claims under way.", keys.claims)
        gauge("oncegate_waiters", "Requests that wait for the answer of another.", keys.waiters)
        gauge("oncegate_cached_replies", "Finished replies in memory.", keys.cachedReplies)
        gauge("oncegate_cached_reply_bytes", "Memory of finished replies.", keys.cachedBytes)
        counter("oncegate_memory_hits_total", "Decisions that needed no store.", keys.hits)
        gauge("oncegate_unsaved", "Conclusions that the store has not taken yet.", keys.unsaved)
        gauge("oncegate_journal_bytes", "Conclusions in the journal.", keys.journalBytes)
        counter(
            "oncegate_journal_failures_total", "Conclusions that the journal did not take.",
            keys.journalFailures)
        family(
            "oncegate_oldest_unknown_seconds", help: "Age of the oldest unknown record.",
            type: .gauge)
        sample(keys.oldestUnknown / .seconds(1))
        gauge("oncegate_store_ready", "Whether claims are likely to succeed.", isReady ? 1 : 0)
    }

    fileprivate mutating func write(_ store: StoreStatistics) {
        counter("oncegate_store_commits_total", "Transactions made durable.", store.commits)
        counter("oncegate_store_rows_total", "Records written by them.", store.rows)
        counter("oncegate_store_reads_total", "Records looked up.", store.reads)
        counter("oncegate_store_failures_total", "Store calls that failed.", store.failures)
        gauge("oncegate_store_queued", "Store calls that wait for their turn.", store.queued)
        family(
            "oncegate_store_busy_seconds_total", help: "Time during which the store was at work.",
            type: .counter)
        sample(store.busySeconds)
    }

    private mutating func counter(_ name: String, _ help: String, _ value: Int) {
        family(name, help: help, type: .counter)
        sample(value)
    }

    private mutating func gauge(_ name: String, _ help: String, _ value: Int) {
        family(name, help: help, type: .gauge)
        sample(value)
    }
}

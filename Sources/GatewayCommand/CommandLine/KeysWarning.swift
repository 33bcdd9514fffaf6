import Idempotency
import JSON

/// What a change of a record brings about, told to who is to confirm it.
struct KeysWarning {
    /// Some sentences, a line each.
    let text: String

    init(_ options: KeysOptions, _ record: KeyRecord, now: Timestamp) {
        let state = record.state(at: now)
        let key = TerminalText.line(record.text(.idempotencyKey))
        var lines: [String]
        switch options.action {
        case .release:
            lines = Self.release(state, key, record)
        case .complete:
            let status = options.answer.status ?? 0
            lines = [
                "Retries with the key \"\(key)\" will get status \(status) with the body that you "
                    + "give, and NOTHING is executed for them."
            ]
        case .erase:
            lines = [
                "The body and the fields of its answer are DESTROYED for good.",
                "Retries with the key \"\(key)\" will be told that the answer was not kept (410); "
                    + "nothing is executed for them.",
            ]
        case .list, .show: lines = []
        }
        if let hint = Self.hint(state, options, record) { lines.append(hint) }
        text = lines.map { $0 + "\n" }.joined()
    }

    /// What executes after a release: of work in stages what is not done yet, without a request.
    private static func release(_ state: String, _ key: String, _ record: KeyRecord) -> [String] {
        let stages = record[.stages]?.elements ?? []
        guard stages.isEmpty, record[.pendingStage] == nil else {
            let done = stages.last?["recovery_point"]?.string ?? "started"
            let pending = record.text(.pendingStage)
            return [
                "The work for the key \"\(key)\" GOES ON after \(TerminalText.line(done)), perhaps "
                    + "at once: \(pending.isEmpty ? "what follows" : TerminalText.line(pending)) "
                    + "WILL EXECUTE.",
                "Make sure that it did not.",
            ]
        }
        return [
            "The next request with the key \"\(key)\" WILL EXECUTE.",
            state == "unknown"
                ? "Nobody knows whether the first one did: make sure that it did not."
                : "Make sure that the first one did not.",
        ]
    }

    /// What the record's state means for the change.
    private static func hint(
        _ state: String, _ options: KeysOptions, _ record: KeyRecord
    ) -> String? {
        switch (state, options.action) {
        case ("locked", .release) where options.isForced:
            return "It is LOCKED by \(TerminalText.line(record.text(.owner))): if that one is "
                + "alive, the work is done twice."
        case ("locked", _):
            return "It is locked until \(record.text(.leaseUntil)): this is refused as long as "
                + "that lasts" + (options.action == .release ? ", without --force." : ".")
        case ("finished", .release), ("finished", .complete):
            return "It is finished: this is refused."
        default: return nil
        }
    }
}

internal import Idempotency

/// The rows of what work in stages needs and has done: at position 0 the request's content, from 1
/// on the stages. While a record is locked, rows are only added.
final class StageRows {
    private let connection: Connection
    private var scratch = Scratch()
    private let insertion, content, removal, rows, former: Statement

    /// What a record's rows are before a change.
    struct State {
        let stages: Int
        let hasContent: Bool
        let isLocked: Bool
    }

    init(_ connection: Connection) throws(StoreError) {
        self.connection = connection
        insertion = try connection.prepare(
            "INSERT INTO idempotency_stages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        content = try connection.prepare(
            "INSERT INTO idempotency_stages VALUES (?1, 0, '', ?2, NULL, NULL, ?3)")
        removal = try connection.prepare(
            "DELETE FROM idempotency_stages WHERE sequence = ?1 AND position BETWEEN ?2 AND ?3")
        rows = try connection.prepare(
            """
            SELECT position, recovery_point, reached_at, response_code, response_headers,
                response_body
            FROM idempotency_stages WHERE sequence = ?1 ORDER BY position
            """)
        former = try connection.prepare(
            """
            SELECT stages, content, locked_at IS NOT NULL FROM idempotency_records
            WHERE sequence = ?1 AND revision = ?2
            """)
    }

    /// What there is of a record at that version; nil if it is not at it.
    func state(of version: IdempotencyKey.Version) throws(StoreError) -> State? {
        former.bind(1, version.id.sequence)
        former.bind(2, Int64(version.revision))
        defer { former.reset() }
        guard try former.step() else { return nil }
        return State(
            stages: Int(former.integer(0)), hasContent: former.integer(1) != 0,
            isLocked: former.integer(2) != 0)
    }

    /// Adds all of a new record's rows.
    func insert(_ key: IdempotencyKey) throws(StoreError) {
        try update(key, from: State(stages: 0, hasContent: false, isLocked: true))
    }

    /// Makes the rows those of the changed record.
    func update(_ key: IdempotencyKey, from state: State) throws(StoreError) {
        let sequence = key.id.sequence
        if state.hasContent, key.content == nil { try remove(sequence, 0...0) }
        if !state.hasContent, let bytes = key.content { try insert(bytes, of: key) }
        var kept = state.stages
        // Then answers may have been erased, or all dropped.
        if !state.isLocked, kept > 0 {
            try remove(sequence, 1...Int64.max)
            kept = 0
        }
        for (index, stage) in key.stages.enumerated().dropFirst(kept) {
            try insert(stage, at: index + 1, of: sequence)
        }
    }

    /// Removes all rows of a record.
    func remove(_ sequence: Int64) throws(StoreError) { try remove(sequence, 0...Int64.max) }

    /// The content and the stages of a record.
    func find(_ sequence: Int64) throws(StoreError) -> (content: [UInt8]?, stages: [StageRecord]) {
        rows.bind(1, sequence)
        defer { rows.reset() }
        var content: [UInt8]?
        var stages: [StageRecord] = []
        while try rows.step() {
            guard rows.integer(0) > 0 else {
                content = rows.bytes(5)
                continue
            }
            let reply =
                rows.isNull(3)
                ? nil
                : StoredReply(
                    responseCode: UInt16(truncatingIfNeeded: rows.integer(3)),
                    responseHeaders: rows.bytes(4),
                    responseBody: rows.isNull(5) ? nil : rows.bytes(5))
            stages.append(
                StageRecord(
                    recoveryPoint: rows.text(1), reply: reply,
                    reachedAt: Timestamp(microseconds: rows.integer(2))))
        }
        return (content, stages)
    }

    private func remove(
        _ sequence: Int64, _ positions: ClosedRange<Int64>
    ) throws(StoreError) {
        removal.bind(1, sequence)
        removal.bind(2, positions.lowerBound)
        removal.bind(3, positions.upperBound)
        try removal.run()
    }

    private func insert(_ bytes: [UInt8], of key: IdempotencyKey) throws(StoreError) {
        content.bind(1, key.id.sequence)
        content.bind(2, key.updatedAt)
        try unsafe bytes.withUnsafeBufferPointer { bytes throws(StoreError) in
            unsafe content.bind(blob: 3, UnsafeRawBufferPointer(bytes))
            try content.run()
        }
    }

    private func insert(
        _ stage: StageRecord, at position: Int, of sequence: Int64
    ) throws(StoreError) {
        scratch.clear(reserving: stage.recoveryPoint.utf8.count)
        insertion.bind(1, sequence)
        insertion.bind(2, Int64(position))
        unsafe insertion.bind(text: 3, scratch.keep(stage.recoveryPoint))
        insertion.bind(4, stage.reachedAt)
        insertion.bind(5, stage.reply.map { Int64($0.responseCode) })
        let headers = stage.reply?.responseHeaders ?? []
        let body = stage.reply?.responseBody
        try unsafe headers.withUnsafeBufferPointer { headers throws(StoreError) in
            unsafe insertion.bind(
                blob: 6, stage.reply == nil ? nil : UnsafeRawBufferPointer(headers))
            guard let body else {
                unsafe insertion.bind(blob: 7, nil)
                return try insertion.run()
            }
            try unsafe body.withUnsafeBufferPointer { body throws(StoreError) in
                unsafe insertion.bind(blob: 7, UnsafeRawBufferPointer(body))
                try insertion.run()
            }
        }
    }
}

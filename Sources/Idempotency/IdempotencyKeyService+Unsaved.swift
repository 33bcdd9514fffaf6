internal import Synchronization

// Conclusions that the store does not take.

extension IdempotencyKeyService {
    /// Keeps a conclusion that the store did not take, in the journal and in memory, and tells
    /// those who wait.
    ///
    /// - Returns: The store's error, which says so if the journal failed too.
    func keep(
        _ conclusion: UnsavedConclusions.Conclusion, after error: StoreError
    ) async -> StoreError {
        let claim = conclusion.claim
        guard let key = conclusion.key else {
            end(claim, keeping: .nothing, .refused(claim.refusal))
            return error
        }
        let isHeld = isHeld(claim)
        var conclusion = conclusion
        var entry: [UInt8] = []
        let failure = await journal(&conclusion, as: &entry)
        let isKept = unsaved.withLock { [conclusion, entry] unsaved in
            let isKept = unsaved.add(
                conclusion, limit: options.unsavedConclusions, byteLimit: options.unsavedBytes)
            if !isKept, let position = conclusion.position { unsaved.putAside(position, entry) }
            return isKept
        }
        if !isKept, conclusion.position == nil { options.report(.forgotten(claim.id)) }
        if case .released = conclusion.outcome {
            abandoned.withLock { $0.insert(claim.lockToken) }
        }
        // Without a lease somebody else may have decided; then nobody is told but the store.
        if isHeld {
            let remains = isKept ? key.unsavedAnswer.map { KeyTable.Remains.unsaved($0) } : nil
            end(claim, keeping: remains ?? .nothing, Settlement(conclusion.outcome, key).unsaved)
        } else {
            end(claim, keeping: .nothing, .refused(claim.refusal))
        }
        guard let failure else { return error }
        return StoreError(error.reason, "\(error.detail); nor did the journal take it: \(failure)")
    }

    /// Writes a conclusion into the journal, if there is one; why it is not there, if it failed.
    private func journal(
        _ conclusion: inout UnsavedConclusions.Conclusion, as entry: inout [UInt8]
    ) async -> StoreError? {
        guard let journal else { return nil }
        do throws(StoreError) {
            entry = try ConclusionCodec.encode(await conclusion.encoded(by: coding))
            conclusion.position = try await journal.append(entry)
            positions.withLock { $0.note(failed: false) }
            return nil
        } catch {
            positions.withLock { $0.note(failed: true) }
            options.report(.journalFailed(conclusion.claim.id, error))
            return error
        }
    }

    /// Tries to store the conclusions that the store did not take, unless it failed just now, and
    /// takes those out of the journal that it has.
    ///
    /// To be called now and then, every 100 ms say, by one loop.
    ///
    /// - Parameter isLast: Whether it is tried even if the store failed just now, because the
    ///   process ends.
    /// - Returns: How many are still not stored.
    @discardableResult
    public func retryUnsaved(isLast: Bool = false) async -> Int {
        await readAside()
        while let batch = unsaved.withLock({
            $0.begin(now: isLast ? Timestamp(microseconds: .max) : clock.now)
        }) {
            let left = await deliver(batch)
            unsaved.withLock { $0.end(left, now: clock.now) }
            await readAside()
            guard left.isEmpty else { break }
        }
        await discardDelivered()
        return unsaved.withLock { $0.total }
    }

    /// Takes up conclusions for which there was no room, as far as there is now. What duplicates
    /// are told of their keys is the store's business by now.
    private func readAside() async {
        while let (position, bytes) = unsaved.withLock({
            $0.takeAside(limit: options.unsavedConclusions, byteLimit: options.unsavedBytes)
        }) { await read(bytes, at: position, isAnswering: false) }
    }

    /// Delivers conclusions, some at a time so that the store can commit them together; those that
    /// it still does not take.
    private func deliver(
        _ batch: [UnsavedConclusions.Conclusion]
    ) async -> [UnsavedConclusions.Conclusion] {
        var left: [UnsavedConclusions.Conclusion] = []
        var rest = batch[...]
        var isStoreFailing = false
        while !rest.isEmpty, !isStoreFailing {
            let part = rest.prefix(64)
            rest = rest.dropFirst(64)
            let errors = await withTaskGroup(of: (Int, StoreError?).self) { group in
                for (index, conclusion) in zip(part.indices, part) {
                    group.addTask { (index, await self.deliver(conclusion)) }
                }
                return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
            for (index, conclusion) in zip(part.indices, part) {
                guard let error = errors[index] else { continue }
                left.append(conclusion)
                // One record that cannot be read does not hold up the others.
                if error.reason != .corrupt { isStoreFailing = true }
            }
        }
        return left + rest
    }

    private func deliver(_ conclusion: UnsavedConclusions.Conclusion) async -> StoreError? {
        let claim = conclusion.claim
        do {
            let key = try await save(conclusion)
            memory.settle(claim.identity, id: claim.id, keeping: key.finished)
            options.report(.delivered(claim.id))
        } catch let error as StoreError {
            return error
        } catch {
            memory.settle(claim.identity, id: claim.id, keeping: nil)
            options.report(.dropped(claim.id, error as? ClaimError ?? .lost))
        }
        positions.withLock { $0.remove(conclusion.position) }
        return nil
    }

    private func discardDelivered() async {
        guard positions.withLock({ !$0.spent.isEmpty }) else { return }
        do throws(StoreError) {
            try await discardSpent(isErasing: false)
        } catch {
            options.report(.discardFailed(error))
        }
    }

    /// Takes out of the journal what is not needed any more, be it to make room or to leave no
    /// trace of it on the disk.
    func discardSpent(isErasing: Bool) async throws(StoreError) {
        guard let journal else { return }
        let spent = positions.withLock { $0.spent }
        try await journal.discard(spent, isErasing: isErasing)
        positions.withLock { $0.discard(spent) }
    }

    /// Stores what is known of a record and not stored yet, so that nobody changes it in ignorance.
    ///
    /// - Throws: When the store still does not take it.
    func saveUnsaved(of id: KeyID) async throws(StoreError) {
        for conclusion in unsaved.withLock({ $0.all(of: id) }) {
            if let error = await deliver(conclusion) { throw error }
            unsaved.withLock { $0.remove(conclusion) }
        }
    }
}

extension IdempotencyKeyService {
    /// Takes up the conclusions that an earlier process left in the journal. Until they are
    /// stored, duplicates are answered from them.
    func readJournal() async throws(StoreError) {
        guard let journal, !positions.withLock({ $0.isRead }) else { return }
        for (position, bytes) in try await journal.entries() {
            let hasRoom = unsaved.withLock {
                $0.hasRoom(limit: options.unsavedConclusions, byteLimit: options.unsavedBytes)
            }
            if hasRoom {
                await read(bytes, at: position, isAnswering: store.isExclusive)
            } else {
                unsaved.withLock { $0.putAside(position, bytes) }
            }
        }
        positions.withLock { $0.isRead = true }
    }

    /// Takes up an entry of the journal.
    ///
    /// - Parameter isAnswering: Whether duplicates are to be answered from it.
    private func read(_ bytes: [UInt8], at position: UInt64, isAnswering: Bool) async {
        do throws(StoreError) {
            var conclusion = try ConclusionCodec.decode(bytes)
            do throws(StoreError) {
                conclusion = try await conclusion.decoded(by: coding)
            } catch {
                return options.report(.unreadable(position: position, isKept: true, error))
            }
            conclusion.position = position
            take(conclusion, isAnswering: isAnswering)
        } catch {
            let isKept = error.reason == .newer
            if !isKept { positions.withLock { $0.remove(position) } }
            options.report(.unreadable(position: position, isKept: isKept, error))
        }
    }

    private func take(_ conclusion: UnsavedConclusions.Conclusion, isAnswering: Bool) {
        let claim = conclusion.claim
        guard let position = conclusion.position else { return }
        guard let key = conclusion.key else {
            positions.withLock { $0.remove(position) }
            return options.report(.dropped(claim.id, .lost))
        }
        _ = unsaved.withLock { $0.add(conclusion, limit: .max, byteLimit: .max) }
        if case .released = conclusion.outcome {
            abandoned.withLock { $0.insert(claim.lockToken) }
        }
        guard isAnswering, let answer = key.unsavedAnswer else { return }
        memory.restore(claim.identity, claim.key.fingerprint, id: claim.id, answer: answer)
    }
}

extension UnsavedConclusions.Conclusion {
    /// The record as the conclusion leaves it; nil if the claim was never good for it.
    var key: IdempotencyKey? {
        var key = claim.key
        do throws(ClaimError) {
            try key.conclude(
                outcome, token: claim.lockToken, policy: policy, now: moment,
                deadline: claim.deadline)
            return key
        } catch {
            return nil
        }
    }

    /// The same with an answer whose body is not kept; nil if it has no body anyway.
    var withoutBody: Self? {
        guard let reply = outcome.reply, reply.responseBody != nil else { return nil }
        var copy = self
        copy.outcome = outcome.replacing(reply.withoutBody)
        return copy
    }

    /// The same with its reply as it is to be written.
    fileprivate func encoded(by coding: (any ReplyCoding)?) async throws(StoreError) -> Self {
        guard let coding, let reply = outcome.reply else { return self }
        var copy = self
        copy.outcome = outcome.replacing(try await coding.encoded(reply, of: claim.id))
        return copy
    }

    /// The same with its reply as it was before it was written.
    fileprivate func decoded(by coding: (any ReplyCoding)?) async throws(StoreError) -> Self {
        guard let coding, let reply = outcome.reply else { return self }
        var copy = self
        copy.outcome = outcome.replacing(try await coding.decoded(reply, of: claim.id))
        return copy
    }
}

extension Outcome {
    /// What the upstream said, if anything.
    var reply: StoredReply? {
        switch self {
        case .finished(let reply, _): reply
        case .unknown(let reply), .released(let reply): reply
        case .suspended(let record): record?.reply
        }
    }

    fileprivate func replacing(_ reply: StoredReply) -> Outcome {
        switch self {
        case .finished(_, let retention): .finished(reply, retention: retention)
        case .unknown: .unknown(reply)
        case .released: .released(reply)
        case .suspended(let record):
            .suspended(reached: record?.replying(reply))
        }
    }
}

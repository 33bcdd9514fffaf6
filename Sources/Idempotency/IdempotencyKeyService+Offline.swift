extension IdempotencyKeyService {
    /// Stores the conclusions that an earlier process left in the journal, and changes nothing
    /// else: what that process left locked stays so. For programs that look into the store of a
    /// gateway that does not run.
    ///
    /// - Returns: How many the store did not take.
    package func recoverConclusions() async throws(StoreError) -> Int {
        try await readJournal()
        return await retryUnsaved(isLast: true)
    }
}

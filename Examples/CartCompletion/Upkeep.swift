import Idempotency

// snippet: upkeep
/// Looks after the keys until its task is cancelled.
func lookAfter(
    _ keys: IdempotencyKeyService, report: @Sendable (any Error) -> Void
) async {
    while !Task.isCancelled {
        await keys.renewLeases()
        await keys.retryUnsaved()
        do {
            try await keys.lapseOverdue()
            while try await keys.reap() > 0 {}
        } catch {
            report(error)
        }
        try? await Task.sleep(for: .seconds(1))
    }
}
// end

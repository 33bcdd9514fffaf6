/// A mistake in how a key's stages are worked.
///
/// A finished key is ``ClaimError/finished``, a lock that is somebody else's by now
/// ``ClaimError/lost``.
public enum StageError: Error, Sendable, Hashable {
    /// A stage of this key is being worked by this process already: stages of one key do not nest.
    case nested(KeyID)
    /// None of the stages leads on from the point that the record is at.
    case unknownRecoveryPoint(RecoveryPoint)
    /// No stage can have this name; see ``RecoveryPoint/init(stage:)``.
    case invalidRecoveryPoint(String)
    /// The last stage is done, and there is no answer.
    case unfinished(RecoveryPoint)
    /// The store has no SQL.
    case sqlUnsupported
    /// The transaction was used after its callback.
    case transactionOver
}

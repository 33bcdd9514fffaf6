/// How replies are written down where they outlive the process: compressed, encrypted, or as they
/// are.
public protocol ReplyCoding: Sendable {
    /// The reply as it is to be written. The same reply need not give the same bytes twice. One
    /// that is written already, because it could not be read, stays as it is.
    ///
    /// - Parameters:
    ///   - reply: As it was given.
    ///   - id: The record that it belongs to; it can be read back for that one only.
    func encode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply

    /// The reply as it was before it was written.
    ///
    /// - Throws: `corrupt` for what cannot be read: it was changed, belongs to another record, or
    ///   needs a key that is not there.
    func decode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply
}

/// Where bodies go that are too long for memory. One for each event loop, like the handlers.
package protocol BodySpool: AnyObject {
    /// An empty file without a name, gone with the last reference to it.
    func open() throws(BodySpoolError) -> any SpooledBody
}

/// One body outside of memory.
package protocol SpooledBody: AnyObject {
    /// The bytes that it has.
    var count: Int { get }

    /// Adds bytes at its end. After a failure it is of no use any more.
    func append(_ bytes: ArraySlice<UInt8>) throws(BodySpoolError)

    /// Up to `limit` bytes from `offset` on; fewer only at the end.
    func read(at offset: Int, atMost limit: Int) throws(BodySpoolError) -> [UInt8]
}

/// A body could not be kept outside of memory.
package struct BodySpoolError: Error, Sendable {
    /// For the log, never for a client: what failed, and what to do about it.
    package let detail: String

    /// A failure.
    package init(_ detail: String) { self.detail = detail }
}

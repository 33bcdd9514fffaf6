/// An array that heads are written into, one after the other, so that a head costs no allocation.
package struct OutputBuffer {
    private var bytes: [UInt8] = []

    /// The most that is kept between two heads.
    private static let largestKept = 64 << 10

    /// A buffer that holds nothing yet.
    package init() {}

    /// An empty array with room for a head; give it back by ``giveBack(_:)``.
    package mutating func take() -> [UInt8] {
        var taken: [UInt8] = []
        swap(&taken, &bytes)
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    /// Keeps an array for the next head, unless a large one made it grow.
    package mutating func giveBack(_ written: consuming [UInt8]) {
        if written.capacity <= Self.largestKept { bytes = written }
    }
}

private import Glibc
private import Synchronization

/// 64 bits of the kernel's random numbers, fetched a page at a time.
func randomWord() -> UInt64 {
    randomPool.withLock { $0.next() }
}

private let randomPool = Mutex(RandomPool())

/// Random words, drawn from the kernel in portions, each given out once.
private struct RandomPool {
    private var words: [UInt64] = []

    mutating func next() -> UInt64 {
        if words.isEmpty { refill() }
        return words.removeLast()
    }

    /// `getentropy` gives up to 256 bytes, whole.
    private mutating func refill() {
        words = [UInt64](repeating: 0, count: 32)
        let result = unsafe words.withUnsafeMutableBytes {
            unsafe getentropy($0.baseAddress!, $0.count)
        }
        precondition(result == 0, "the kernel has no random numbers")
    }
}

internal import Idempotency

/// Room for the bytes that are bound to a statement while it runs: filled front to back, emptied
/// for the next one, so that binding takes neither an allocation nor a C string.
@safe
struct Scratch: ~Copyable {
    private var room: UnsafeMutableRawBufferPointer
    private var used = 0

    init() { unsafe room = .allocate(byteCount: 4096, alignment: 16) }

    deinit { unsafe room.deallocate() }

    /// Empties it and makes sure of room for that many bytes.
    mutating func clear(reserving count: Int) {
        used = 0
        guard unsafe count > room.count else { return }
        unsafe room.deallocate()
        unsafe room = .allocate(byteCount: count * 2, alignment: 16)
    }

    /// Keeps bytes; valid until it is emptied.
    mutating func keep(_ bytes: some Sequence<UInt8>, count: Int) -> UnsafeRawBufferPointer {
        unsafe fill(count) { buffer in
            let done: Void? = bytes.withContiguousStorageIfAvailable {
                unsafe buffer.copyMemory(from: UnsafeRawBufferPointer($0))
            }
            if done == nil {
                for (index, byte) in bytes.enumerated() { unsafe buffer[index] = byte }
            }
        }
    }

    /// Keeps a text.
    mutating func keep(_ text: String) -> UnsafeRawBufferPointer {
        var text = text
        return text.withUTF8 { utf8 in
            unsafe fill(utf8.count) { unsafe $0.copyMemory(from: UnsafeRawBufferPointer(utf8)) }
        }
    }

    /// Keeps two words, the lowest byte of each first.
    mutating func keep(_ words: (UInt64, UInt64)) -> UnsafeRawBufferPointer {
        unsafe fill(16) {
            unsafe $0.storeBytes(of: words.0.littleEndian, toByteOffset: 0, as: UInt64.self)
            unsafe $0.storeBytes(of: words.1.littleEndian, toByteOffset: 8, as: UInt64.self)
        }
    }

    /// Keeps the text of an id.
    mutating func keep(_ id: KeyID) -> UnsafeRawBufferPointer {
        unsafe fill(31) { buffer in
            _ = unsafe id.write(to: buffer.assumingMemoryBound(to: UInt8.self))
        }
    }

    private mutating func fill(
        _ count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void
    ) -> UnsafeRawBufferPointer {
        precondition(unsafe used + count <= room.count, "more was kept than was reserved")
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: room[used..<(used + count)])
        unsafe body(part)
        used += count
        return UnsafeRawBufferPointer(part)
    }
}

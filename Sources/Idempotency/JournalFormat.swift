/// How a journal's file is laid out: a header, then one frame per entry. No I/O.
///
/// All checksums are SipHash under a random key that stands in the header. Entries hold what
/// clients and upstreams chose, and after damage frames are looked for at every byte: without the
/// key nobody can write an answer of which a part passes for a frame.
package struct JournalFormat: Sendable {
    private let key: [UInt8]
    private let hash: KeyedHash

    private static let magic = Array("ogconcl\n".utf8)
    private static let version: UInt32 = 1
    /// Bytes of the header: the magic, the version, the key, a checksum.
    static let headerLength = 36
    /// Bytes of a frame before its entry: position, length, the entry's checksum, the head's own.
    static let headLength = 28

    /// The format of a new file.
    init() {
        var writer = ByteWriter()
        writer.write(randomWord())
        writer.write(randomWord())
        self.init(key: writer.bytes)
    }

    /// The format of a file with this key of 16 bytes.
    package init(key: [UInt8]) {
        self.key = key
        hash = KeyedHash(key: key)
    }

    /// The format of a file that begins with these bytes.
    ///
    /// - Throws: `corrupt` for what is no header of ours, `newer` for that of a later version.
    package init(header: [UInt8]) throws(StoreError) {
        guard header.count >= Self.headerLength, header.starts(with: Self.magic) else {
            throw StoreError(.corrupt, "not a journal of conclusions")
        }
        var reader = ByteReader(Array(header[8..<Self.headerLength]))
        let version: UInt32 = try reader.number()
        guard version == Self.version else {
            throw StoreError(
                version > Self.version ? .newer : .corrupt, "a journal of version \(version)")
        }
        key = Array(header[12..<28])
        hash = KeyedHash(key: key)
        guard header.starts(with: self.header) else {
            throw StoreError(.corrupt, "a journal whose header is damaged")
        }
    }

    /// The header's bytes.
    package var header: [UInt8] {
        var writer = ByteWriter()
        writer.write(raw: Self.magic)
        writer.write(Self.version)
        writer.write(raw: key)
        writer.write(hash(writer.bytes).0)
        return writer.bytes
    }

    /// Whether these bytes, all of a file, are what is left of one that was just being made. Some
    /// file systems note a file's length before its bytes, which are zeros then.
    static func isUnborn(_ header: [UInt8]) -> Bool {
        header.count < headerLength && magic.starts(with: header.prefix(8))
            || header.count <= headerLength && header.allSatisfy { $0 == 0 }
    }

    /// Adds an entry's frame; false if it is too long for one.
    package func append(_ entry: [UInt8], position: UInt64, to bytes: inout [UInt8]) -> Bool {
        guard let length = UInt32(exactly: entry.count), length > 0 else { return false }
        var writer = ByteWriter()
        writer.write(position)
        writer.write(length)
        writer.write(hash(entry).0)
        writer.write(hash(writer.bytes).0)
        bytes += writer.bytes
        bytes += entry
        return true
    }
}

extension JournalFormat {
    /// What a file holds.
    package struct Scan {
        /// The entries' positions, and where their frames are.
        package var frames: [(position: UInt64, range: Range<Int>)] = []
        /// What lies between frames and is none.
        package var damage: [Range<Int>] = []
        /// Where the last frame ends.
        package var end = headerLength
        /// Bytes behind that which are no frame, less the zeros at the end.
        package var torn = 0
    }

    /// Finds all frames of a file that begins with the header.
    ///
    /// What follows the last one was being written when the process or the machine ended.
    package func scan(_ bytes: [UInt8]) -> Scan {
        var scan = Scan()
        var position: UInt64 = 0
        var offset = scan.end
        // What is reserved behind the entries is zero, and much.
        let written = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        while let next = frame(in: bytes, from: offset, to: written, after: position) {
            if next.range.lowerBound > scan.end {
                scan.damage.append(scan.end..<next.range.lowerBound)
            }
            scan.frames.append(next)
            (position, offset) = (next.position, next.range.upperBound)
            scan.end = offset
        }
        scan.torn = max(0, written - scan.end)
        return scan
    }

    /// The entry in a frame.
    package func entry(in bytes: [UInt8], _ frame: Range<Int>) -> [UInt8] {
        Array(bytes[(frame.lowerBound + Self.headLength)..<frame.upperBound])
    }

    /// The first frame that begins between `offset` and `limit` and whose position comes after
    /// `last`.
    private func frame(
        in bytes: [UInt8], from offset: Int, to limit: Int, after last: UInt64
    ) -> (position: UInt64, range: Range<Int>)? {
        var start = offset
        while start < limit, start + Self.headLength < bytes.count {
            let position = number(in: bytes, at: start, width: 8)
            let length = Int(number(in: bytes, at: start + 8, width: 4))
            let body = start + Self.headLength
            if position > last, length > 0, length <= bytes.count - body,
                hash(bytes, start..<(start + 20)).0 == number(in: bytes, at: start + 20, width: 8),
                hash(bytes, body..<(body + length)).0 == number(in: bytes, at: start + 12, width: 8)
            {
                return (position, start..<(body + length))
            }
            start += 1
        }
        return nil
    }

    private func number(in bytes: [UInt8], at offset: Int, width: Int) -> UInt64 {
        (0..<width).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }
}

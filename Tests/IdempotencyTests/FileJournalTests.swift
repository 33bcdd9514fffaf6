import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Idempotency

struct FileJournalTests {
    private static let entries: [[UInt8]] = [
        Array("first".utf8), [0, 0, 0, 0], Array(repeating: 7, count: 60), [1],
    ]

    private static func options(
        limit: Int = 1 << 20, reserve: Int = 0, _ calls: JournalFile.Calls = .system
    ) -> FileJournal.Options {
        var options = FileJournal.Options()
        options.limit = limit
        options.reserve = reserve
        options.calls = calls
        return options
    }

    private func withPath(_ body: (String) async throws -> Void) async throws {
        try await TemporaryDirectory.with { try await body($0 + "/keys.db.conclusions") }
    }

    /// Calls that leave it to the kernel when to write: for tests that open many files.
    private static var quick: JournalFile.Calls {
        var calls = JournalFile.Calls.system
        calls.sync = { _ in 0 }
        return calls
    }

    /// The bytes of a file with four entries.
    private func written(_ path: String) async throws -> [UInt8] {
        let journal = try FileJournal(path: path, options: Self.options())
        for entry in Self.entries { _ = try await journal.append(entry) }
        journal.close()
        return try contents(of: path)
    }

    private func reopened(
        _ bytes: [UInt8], _ path: String
    ) async throws -> (entries: [[UInt8]], damage: FileJournal.Damage?) {
        try replace(path, by: bytes)
        let journal = try FileJournal(path: path, options: Self.options(Self.quick))
        defer { journal.close() }
        return (try await journal.entries().map(\.bytes), journal.damage)
    }

    @Test(arguments: [0, 1 << 20])
    func `entries outlive the process, in order, until they are discarded`(
        reserve: Int
    ) async throws {
        try await withPath { path in
            var journal = try FileJournal(path: path, options: Self.options(reserve: reserve))
            #expect(try await journal.entries().isEmpty)
            var positions: [UInt64] = []
            for entry in Self.entries { positions.append(try await journal.append(entry)) }
            #expect(positions == positions.sorted() && Set(positions).count == 4)
            let size = journal.size
            journal.close()
            journal = try FileJournal(path: path, options: Self.options(reserve: reserve))
            #expect(journal.damage == nil)
            #expect(journal.size == size)
            let found = try await journal.entries()
            #expect(found.map(\.bytes) == Self.entries)
            #expect(found.map(\.position) == positions)
            #expect(try await journal.entries().isEmpty)
            try await journal.discard(Set(positions))
            #expect(journal.size == 0)
            let next = try await journal.append([9])
            #expect(next > positions[3])
            journal.close()
            journal = try FileJournal(path: path, options: Self.options(reserve: reserve))
            #expect(try await journal.entries().map(\.bytes) == [[9]])
            journal.close()
        }
    }

    @Test func `the file is for its owner alone`() async throws {
        try await withPath { path in
            _ = try await written(path)
            var status = stat()
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func `many appends at once all return with their own positions`() async throws {
        try await withPath { path in
            let syncs = Atomic<Int>(0)
            var calls = JournalFile.Calls.system
            calls.sync = { descriptor in
                syncs.add(1, ordering: .relaxed)
                return fdatasync(descriptor)
            }
            let journal = try FileJournal(path: path, options: Self.options(calls))
            let positions = try await withThrowingTaskGroup(of: UInt64.self) { group in
                for index in 0..<500 {
                    group.addTask { try await journal.append([UInt8(truncatingIfNeeded: index)]) }
                }
                return try await group.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(positions.count == 500)
            journal.close()
            let again = try FileJournal(path: path, options: Self.options())
            #expect(try await again.entries().count == 500)
            print("\(syncs.load(ordering: .relaxed)) syncs for 500 appends")
        }
    }

    @Test(arguments: [0, 1, 36])
    func `a file that was only just made when the power failed is begun anew`(
        zeros: Int
    ) async throws {
        try await withPath { path in
            try replace(path, by: [UInt8](repeating: 0, count: zeros))
            let journal = try FileJournal(path: path, options: Self.options())
            _ = try await journal.append([5])
            journal.close()
            let again = try FileJournal(path: path, options: Self.options())
            #expect(try await again.entries().map(\.bytes) == [[5]])
            again.close()
        }
    }

    @Test func `a file cut anywhere keeps what was whole and takes entries again`() async throws {
        try await withPath { path in
            let bytes = try await written(path)
            let ends = frameEnds()
            #expect(ends.last == bytes.count)
            for cut in 0...bytes.count {
                let (entries, damage) = try await reopened(Array(bytes[..<cut]), path)
                let whole = ends.filter { $0 <= cut }.count
                #expect(entries == Array(Self.entries[..<whole]), "cut at \(cut)")
                let rest = Array(bytes[..<cut]).trimmingZeros - (whole > 0 ? ends[whole - 1] : 36)
                #expect(damage?.torn ?? 0 == (cut < 36 ? 0 : max(0, rest)), "cut at \(cut)")
                let journal = try FileJournal(path: path, options: Self.options(Self.quick))
                #expect(journal.damage == nil, "cut at \(cut)")
                _ = try await journal.append([5])
                journal.close()
                let last = try FileJournal(path: path, options: Self.options(Self.quick))
                #expect(try await last.entries().last?.bytes == [5])
                last.close()
            }
        }
    }

    @Test func `a flipped bit loses no other entry, and what it spoilt is put aside`() async throws
    {
        try await withPath { path in
            let bytes = try await written(path)
            let ends = frameEnds()
            for index in 36..<bytes.count {
                var flipped = bytes
                flipped[index] ^= 1 << UInt8(index % 8)
                let hit = ends.filter { $0 <= index }.count
                unlink(path + ".damaged")
                let (entries, damage) = try await reopened(flipped, path)
                var expected = Self.entries
                expected.remove(at: hit)
                #expect(entries == expected, "byte \(index)")
                let length = Self.entries[hit].count + 28
                if hit == 3 {
                    #expect(damage?.torn == length, "byte \(index)")
                } else {
                    #expect(damage?.damaged == length, "byte \(index)")
                    #expect(damage?.aside == path + ".damaged")
                    let aside = try contents(of: path + ".damaged")
                    #expect(aside == Array(flipped[(ends[hit] - length)..<ends[hit]]))
                }
                let again = try FileJournal(path: path, options: Self.options(Self.quick))
                #expect(again.damage == nil)
                #expect(try await again.entries().map(\.bytes) == expected)
                again.close()
            }
        }
    }

    @Test func `an entry that looks like an entry is not taken for one`() async throws {
        try await withPath { path in
            let frames = Array(try await written(path)[36...])
            unlink(path)
            let journal = try FileJournal(path: path, options: Self.options())
            _ = try await journal.append(frames)
            _ = try await journal.append([8])
            journal.close()
            var bytes = try contents(of: path)
            bytes[36] ^= 1
            #expect(try await reopened(bytes, path).entries == [[8]])
        }
    }

    @Test(arguments: [
        Array("SQLite format 3\0 and much more than a header".utf8),
        Array(repeating: 0, count: 100), Array("x".utf8),
        Array("ogconcl\n and something else that is longer".utf8),
    ])
    func `a file of others is refused and left as it is`(_ bytes: [UInt8]) async throws {
        try await withPath { path in
            try replace(path, by: bytes)
            let error = #expect(throws: StoreError.self) {
                _ = try FileJournal(path: path, options: Self.options())
            }
            #expect(error?.reason == .corrupt || error?.reason == .newer)
            #expect(error?.detail.contains(path) == true)
            #expect(error?.detail.contains("left as it is") == true)
            #expect(try contents(of: path) == bytes)
        }
    }

    @Test func `a journal of a later version is refused and left as it is`() async throws {
        try await withPath { path in
            var bytes = try await written(path)
            bytes[8] = 2
            try replace(path, by: bytes)
            let error = #expect(throws: StoreError.self) {
                _ = try FileJournal(path: path, options: Self.options())
            }
            #expect(error?.reason == .newer)
            #expect(try contents(of: path) == bytes)
        }
    }

    @Test func `a file that another one holds is refused`() async throws {
        try await withPath { path in
            let journal = try FileJournal(path: path, options: Self.options())
            let error = #expect(throws: StoreError.self) {
                _ = try FileJournal(path: path, options: Self.options())
            }
            #expect(error?.reason == .locked)
            _ = try await journal.append([1])
            journal.close()
            _ = try FileJournal(path: path, options: Self.options())
        }
    }

    @Test func `a directory is refused by its name`() async throws {
        try await withPath { path in
            mkdir(path, 0o700)
            defer { rmdir(path) }
            let error = #expect(throws: StoreError.self) { _ = try FileJournal(path: path) }
            #expect(error?.detail.contains(path) == true)
        }
    }

    @Test func `it is full at its limit, and has room again afterwards`() async throws {
        try await withPath { path in
            let journal = try FileJournal(path: path, options: Self.options(limit: 500))
            let entry = [UInt8](repeating: 3, count: 200)
            let first = try await journal.append(entry)
            let second = try await journal.append(entry)
            let error = await #expect(throws: StoreError.self) { try await journal.append(entry) }
            #expect(error?.reason == .full)
            #expect(journal.size <= 500)
            try await journal.discard([first, second])
            _ = try await journal.append(entry)
        }
    }

    @Test func `one entry that stays does not keep the file from forgetting later ones`()
        async throws
    {
        try await withPath { path in
            let journal = try FileJournal(
                path: path, options: Self.options(limit: 1000, Self.quick))
            let entry = [UInt8](repeating: 3, count: 100)
            let kept = try await journal.append(entry)
            for _ in 0..<30 { try await journal.discard([try await journal.append(entry)]) }
            #expect(journal.size <= 1000)
            journal.close()
            let again = try FileJournal(path: path, options: Self.options())
            #expect(try await again.entries().first?.position == kept)
        }
    }

    @Test func `what is erased is not in the file any more, wherever it was`() async throws {
        try await withPath { path in
            let secret = Array("4929-1234-5678-9012".utf8)
            let journal = try FileJournal(path: path, options: Self.options())
            let first = try await journal.append([UInt8](repeating: 3, count: 500))
            let second = try await journal.append(secret)
            let third = try await journal.append([UInt8](repeating: 4, count: 500))
            try await journal.discard([second])
            #expect(try contents(of: path).firstRange(of: secret) != nil)
            try await journal.discard([], isErasing: true)
            #expect(try contents(of: path).firstRange(of: secret) == nil)
            journal.close()
            let again = try FileJournal(path: path, options: Self.options())
            #expect(again.damage == nil)
            #expect(try await again.entries().map(\.position) == [first, third])
            again.close()
        }
    }

    @Test func `discarded entries do not fill it while later ones stay`() async throws {
        try await withPath { path in
            let journal = try FileJournal(
                path: path, options: Self.options(limit: 1000, Self.quick))
            let entry = [UInt8](repeating: 3, count: 100)
            var kept = try await journal.append(entry)
            for _ in 0..<100 {
                let next = try await journal.append(entry)
                try await journal.discard([kept])
                kept = next
                #expect(journal.size <= 1000)
            }
            journal.close()
            let again = try FileJournal(path: path, options: Self.options())
            #expect(try await again.entries().last?.position == kept)
            #expect(try await again.entries().isEmpty)
        }
    }

    @Test(arguments: [FileFault.Call.write, .sync, .truncate])
    func `a call that fails loses nothing that was taken, and nothing that comes later`(
        _ call: FileFault.Call
    ) async throws {
        try await withPath { path in
            let fault = FileFault()
            let journal = try FileJournal(path: path, options: Self.options(fault.calls))
            _ = try await journal.append([1, 1, 1])
            for bytes in [0, 1, 10, 27, 28, 30] {
                fault.fail([.write, call], after: bytes)
                let error = await #expect(throws: StoreError.self) {
                    try await journal.append([2, 2, 2])
                }
                #expect(error?.reason == .full)
                fault.mend()
                _ = try await journal.append([3, 3, 3])
            }
            journal.close()
            let again = try FileJournal(path: path, options: Self.options())
            #expect(again.damage == nil)
            let found = try await again.entries()
            #expect(found.map(\.bytes) == [[1, 1, 1]] + Array(repeating: [3, 3, 3], count: 6))
        }
    }

    @Test func `a file that cannot be mended takes nothing until it can`() async throws {
        try await withPath { path in
            let fault = FileFault()
            let journal = try FileJournal(path: path, options: Self.options(fault.calls))
            _ = try await journal.append([1])
            fault.fail([.write, .truncate], after: 9)
            await #expect(throws: StoreError.self) { try await journal.append([2, 2, 2]) }
            fault.fail([.truncate], after: 0)
            await #expect(throws: StoreError.self) { try await journal.append([3]) }
            journal.close()
            let again = try FileJournal(path: path, options: Self.options())
            // Position and length: the checksum behind them may end in zeros, which do not count.
            #expect(again.damage?.torn == 9)
            #expect(try await again.entries().map(\.bytes) == [[1]])
        }
    }

    @Test func `after its end it takes nothing`() async throws {
        try await withPath { path in
            let journal = try FileJournal(path: path)
            journal.close()
            await #expect(throws: StoreError.self) { try await journal.append([1]) }
        }
    }

    private func frameEnds() -> [Int] {
        var end = 36
        return Self.entries.map { entry in
            end += 28 + entry.count
            return end
        }
    }
}

/// Makes a journal's calls fail as a full disk does.
final class FileFault: Sendable {
    enum Call: Sendable { case write, sync, truncate }

    private let state = Mutex<(calls: Set<Call>, room: Int)>(([], 0))

    /// Has calls fail from now on; writes once that many bytes were written.
    func fail(_ calls: Set<Call>, after bytes: Int) { state.withLock { $0 = (calls, bytes) } }

    func mend() { state.withLock { $0 = ([], 0) } }

    var calls: JournalFile.Calls {
        let system = JournalFile.Calls.system
        return JournalFile.Calls(
            write: { [self] descriptor, bytes, offset in
                let room = state.withLock { state -> Int in
                    guard state.calls.contains(.write) else { return bytes.count }
                    defer { state.room -= min(state.room, bytes.count) }
                    return min(state.room, bytes.count)
                }
                guard room > 0 else {
                    errno = ENOSPC
                    return -1
                }
                return system.write(descriptor, bytes.prefix(room), offset)
            },
            sync: { [self] in fails(.sync) ? -1 : system.sync($0) },
            truncate: { [self] in fails(.truncate) ? -1 : system.truncate($0, $1) })
    }

    private func fails(_ call: Call) -> Bool {
        errno = ENOSPC
        return state.withLock { $0.calls.contains(call) }
    }
}

extension [UInt8] {
    /// How many bytes there are before the zeros at the end.
    fileprivate var trimmingZeros: Int { lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0 }
}

private func contents(of path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else { throw Unexpected(path) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return bytes
}

private func replace(_ path: String, by bytes: [UInt8]) throws {
    guard let file = fopen(path, "w") else { throw Unexpected(path) }
    defer { fclose(file) }
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Unexpected(path) }
}

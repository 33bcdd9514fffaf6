import Glibc
import TestSupport
import Testing

@testable import Transport

@Suite struct SpoolSpaceTests {
    @Test func `what is written is read, from anywhere`() async throws {
        try await TemporaryDirectory.with { directory in
            let space = try SpoolSpace(directory: directory, limit: 1 << 20)
            let file = try space.open()
            let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
            for start in stride(from: 0, to: bytes.count, by: 30_000) {
                try file.append(bytes[start..<min(start + 30_000, bytes.count)])
            }
            #expect(file.count == bytes.count)
            #expect(try file.read(at: 0, atMost: .max) == bytes)
            #expect(try file.read(at: 99_999, atMost: 10) == Array(bytes[99_999..<100_009]))
            #expect(try file.read(at: 199_999, atMost: 10) == [bytes[199_999]])
            #expect(try file.read(at: 200_000, atMost: 10) == [])
            #expect(try file.read(at: 300_000, atMost: 10) == [])
        }
    }

    @Test(arguments: [false, true])
    func `a file has no name, and nobody else reads it`(byName: Bool) async throws {
        try await TemporaryDirectory.with { directory in
            let space = try SpoolSpace(directory: directory, limit: 1 << 20)
            let file = byName ? try space.openByName() : try space.open()
            var status = stat()
            #expect(fstat(file.descriptor, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600 && status.st_nlink == 0)
            try file.append([1, 2, 3])
            #expect(try names(in: directory) == [])
            #expect(try file.read(at: 0, atMost: 9) == [1, 2, 3])
        }
    }

    @Test func `all files together keep to the limit, and give their room back`() async throws {
        try await TemporaryDirectory.with { directory in
            let space = try SpoolSpace(directory: directory, limit: 100)
            let first = try space.open()
            try first.append([UInt8](repeating: 0, count: 60)[...])
            do {
                let second = try space.open()
                try second.append([UInt8](repeating: 0, count: 40)[...])
                let error = #expect(throws: SpoolError.self) { try first.append([0]) }
                #expect(error?.description.contains("100 bytes") == true)
                #expect(space.usedBytes == 100)
            }
            #expect(space.usedBytes == 60)
            try first.append([UInt8](repeating: 0, count: 40)[...])
        }
    }

    @Test func `a full disk is told`() async throws {
        try await TemporaryDirectory.with { directory in
            let space = try SpoolSpace(directory: directory, limit: 1 << 20)
            let file = SpoolFile(adopting: open("/dev/full", O_RDWR), in: space)
            let error = #expect(throws: SpoolError.self) { try file.append([1, 2, 3]) }
            #expect(error?.description.contains("No space left") == true)
        }
    }

    @Test func `a directory that takes no files is told at once`() {
        let error = #expect(throws: SpoolError.self) {
            try SpoolSpace(directory: "/nowhere", limit: 1 << 20)
        }
        #expect(error?.description.contains("/nowhere") == true)
    }

    private func names(in directory: String) throws -> [String] {
        let handle = try #require(opendir(directory))
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

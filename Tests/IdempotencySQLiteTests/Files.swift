import Glibc
import Idempotency
import TestSupport
import Testing

@testable import IdempotencySQLite

func withFile(_ body: (String) async throws -> Void) async throws {
    try await TemporaryDirectory.with { try await body($0 + "/keys.db") }
}

func expect(
    _ reason: StoreError.Reason, naming path: String, _ body: () throws -> SQLiteStore
) throws {
    let error = #expect(throws: StoreError.self) { _ = try body() }
    #expect(error?.reason == reason)
    #expect(error?.detail.contains(path) == true)
}

struct FileFailure: Error { let code: Int32 }

func execute(_ sql: String, _ path: String) throws {
    try Connection(path: path).run(sql)
}

func read(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else { throw FileFailure(code: errno) }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 20)
    while case let count = fread(&part, 1, part.count, file), count > 0 {
        bytes += part.prefix(count)
    }
    return bytes
}

func write(_ bytes: [UInt8], _ path: String) throws {
    guard let file = fopen(path, "w") else { throw FileFailure(code: errno) }
    defer { fclose(file) }
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw FileFailure(code: errno) }
}

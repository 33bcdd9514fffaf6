import TestSupport
import Testing

@testable import Idempotency
@testable import IdempotencySQLite

struct RecordsTests {
    private func record(_ name: String) async throws -> IdempotencyKey {
        try await IdempotencyKeyService(store: InMemoryStore()).create(
            .sample(name), policy: KeyPolicy())
    }

    private func open(_ path: String, unindexed: Int) throws -> Records {
        let connection = try Connection(path: path)
        try Schema.prepare(connection, durability: .full)
        return try Records(connection, unindexed: unindexed)
    }

    @Test func `locked records are listed page by page while others come and go`() async throws {
        try await withFile { path in
            let records = try open(path, unindexed: 100)
            var keys: [IdempotencyKey] = []
            for index in 0..<30 { keys.append(try await record("\(index)")) }
            let late = try await record("late")
            try records.transaction { () throws(StoreError) in
                for key in keys { #expect(try records.insert(key) == nil) }
            }
            #expect(
                try records.unfinished(after: nil, limit: 10).map(\.id) == keys[..<10].map(\.id))
            try records.transaction { () throws(StoreError) in
                for index in [3, 12, 15] {
                    var done = keys[index]
                    done.lapse(retention: KeyPolicy().whileUnknown, now: done.createdAt)
                    #expect(try records.replace(done, expecting: keys[index].version))
                }
            }
            let left = keys.indices.filter { ![3, 12, 15].contains($0) }.map { keys[$0].id }
            let second = try records.unfinished(after: keys[9].id, limit: 10).map(\.id)
            #expect(second == Array(left[9..<19]))
            try records.transaction { () throws(StoreError) in
                #expect(try records.insert(late) == nil)
            }
            let rest = try records.unfinished(after: second.last, limit: 100).map(\.id)
            #expect(rest == Array(left[19...]) + [late.id])
            #expect(try records.unfinished(after: late.id, limit: 100).isEmpty)
        }
    }

    @Test func `nothing comes after the last id that there can be`() async throws {
        try await withFile { path in
            let records = try open(path, unindexed: 100)
            let key = try await record("k")
            var unknown = try await record("u")
            unknown.lapse(retention: KeyPolicy().whileUnknown, now: unknown.createdAt)
            try records.transaction { () throws(StoreError) in
                #expect(try records.insert(key) == nil)
                #expect(try records.insert(unknown) == nil)
            }
            let last = try #require(KeyID("ikey_7" + String(repeating: "Z", count: 25)))
            #expect(try records.unknown(after: nil, limit: 9).map(\.id) == [unknown.id])
            #expect(try records.unknown(after: key.id, limit: 9).map(\.id) == [unknown.id])
            #expect(try records.unknown(after: unknown.id, limit: 9).isEmpty)
            #expect(try records.unknown(after: last, limit: 9).isEmpty)
            #expect(try records.unfinished(after: last, limit: 9).isEmpty)
        }
    }

    /// Transactions that fail leave nothing behind, neither in the file nor in what memory adds
    /// to it, and what comes after them is found when the file is opened again.
    @Test(arguments: [0, 1, 4, 100])
    func `a transaction that fails leaves no trace`(_ unindexed: Int) async throws {
        try await withFile { path in
            var kept: [IdempotencyKey] = []
            var undone: [IdempotencyKey] = []
            do {
                let records = try open(path, unindexed: unindexed)
                for round in 0..<20 {
                    let keys = [try await record("a\(round)"), try await record("b\(round)")]
                    let fails = round % 3 == 1
                    let failure = StoreError(.full, "made to fail")
                    do throws(StoreError) {
                        try records.transaction { () throws(StoreError) in
                            for key in keys { #expect(try records.insert(key) == nil) }
                            if fails { throw failure }
                        }
                        kept += keys
                    } catch {
                        #expect(fails && error == failure)
                        undone += keys
                    }
                }
                try check(records, kept, undone)
            }
            let records = try open(path, unindexed: unindexed)
            try check(records, kept, undone)
            let locked = try records.unfinished(after: nil, limit: 100)
            #expect(locked.map(\.id) == kept.map(\.id))
            for key in undone {
                try records.transaction { () throws(StoreError) in
                    #expect(try records.insert(key) == nil)
                }
            }
            try check(records, kept + undone, [])
        }
    }

    private func check(
        _ records: Records, _ kept: [IdempotencyKey], _ undone: [IdempotencyKey]
    ) throws {
        for key in kept { #expect(try records.find(key.identity)?.isEqual(to: key) == true) }
        for key in undone {
            #expect(try records.find(key.identity) == nil)
            #expect(try records.find(key.id) == nil)
        }
    }

    /// Rows whose numbers are below what the file knows to be indexed are indexed at once.
    @Test func `a late record with an early number is found after a crash`() async throws {
        try await withFile { path in
            let early = try await record("early")
            do {
                let records = try open(path, unindexed: 0)
                for index in 0..<300 {
                    let key = try await record("\(index)")
                    try records.transaction { () throws(StoreError) in
                        _ = try records.insert(key)
                    }
                }
            }
            do {
                let records = try open(path, unindexed: 100)
                try records.transaction { () throws(StoreError) in _ = try records.insert(early) }
            }
            let records = try open(path, unindexed: 100)
            #expect(try records.find(early.identity)?.id == early.id)
            #expect(try records.unfinished(after: nil, limit: 1).map(\.id) == [early.id])
        }
    }
}

import Testing

/// What the database of a gateway holds that has ended, read without the gateway's own code.
struct StoredRecords {
    /// Each record's key, recovery point, and whether it is locked.
    let rows: [String]

    /// Reads the view of records that is meant for people.
    init(in directory: TemporaryDirectory) throws {
        let program = """
            import sqlite3, sys
            base = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
            for row in base.execute("SELECT idempotency_key, recovery_point, locked_at IS NOT NULL"
                                    " FROM idempotency_keys ORDER BY idempotency_key"):
                print(row[0], row[1], "locked" if row[2] else "free")
            """
        let process = try ChildProcess(
            "/usr/bin/python3", ["-c", program, "\(directory.path)/oncegate.db"],
            in: directory.path)
        let exit = try process.waitForExit()
        rows = try process.output.complete()
        let errors = try process.errors.complete()
        #expect(exit == .code(0), "\(errors)")
    }
}

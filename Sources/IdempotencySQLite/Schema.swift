private import CIdempotencySQLite
internal import Idempotency

/// The tables, and how a file of an older version gets them. Who looks into the file finds the
/// records by the contract's names in the view `idempotency_keys`.
enum Schema {
    /// Marks the file as ours: `OGK1`.
    static let applicationID: Int64 = 0x4F47_4B31

    /// What leads from each version to the next, the first from an empty file.
    static let migrations = [
        """
        CREATE TABLE idempotency_records (
            sequence INTEGER PRIMARY KEY,
            id TEXT NOT NULL,
            idempotency_key TEXT NOT NULL,
            scope BLOB NOT NULL,
            fingerprint BLOB NOT NULL,
            created_at INTEGER NOT NULL,
            request_method TEXT NOT NULL,
            request_path TEXT NOT NULL,
            request_params TEXT NOT NULL,
            owner TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            revision INTEGER NOT NULL,
            recovery_point TEXT NOT NULL,
            updated_at INTEGER NOT NULL,
            locked_at INTEGER,
            lock_token BLOB,
            lease_until INTEGER,
            expires_at INTEGER,
            tombstone_until INTEGER,
            reap_at INTEGER,
            reply INTEGER
        );
        CREATE TABLE idempotency_replies (
            reply INTEGER PRIMARY KEY,
            response_code INTEGER NOT NULL,
            response_headers BLOB NOT NULL,
            response_body BLOB
        );
        CREATE VIEW idempotency_keys AS
            SELECT * FROM idempotency_records LEFT JOIN idempotency_replies USING (reply);
        CREATE INDEX idempotency_records_reap_at ON idempotency_records (reap_at)
            WHERE reap_at IS NOT NULL;
        CREATE TABLE idempotency_identities (identity BLOB PRIMARY KEY, sequence INTEGER NOT NULL)
            WITHOUT ROWID;
        CREATE TABLE idempotency_store (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
        INSERT INTO idempotency_store VALUES
            ('identity_key', randomblob(16)), ('unfinished_from', 0), ('unindexed_from', 0);
        """,
        """
        ALTER TABLE idempotency_records ADD COLUMN route TEXT NOT NULL DEFAULT '';
        ALTER TABLE idempotency_records ADD COLUMN probe_target TEXT;
        CREATE INDEX idempotency_records_unknown ON idempotency_records (sequence)
            WHERE recovery_point = 'unknown' AND lock_token IS NOT NULL;
        DROP VIEW idempotency_keys;
        CREATE VIEW idempotency_keys AS
            SELECT * FROM idempotency_records LEFT JOIN idempotency_replies USING (reply);
        """,
        """
        ALTER TABLE idempotency_records ADD COLUMN resumable INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE idempotency_records ADD COLUMN pending_stage TEXT;
        ALTER TABLE idempotency_records ADD COLUMN stages INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE idempotency_records ADD COLUMN content INTEGER NOT NULL DEFAULT 0;
        CREATE TABLE idempotency_stages (
            sequence INTEGER NOT NULL,
            position INTEGER NOT NULL,
            recovery_point TEXT NOT NULL,
            reached_at INTEGER NOT NULL,
            response_code INTEGER,
            response_headers BLOB,
            response_body BLOB,
            PRIMARY KEY (sequence, position)
        );
        CREATE INDEX idempotency_records_suspended ON idempotency_records (sequence)
            WHERE content <> 0 AND locked_at IS NULL
                AND recovery_point NOT IN ('finished', 'unknown');
        DROP VIEW idempotency_keys;
        CREATE VIEW idempotency_keys AS
            SELECT * FROM idempotency_records LEFT JOIN idempotency_replies USING (reply);
        """,
    ]

    /// Refuses a file that is not ours or too new, and brings an older one up to date, each step
    /// in a transaction of its own.
    static func prepare(_ connection: Connection, durability: SQLiteStore.Durability)
        throws(StoreError)
    {
        let version = try recognise(connection)
        // It takes effect in an empty file alone.
        try connection.run("PRAGMA auto_vacuum = INCREMENTAL")
        try connection.run("PRAGMA journal_mode = WAL")
        try connection.run("PRAGMA synchronous = \(durability.rawValue)")
        // The log's end may be a commit that failed in an earlier process: in the kernel's memory,
        // and not on the disk. Nothing may be appended to it.
        try connection.run("PRAGMA wal_checkpoint(TRUNCATE)")
        for next in Int(version)..<migrations.count {
            try connection.run(
                """
                BEGIN EXCLUSIVE;
                \(migrations[next])
                PRAGMA application_id = \(applicationID);
                PRAGMA user_version = \(next + 1);
                COMMIT;
                """)
        }
    }

    /// The version of a file that is ours, or empty.
    private static func recognise(_ connection: Connection) throws(StoreError) -> Int64 {
        let application = try connection.number("PRAGMA application_id")
        let version = try connection.number("PRAGMA user_version")
        let tables = try connection.number("SELECT count(*) FROM sqlite_schema")
        guard application == applicationID || (application == 0 && version == 0 && tables == 0)
        else {
            throw StoreError(
                .corrupt,
                "\(connection.path): the database of another program; it was left as it is: name"
                    + " another path")
        }
        guard version <= migrations.count else {
            throw StoreError(
                .newer,
                "\(connection.path): written by a newer version (schema \(version), this one knows"
                    + " \(migrations.count)); it was left as it is: run that version")
        }
        return version
    }
}

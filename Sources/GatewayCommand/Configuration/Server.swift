extension Configuration {
    /// An address at which clients are served.
    struct Listener: Section {
        var address = Address.tcp(host: "127.0.0.1", port: 8080)
        /// Who may connect to a Unix socket; nil for what the process's umask leaves.
        var mode: FileMode?
        /// Whether every connection begins with a PROXY header.
        var proxyProtocol = false

        static var members: [Member<Listener>] {
            [
                Member("address", \.address, .address),
                Member("mode", \.mode, .orNull(.fileMode)),
                .unsupported("tls", except: .null),
                Member("proxy_protocol", \.proxyProtocol, .flag),
            ]
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            guard let place = cursor.given("mode"), case .tcp = address,
                !reading.isFlawed(cursor.missing("address").path)
            else { return }
            reading.tell("has no effect unless the address is \"unix:PATH\"", at: place)
        }
    }

    /// Where operators and scrapers are served.
    struct Admin: Section {
        var address = Address.tcp(host: "127.0.0.1", port: 9901)
        /// What callers of the HTTP service show.
        var token: Secret?

        static var members: [Member<Admin>] {
            [
                Member("address", \.address, .address),
                Member("token", \.token, .orNull(.secret)),
            ]
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            guard !address.isLocal, cursor.given("token") == nil else { return }
            reading.tell(
                "expected a token, such as \"${ADMIN_TOKEN}\": \"\(address.text)\" is not "
                    + "a loopback address or a Unix socket",
                at: cursor.member("token") ?? cursor.missing("token"))
        }
    }

    /// Where records are kept.
    struct Store: Section {
        /// The kinds of store that there are.
        enum Kind: String, CaseIterable { case sqlite }

        /// How sure a commit is.
        enum Durability: String, CaseIterable {
            /// On the disk before anything is forwarded.
            case full
            /// In the kernel's hands: a process that dies loses nothing, a machine may.
            case normal
        }

        var kind = Kind.sqlite
        /// Relative to the working directory.
        var path = "oncegate.db"
        var durability = Durability.full
        /// Bytes of finished replies that are kept ready in memory.
        var cache = 64 << 20
        /// Bytes of conclusions that are kept beside the store while it does not take them; nil
        /// for none.
        var journal: Int? = 256 << 20
        /// Stored bodies longer than this are compressed; nil compresses none.
        var compressAbove: Int?
        /// What answers are encrypted with: the first one writes, all of them read. None writes
        /// them as they are.
        var encryptionKeys: [Secret] = []

        static var members: [Member<Store>] {
            [
                Member("type", \.kind, .word(unsupported: ["postgres", "redis"])),
                Member("path", \.path, .plain("the path of a file")),
                Member("durability", \.durability, .word()),
                Member("cache", \.cache, .size(0...(1 << 40))),
                Member("journal", \.journal, .or("none", .size((1 << 20)...(1 << 40)))),
                Member("compress_above", \.compressAbove, .or("none", .size(0...(1 << 30)))),
                Member("encryption_key", \.encryptionKeys, .encryptionKeys),
                .unsupported("url", except: .null, isPrinted: false),
                .unsupported("connections", except: .null, isPrinted: false),
            ]
        }
    }

    /// Where keyed requests' bodies wait that are too long for memory.
    struct Spool: Section {
        /// Nil for the directory of the store's file.
        var directory: String?
        /// Bytes of all of them together.
        var limit = 1 << 30

        static var members: [Member<Spool>] {
            [
                Member("directory", \.directory, .orNull(.writableDirectory)),
                Member("limit", \.limit, .size((64 << 10)...(1 << 50))),
            ]
        }
    }

    /// What is logged.
    struct Log: Section {
        /// From the most talkative to the most silent.
        enum Level: String, CaseIterable { case debug, info, warning, error }

        var level = Level.info
        /// Whether there is a line per request.
        var access = true

        static var members: [Member<Log>] {
            [
                Member("level", \.level, .word()),
                Member("access", \.access, .flag),
            ]
        }
    }

    /// What a client may ask of the server.
    struct Limits: Section {
        /// Open at one time.
        var connections = 10_000
        /// Bytes.
        var requestLine = 16 << 10
        /// Bytes of a whole field section.
        var fields = 64 << 10
        var fieldCount = 128
        /// Bytes; nil for no limit beside the routes' own.
        var body: Int?
        /// Transfers that go on without their client, at one time.
        var detached = 10_000

        static var members: [Member<Limits>] {
            [
                Member("connections", \.connections, .count(1...1_000_000)),
                Member("request_line", \.requestLine, .size(256...(1 << 20))),
                Member("fields", \.fields, .size(1024...(16 << 20))),
                Member("field_count", \.fieldCount, .count(8...10_000)),
                Member("body", \.body, .or("none", .size(0...(1 << 50)))),
                Member("detached", \.detached, .count(0...1_000_000)),
            ]
        }
    }

    /// How long the server waits for a client.
    struct Timeouts: Section {
        var requestHead = Duration.seconds(10)
        var bodyIdle = Duration.seconds(30)
        var keepAlive = Duration.seconds(75)
        var writeIdle = Duration.seconds(30)
        /// From SIGTERM to the end of what is still running.
        var drain = Duration.seconds(30)
        /// From SIGTERM, and `/readyz` saying so, to the end of accepting.
        var drainDelay = Duration.zero

        static var members: [Member<Timeouts>] {
            [
                Member("request_head", \.requestHead, .duration(waiting)),
                Member("body_idle", \.bodyIdle, .duration(waiting)),
                Member("keep_alive", \.keepAlive, .duration(waiting)),
                Member("write_idle", \.writeIdle, .duration(waiting)),
                Member("drain", \.drain, .duration(.zero...waiting.upperBound)),
                Member("drain_delay", \.drainDelay, .duration(.zero...waiting.upperBound)),
            ]
        }
    }

    /// What a wait on a connection can last.
    static let waiting = Duration.milliseconds(10)...Duration.days(1)
}

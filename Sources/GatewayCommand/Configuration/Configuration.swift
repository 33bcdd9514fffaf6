import JSON
import Transport

/// What `gateway.json` says, every default filled in.
struct Configuration: Section {
    var listeners = [Listener()]
    /// Nil without an admin listener.
    var admin: Admin? = Admin()
    /// Nil for as many as there are processors.
    var threads: Int?
    var store = Store()
    var spool = Spool()
    var log = Log()
    var limits = Limits()
    var timeouts = Timeouts()
    /// Peers whose `Forwarded` or `X-Forwarded-*` are believed.
    var trustedProxies: [TrustedProxy] = []
    /// Which of the two is believed, and told to upstreams.
    var forwarded = Forwarded.xForwarded
    /// Nil gives requests no ids.
    var requestID: RequestID? = RequestID()
    var trace = Trace.pass
    /// In the order of the file.
    var upstreams: [Named<Upstream>] = []
    /// The first that matches takes a request.
    var routes: [Route] = []

    static var members: [Member<Configuration>] {
        [
            Member("listeners", \.listeners, .list(.object, count: 1...64, onOneLine: false)),
            Member("admin", \.admin, .orNull(.object)),
            Member("threads", \.threads, .or("auto", .count(1...1024))),
            Member("store", \.store, .object),
            Member("spool", \.spool, .object),
            Member("log", \.log, .object),
            Member("limits", \.limits, .object),
            Member("timeouts", \.timeouts, .object),
            Member("trusted_proxies", \.trustedProxies, .list(.trustedProxy)),
            Member("forwarded", \.forwarded, .word()),
            Member("request_id", \.requestID, .orNull(.object)),
            Member("trace", \.trace, .word()),
            .required("upstreams", \.upstreams, .named()),
            .required("routes", \.routes, .list(.object, count: 1...10_000, onOneLine: false)),
        ]
    }

    mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
        checkAddresses(cursor, &reading)
        checkUpstreams(cursor, &reading)
        checkBackendStages(cursor, &reading)
        checkRequestID(cursor, &reading)
        nameRoutes(cursor, &reading)
    }

    /// No two may have one address, however it is written: their sockets would share it by
    /// `SO_REUSEPORT`, and the kernel would deal clients out between them.
    private func checkAddresses(_ cursor: Cursor, _ reading: inout Reading) {
        var taken: Set<SocketAddress> = []
        let places = cursor.member("listeners")?.elements ?? []
        for (listener, place) in zip(listeners, places)
        where !isFree(listener.address) && !reading.isFlawed(place.path) {
            guard !taken.insert(listener.address.socketAddress.canonical).inserted else { continue }
            reading.tell("another listener has this address", at: place.member("address") ?? place)
        }
        if places.isEmpty { taken = Set(listeners.map(\.address.socketAddress.canonical)) }
        let place = cursor.member("admin")
        guard let admin, taken.contains(admin.address.socketAddress.canonical),
            !reading.isFlawed("admin")
        else { return }
        reading.tell(
            "a listener has the address \"\(admin.address.text)\"",
            at: place?.member("address") ?? cursor.missing("admin"))
    }

    private func isFree(_ address: Address) -> Bool {
        if case .tcp(_, port: 0) = address { true } else { false }
    }

    private func checkUpstreams(_ cursor: Cursor, _ reading: inout Reading) {
        let names = cursor.member("upstreams")?.value.members?.map(\.name) ?? []
        for route in cursor.member("routes")?.elements ?? [] {
            checkUpstream(of: route, among: names, &reading)
            let stages = route.member("idempotency")?.member("stages")?.elements ?? []
            for stage in stages {
                checkUpstream(of: stage, among: names, &reading)
                if let compensation = stage.member("compensate") {
                    checkUpstream(of: compensation, among: names, &reading)
                }
            }
        }
    }

    private func checkUpstream(
        of cursor: Cursor, among names: [String], _ reading: inout Reading
    ) {
        guard let place = cursor.member("upstream"), let written = place.value.string,
            let name = try? reading.environment.fillIn(written), !names.contains(name)
        else { return }
        let hint = Suggestion.phrase(for: written, among: names)
        reading.tell("there is no upstream \"\(written)\"" + hint, at: place)
    }

    /// Routes without a name take their path; logs and metrics tell them apart by it.
    private mutating func nameRoutes(_ cursor: Cursor, _ reading: inout Reading) {
        var taken: Set<String> = []
        for (route, place) in zip(routes, cursor.member("routes")?.elements ?? []) {
            guard let name = route.name, !taken.insert(name).inserted else { continue }
            reading.tell("another route has this name", at: place.member("name") ?? place)
        }
        for index in routes.indices where routes[index].name == nil {
            let path = routes[index].path
            var (name, number) = (path, 1)
            while !taken.insert(name).inserted {
                number += 1
                name = "\(path)#\(number)"
            }
            routes[index].name = name
        }
    }
}

extension Configuration {
    /// What came of a text.
    struct Result {
        /// Nil when there are mistakes.
        let configuration: Configuration?
        /// In the order of their places.
        let mistakes: [Mistake]
        /// The paths of the values that are not to be shown.
        let secrets: Set<String>

        /// The effective configuration as indented JSON, with a line end; nil after mistakes.
        var effective: [UInt8]? {
            guard let configuration else { return nil }
            var printing = Printing(secrets: secrets)
            configuration.write(&printing)
            printing.json.endLine()
            return printing.json.bytes
        }
    }

    /// Reads a whole configuration, and tells all its mistakes.
    static func read(_ text: [UInt8], _ environment: Environment) -> Result {
        var reading = Reading(text[...], environment)
        do {
            let document = Cursor(try JSON.parse(text[...], duplicates: .kept))
            let configuration = read(document, &reading)
            let mistakes = reading.mistakes.sorted {
                ($0.place?.line ?? 0, $0.place?.column ?? 0)
                    < ($1.place?.line ?? 0, $1.place?.column ?? 0)
            }
            return Result(
                configuration: mistakes.isEmpty ? configuration : nil, mistakes: mistakes,
                secrets: reading.secrets)
        } catch {
            let mistake = Mistake(place: error.place, path: "", message: error.message)
            return Result(configuration: nil, mistakes: [mistake], secrets: [])
        }
    }

    /// Reads the configuration of a file.
    static func read(file path: String, _ environment: Environment = .process) -> Result {
        do {
            return read(try environment.file(path), environment)
        } catch {
            let mistake = Mistake(
                place: nil, path: "", message: "the file cannot be read: \(error.message)")
            return Result(configuration: nil, mistakes: [mistake], secrets: [])
        }
    }
}

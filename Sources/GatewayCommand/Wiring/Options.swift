import Admin
import Crypto
import CurlUpstream
import Gateway
import HTTP
import HTTPServer
import Idempotency
import IdempotencySQLite
import Telemetry
import Transport

// What the configuration says, in the words of the rooms.

extension Configuration {
    /// The routes and upstreams.
    ///
    /// - Throws: ``StartError`` for a pattern that the router does not take.
    func routingTable() throws(StartError) -> RoutingTable {
        var table: [Gateway.Route] = []
        for route in routes { table.append(try self.route(route)) }
        return RoutingTable(
            routes: table,
            upstreams: upstreams.map { upstream in
                Gateway.Upstream(
                    name: upstream.name, authority: upstream.value.url.authority,
                    host: upstream.value.hostField,
                    tunnelIdle: upstream.value.timeouts.tunnelIdle,
                    forwardedForm: upstream.value.forwarded?.form)
            }, edges: edges)
    }

    private var trustedPeers: TrustedPeers {
        let blocks = trustedProxies.compactMap { proxy in
            if case .block(let block, _) = proxy { block } else { nil }
        }
        return TrustedPeers(blocks, unixSockets: trustedProxies.contains(.unix))
    }

    private var edges: Edges {
        Edges(
            trusted: trustedPeers, form: forwarded.form,
            requestIDs: requestID.map { .init($0.header, accepting: $0.acceptance) },
            tracing: trace == .make ? .make : .pass)
    }

    private func route(_ route: Route) throws(StartError) -> Gateway.Route {
        let name = route.name ?? route.path
        guard let upstream = upstreams.firstIndex(where: { $0.name == route.upstream }) else {
            throw StartError("route \(name): there is no upstream \"\(route.upstream)\"")
        }
        do {
            let path = try PathPattern(route.path)
            return Gateway.Route(
                name: name, host: try route.host.map { try HostPattern($0) }, path: path,
                methods: route.methods.map { MethodSet($0.map { HTTP.Method($0) }) },
                upstream: upstream,
                rewrite: try route.rewrite.map { try PathRewrite($0, for: path) },
                bodyLimit: [limits.body, route.limits.body].compactMap { $0 }.min(),
                keys: try route.idempotency.map { keys in
                    var rules = try keys.rules(for: path, of: upstreams[upstream].value)
                    // An id is of one request; each replay has its own.
                    if let requestID { rules.replayWithout.append(requestID.header) }
                    rules.stages = try stages(of: keys, on: path, from: upstream)
                    // What nobody knows is a single stage's outcome, and that stage's policy counts.
                    if rules.stages != nil { rules.policy.unknown = .hold }
                    return rules
                },
                requestFields: try route.requestFields.rules(for: path),
                answerFields: try route.responseFields.rules(for: path),
                crossOrigin: route.cors.map {
                    CrossOrigin(origins: $0.origins, credentials: $0.credentials)
                })
        } catch {
            throw StartError("route \(name): \(error)")
        }
    }

    /// What the server allows its clients.
    var serverOptions: ServerOptions {
        var options = ServerOptions(refusal: BadRequest.answer)
        options.limits = HTTPLimits(
            requestLine: limits.requestLine, fields: limits.fields, fieldCount: limits.fieldCount)
        options.requestHead = timeouts.requestHead
        options.bodyIdle = timeouts.bodyIdle
        options.keepAlive = timeouts.keepAlive
        options.writeIdle = timeouts.writeIdle
        options.trustedPeers = trustedPeers
        options.lastAnswer = LastAnswer.answer
        return options
    }

    /// Who may see and change keys.
    var adminAccess: AdminAccess {
        guard let token = admin?.token else { return AdminAccess(isToken: nil) }
        let expected = Array(token.value.utf8)
        return AdminAccess { constantTimeEquals($0, expected) }
    }

    /// The room for long bodies.
    func openSpool() throws(StartError) -> SpoolSpace {
        let path = store.path
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : path[..<$0] }
        do throws(SpoolError) {
            return try SpoolSpace(
                directory: spool.directory ?? String(parent ?? "."), limit: spool.limit)
        } catch {
            throw StartError("\(error); name another directory in spool.directory")
        }
    }

    /// How many event loops there are to be.
    var loopCount: Int { threads ?? processorCount() }
}

extension Configuration.Forwarded {
    fileprivate var form: Edges.ForwardedForm {
        switch self {
        case .xForwarded: .xForwarded
        case .rfc7239: .standard
        case .both: .both
        case .none: .none
        }
    }
}

extension Configuration.RequestID {
    fileprivate var acceptance: Edges.RequestIDRules.Acceptance {
        switch accept {
        case .trusted: .trusted
        case .all: .all
        case .none: .none
        }
    }
}

extension Configuration.FieldRules {
    /// The rules; nil where there is nothing to be done.
    fileprivate func rules(for path: PathPattern) throws(PatternError) -> Gateway.FieldRules? {
        func compiled(_ lines: [Line]) throws(PatternError) -> [Gateway.FieldRules.Line] {
            var compiled: [Gateway.FieldRules.Line] = []
            for line in lines {
                let value = try Template(line.value, for: path, words: .ofFieldRule)
                compiled.append(.init(line.name, value))
            }
            return compiled
        }
        guard !isEmpty else { return nil }
        return Gateway.FieldRules(
            remove: remove, set: try compiled(set), add: try compiled(add))
    }
}

extension Configuration.Upstream {
    fileprivate var hostField: Gateway.Upstream.HostField {
        switch host {
        case .keep: .keep
        case .upstream: .upstream
        case .text(let text): .text(text)
        }
    }

    /// How one of `loops` event loops speaks to it.
    ///
    /// - Parameter inFlight: Shared by all of them.
    func options(loops: Int, _ inFlight: InFlightLimit?) -> UpstreamOptions {
        var options: UpstreamOptions
        switch url {
        case .tcp: options = UpstreamOptions(url: url.text)
        case .unix(let path):
            options = UpstreamOptions(url: "http://localhost")
            options.unixSocket = path
        }
        options.connectTimeout = timeouts.connect
        options.idleTimeout = timeouts.idle
        options.totalTimeout = timeouts.total
        options.keptConnections = (keepAlive.connections + loops - 1) / loops
        options.keptFor = keepAlive.idle
        options.authorities = tls.ca
        options.verifies = tls.verify
        options.certificate = tls.certificate
        options.privateKey = tls.privateKey
        options.inFlight = inFlight
        return options
    }
}

extension Configuration.Idempotency {
    fileprivate func rules(
        for path: PathPattern, of upstream: Configuration.Upstream
    ) throws(PatternError) -> KeyRules {
        var rules = KeyRules(scope: keyScope)
        if stages == nil {
            rules.probe = try probe.map { probe throws(PatternError) in
                try probe.rules(for: path, of: upstream)
            }
        }
        switch key {
        case .required: rules.absentKey = .required
        case .create: rules.absentKey = .create
        case .pass: rules.absentKey = .pass
        }
        rules.isShadow = mode == .shadow
        rules.header = header
        switch from {
        case .header(let name): rules.source = .header(name)
        case .json(let pointer): rules.source = .json(pointer)
        case .fingerprint: rules.source = .fingerprint
        case nil: rules.source = nil
        }
        switch forwardKey {
        case .no: rules.forwardedName = nil
        case .yes: rules.forwardedName = header
        case .renamed(let name): rules.forwardedName = name
        }
        rules.methods = MethodSet(methods.map { HTTP.Method($0) })
        rules.fingerprint = fingerprint.rules
        rules.inFlight = inFlight == .wait ? .wait : .reject
        rules.waitLimit = waitLimit
        rules.answerWithin = answerWithin
        rules.keep = StatusSet(keep)
        rules.release = StatusSet(release)
        rules.replayWithout = replayWithout
        rules.responseLimit = responseLimit
        rules.streams = stream
        rules.storeDown = storeDown == .pass ? .pass : .refuse
        rules.hasBackendStages = backendStages
        rules.policy.unknown = unknown == .retry ? .retry : .hold
        rules.policy.lease = lease
        rules.policy.retention = retention
        rules.policy.unknownRetention = unknownRetention
        rules.policy.tombstone = tombstone
        rules.policy.waiters = inFlight == .wait ? waiters : 0
        return rules
    }

    private var keyScope: KeyRules.Scope {
        switch scope {
        case .shared: .shared
        case .fields(let names): .fields(names)
        }
    }
}

extension Configuration.Idempotency.Fingerprint {
    fileprivate var rules: FingerprintRules {
        var rules = FingerprintRules()
        rules.query = query
        rules.fields = headers
        rules.ignore = ignore
        switch body {
        case .auto: rules.body = .auto
        case .bytes: rules.body = .bytes
        case .none: rules.body = .none
        case .pointers(let pointers): rules.body = .pointers(pointers)
        }
        return rules
    }
}

extension Configuration.Log {
    /// The log on standard error, with access lines on standard output.
    func open() -> Telemetry.Log {
        Telemetry.Log(level: Telemetry.Log.Level(rawValue: level.rawValue) ?? .info, access: access)
    }
}

extension Configuration.Store {
    /// Opens the file. It blocks.
    func open() throws(StoreError) -> SQLiteStore {
        var options = SQLiteStore.Options()
        options.durability = durability == .full ? .full : .normal
        options.deliver = { resumeAll in EventLoop.coalescingWakeups(resumeAll) }
        return try SQLiteStore(path: path, options: options)
    }

    /// Opens the file beside the store's in which conclusions wait for it; nil where none is
    /// wanted. It blocks.
    func openJournal() throws(StoreError) -> FileJournal? {
        guard let journal else { return nil }
        var options = FileJournal.Options()
        options.limit = journal
        return try FileJournal(path: path + ".conclusions", options: options)
    }

    /// How answers are written down.
    var replyCoding: any ReplyCoding {
        SealedReplies(
            compressAbove: compressAbove,
            keys: encryptionKeys.compactMap { SealingKey(hexadecimal: $0.value) })
    }
}

extension Address {
    var socketAddress: SocketAddress {
        switch self {
        case .tcp("localhost", let port): .ip(host: "127.0.0.1", port: port)
        case .tcp(let host, let port): .ip(host: host, port: port)
        case .unix(let path): .unix(path: path)
        }
    }
}

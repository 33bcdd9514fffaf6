extension Configuration {
    /// A server that requests are forwarded to.
    struct Upstream: Section {
        /// Which `Host` a request leaves with.
        enum HostField: Sendable, Hashable {
            /// The client's own.
            case keep
            /// The upstream's own.
            case upstream
            case text(String)
        }

        var url = UpstreamURL.unix(path: "")
        var host = HostField.keep
        var timeouts = Timeouts()
        var keepAlive = KeepAlive()
        var tls = TLS()
        /// How it is told who asks; nil for as all are.
        var forwarded: Forwarded?
        /// Requests at one time, over all threads; nil for no limit.
        var maxInFlight: Int?

        static var members: [Member<Upstream>] {
            [
                .required("url", \.url, .upstreamURL),
                Member("host", \.host, hostField),
                Member("timeouts", \.timeouts, .object),
                Member("keep_alive", \.keepAlive, .object),
                Member("tls", \.tls, .object),
                Member("forwarded", \.forwarded, .orNull(.word())),
                Member("max_in_flight", \.maxInFlight, .or("none", .count(1...1_000_000))),
            ]
        }

        private static var hostField: Notation<HostField> {
            .text(
                "\"keep\", \"upstream\" or a host such as \"api.internal\"",
                parse: { text throws(Invalid) in
                    switch text {
                    case "keep": return .keep
                    case "upstream": return .upstream
                    default:
                        guard !text.isEmpty, text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
                            !text.contains(where: { "/@?#,".contains($0) })
                        else {
                            throw Invalid(
                                "expected \"keep\", \"upstream\" or a host such as "
                                    + "\"api.internal\"")
                        }
                        return .text(text)
                    }
                },
                print: { host in
                    switch host {
                    case .keep: "keep"
                    case .upstream: "upstream"
                    case .text(let text): text
                    }
                })
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            guard let written = cursor.member("tls"), let place = cursor.member("url"),
                !reading.isFlawed(place.path), !url.isSecure,
                tls.ca != nil || !tls.verify || tls.certificate != nil
            else { return }
            reading.tell("has no effect without \"https://\" in the url", at: written)
        }
    }
}

extension Configuration.Upstream {
    /// How long an upstream may take.
    struct Timeouts: Section {
        var connect = Duration.seconds(3)
        /// Without a byte in either direction.
        var idle = Duration.seconds(60)
        /// For a whole exchange; nil for no limit.
        var total: Duration?
        /// For a connection that has switched protocols, without a byte in either direction; nil
        /// for no limit.
        var tunnelIdle: Duration? = .seconds(3600)

        static var members: [Member<Timeouts>] {
            [
                Member("connect", \.connect, .duration(Configuration.waiting)),
                Member("idle", \.idle, .duration(Configuration.waiting)),
                Member("total", \.total, .or("none", .duration(Configuration.waiting))),
                Member("tunnel_idle", \.tunnelIdle, .or("none", .duration(Configuration.waiting))),
            ]
        }
    }

    /// Connections that are kept for the next request.
    struct KeepAlive: Section {
        /// Idle ones, over all threads.
        var connections = 256
        var idle = Duration.seconds(30)

        static var members: [Member<KeepAlive>] {
            [
                Member("connections", \.connections, .count(0...100_000)),
                Member("idle", \.idle, .duration(Configuration.waiting)),
            ]
        }
    }

    /// How an `https` upstream is known, and how the gateway is known to it.
    struct TLS: Section {
        /// A file of PEM certificates; nil for the system's own.
        var ca: String?
        var verify = true
        /// A file with a PEM certificate chain.
        var certificate: String?
        /// A file with the PEM key of the certificate.
        var privateKey: String?

        static var members: [Member<TLS>] {
            [
                Member("ca", \.ca, .orNull(.readableFile)),
                Member("verify", \.verify, .flag),
                Member("certificate", \.certificate, .orNull(.readableFile)),
                Member("private_key", \.privateKey, .orNull(.readableFile)),
            ]
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            let pair = ["certificate", "private_key"]
            let given = pair.filter { cursor.given($0) != nil }
            guard given.count == 1, let missing = pair.first(where: { $0 != given[0] }) else {
                return
            }
            reading.tell(
                "is missing; a certificate and its key are given together",
                at: cursor.member(missing) ?? cursor.missing(missing))
        }
    }
}

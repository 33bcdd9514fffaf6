/// Where a peer and this gateway part on one input: the first request that one forwards and the
/// other does not, or not in the same way.
struct Disagreement {
    let peer: String
    let input: String
    let ours: Observation
    let theirs: Observation
    /// What we forward there, and what the peer does; nil where it is nothing.
    let our: Observation.Forwarded?
    let their: Observation.Forwarded?

    /// Nil where both forward the same, and nothing that an origin cannot read.
    init?(_ input: [UInt8], _ ours: Observation, _ theirs: Observation, peer: String) {
        let (mine, others) = (ours.forwarded, theirs.forwarded)
        guard mine != others || !theirs.violations.isEmpty else { return nil }
        self.peer = peer
        self.input = latin(input)
        self.ours = ours
        self.theirs = theirs
        let index = zip(mine, others).prefix { $0 == $1 }.count
        our = index < mine.count ? mine[index] : nil
        their = index < others.count ? others[index] : nil
    }

    /// Whether we forward less than the peer; it may be something that its origin cannot read.
    var weStop: Bool { our == nil && (their != nil || !theirs.violations.isEmpty) }
    /// Whether the peer forwards less than we.
    var theyStop: Bool { our != nil && their == nil }

    /// Whether one side alone forwards a request with one of these methods, and the other goes on
    /// behind it, or stops.
    func isSkippedByOne(of methods: [String]) -> Bool {
        if let their, methods.contains(their.method) {
            return our.map { theirs.forwarded.contains($0) } ?? true
        }
        return their == nil && our.map { methods.contains($0.method) } == true
    }

    var description: String {
        """
        \(peer): \(input.debugDescription)
            we: \(ours.forwarded.map(\.description)) \(ours.status) \(ours.detail)
            \(peer): \(theirs.forwarded.map(\.description)) \(theirs.status) \(theirs.violations)
        """
    }
}

/// A reason why a peer and this gateway part, of the table in the article `Disagreements`.
struct DisagreementRule: Sendable {
    /// The first cell of its row there.
    let name: String
    let applies: @Sendable (Disagreement) -> Bool

    init(_ name: String, _ applies: @escaping @Sendable (Disagreement) -> Bool) {
        self.name = name
        self.applies = applies
    }

    /// A rule for what we refuse, by what we say of it, and the peer forwards.
    init(_ name: String, saying texts: String...) {
        self.init(name) { found in
            found.weStop && texts.contains { found.ours.detail.contains($0) }
        }
    }
}

extension Disagreement {
    /// The first that applies explains a disagreement.
    static let rules: [DisagreementRule] = [
        .init("line-ends", saying: "a line ends in LF", "a CR without LF"),
        .init("control-bytes", saying: "a control byte in the head"),
        .init(
            "request-line", saying: "the method is not a token", "there is no HTTP version",
            "the request target is empty", "empty lines before"),
        .init("target-bytes", saying: "a byte in the request target"),
        .init(
            "target-form", saying: "neither a path nor an http URI", "the authority of the request",
            "is for OPTIONS alone", "an https resource", "CONNECT is not served"),
        .init("version", saying: "the HTTP version"),
        .init("host", saying: "there is no Host", "more than one Host", "the Host is malformed"),
        .init("fold", saying: "a field line is folded"),
        .init("field-name", saying: "a field name is"),
        .init("length", saying: "more than one Content-Length", "the Content-Length is not"),
        .init("length-and-coding", saying: "both Content-Length and Transfer-Encoding"),
        .init(
            "coding", saying: "more than one Transfer-Encoding",
            "the Transfer-Encoding is malformed",
            "a transfer coding besides chunked", "not allowed in HTTP/1.0"),
        .init("expectation", saying: "the expectation is not known"),
        .init(
            "chunks", saying: "a chunk size", "a chunk is longer", "a control byte in a chunk",
            "a chunk extension", "The request body is malformed"),
        .init("limits", saying: "too many field lines", "longer than its limit"),
        // What does not end our connection, so that more may follow.
        .init("percent") { $0.ours.detail.contains("malformed percent sequence") },
        .init("trace") { found in
            found.ours.detail.contains("A TRACE request")
                || found.ours.detail.contains("The Max-Forwards field")
                || found.input.lowercased().contains("max-forwards")
                    && found.isSkippedByOne(of: ["TRACE", "OPTIONS"])
        },
        .init("head") { found in
            found.weStop && found.ours.detail.isEmpty && found.ours.status >= 400
                && found.input.contains("HEAD ")
        },
        .init("trace-answered") { found in
            found.input.lowercased().contains("max-forwards:") && found.peer == "nginx"
                && [400, 405].contains(found.theirs.status)
        },
        // What the peer refuses.
        .init("nginx-methods") { found in
            guard found.peer == "nginx", found.theyStop, let method = found.our?.method else {
                return false
            }
            return ["TRACE", "CONNECT"].contains(method)
                || !method.allSatisfy { $0.isASCII && $0.isUppercase || "_-".contains($0) }
        },
        .init("nginx-star") { $0.peer == "nginx" && $0.our?.target == "*" },
        .init("nginx-dots") { found in
            found.peer == "nginx" && found.theyStop && found.our?.target.contains("..") == true
        },
        .init("nginx-tab") { found in
            found.peer == "nginx" && found.theyStop && [400, 501].contains(found.theirs.status)
                && found.input.contains("\t")
        },
        .init("close") { found in
            let input = found.input.lowercased()
            guard input.contains("close") || input.contains("keep-alive") else { return false }
            return found.theyStop && found.theirs.status == 200
                || found.weStop && found.ours.status == 200
        },
        .init("nginx-twice") { found in
            let names = found.input.lowercased().split(separator: "\r\n").compactMap { line in
                line.split(separator: ":").first.map(String.init)
            }
            return found.peer == "nginx" && found.theyStop && found.theirs.status == 400
                && Disagreement.onceInNginx.contains { name in
                    names.filter { $0 == name }.count > 1
                }
        },
        .init("nginx-authority") { found in
            guard found.peer == "nginx", found.theyStop, found.theirs.status == 400,
                let host = found.our?.host, found.input.contains("://")
            else { return false }
            return host.contains("..")
                || !host.allSatisfy {
                    $0.isASCII && ($0.isLetter || $0.isNumber) || ".-".contains($0)
                }
        },
        .init("haproxy-limits") { found in
            let lines = found.input.split(separator: "\r\n")
            return found.peer == "haproxy" && found.theyStop && found.theirs.status == 400
                && (lines.count > 100 || lines.contains { $0.prefix { $0 != ":" }.count > 255 })
        },
        .init("haproxy-old-bodies") { found in
            found.peer == "haproxy" && found.theyStop && found.theirs.status == 413
                && found.input.contains("HTTP/1.0")
        },
        .init("haproxy-trailers") { found in
            found.peer == "haproxy" && found.theyStop && found.theirs.status == 400
                && found.input.lowercased().contains("chunked")
        },
        .init("haproxy-authority") { found in
            found.peer == "haproxy" && found.theyStop && found.theirs.status == 400
                && found.input.contains("://")
        },
        // What both forward, in different words.
        .init("haproxy-absolute") { found in
            guard found.peer == "haproxy", let our = found.our, let their = found.their else {
                return false
            }
            return their.target.contains("://") && their.target.hasSuffix(our.target.dropRoot)
                && our.method == their.method && our.body == their.body
        },
        .init("host-missing") { found in
            found.our?.host == "127.0.0.1" && found.their?.host == ""
                && found.our?.target == found.their?.target && found.our?.body == found.their?.body
        },
        .init("host-dot") { found in
            found.peer == "nginx" && found.our.map { $0.host.hasSuffix(".") } == true
                && found.their.map { $0.host + "." } == found.our?.host
                && found.our?.target == found.their?.target && found.our?.body == found.their?.body
        },
    ]

    /// The fields that nginx refuses when they are there twice, in lower case.
    private static let onceInNginx = [
        "authorization", "expect", "range", "content-type", "content-range", "if-match",
        "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "user-agent",
        "referer", "upgrade", "date",
    ]
}

extension String {
    /// Nothing where it is what an absolute target without a path stands for.
    fileprivate var dropRoot: Substring {
        self == "/" || self == "*" ? "" : hasPrefix("/?") ? dropFirst() : self[...]
    }
}

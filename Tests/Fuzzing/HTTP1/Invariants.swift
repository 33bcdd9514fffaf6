import HTTP

/// Checks what must hold for every input.
///
/// The low bits of the first byte say what the rest is (`0` requests, `1` responses to GET, `2`
/// responses to HEAD, `3` a chunked body), and with the second byte where it is cut.
func check(_ input: [UInt8]) {
    guard input.count >= 2 else { return }
    let rest = Array(input.dropFirst(2))
    let cut = (Int(input[0] >> 2) | Int(input[1]) << 6) % (rest.count + 1)
    let pieces = [Array(rest[..<cut]), Array(rest[cut...])]
    let run: ([[UInt8]]) -> [UInt8] =
        switch input[0] & 3 {
        case 0: readRequests
        case 1: { readResponses($0, to: .get) }
        case 2: { readResponses($0, to: .head) }
        default: readChunked
        }
    let whole = run([rest])
    require(whole == run(pieces), "a cut changes what is read")
    if rest.count <= 256 {
        require(whole == run(rest.map { [$0] }), "reading byte by byte changes what is read")
    }
}

func require(_ condition: Bool, _ message: String) {
    if !condition { fatalError(message) }
}

/// Small, so that short inputs reach them.
let limits = HTTPLimits(
    requestLine: 128, fields: 512, fieldCount: 8, chunkExtension: 16, trailers: 64,
    interimCount: 2)

/// Reads a connection's requests with their bodies, and logs what came of them.
private func readRequests(_ pieces: [[UInt8]]) -> [UInt8] {
    var log: [UInt8] = []
    var parser = RequestParser(limits: limits)
    var body: BodyReader?
    for piece in pieces {
        var offset = 0
        while offset < piece.count || body != nil {
            if body != nil {
                guard let isDone = body?.read(piece, &offset, &log) else { return log }
                if !isDone { break }
                body = nil
                continue
            }
            do {
                let (consumed, head) = try parser.parse(piece.span.extracting(offset..<piece.count))
                require(consumed <= piece.count - offset, "more was taken than was there")
                offset += consumed
                guard let head else {
                    require(offset == piece.count, "a piece was left without a head")
                    break
                }
                log += Array("\(head.framing) \(head.isPersistent) \(head.version)".utf8)
                log += head.target
                head.fields.appendFieldSection(to: &log)
                checkForm(head)
                checkRoundTrip(head)
                body = BodyReader(head.framing)
            } catch {
                require(
                    [400, 414, 417, 421, 431, 501, 505].contains(error.status), "an odd status")
                return log + Array("! \(error.status) \(error.reason)".utf8)
            }
        }
    }
    return log + Array(parser.isIdle ? "idle".utf8 : "more".utf8)
}

/// Requires that no form of a target but two is left, and that a Host is there, once, where it must.
private func checkForm(_ head: RequestHead) {
    let isStar = head.method == .options && head.target.elementsEqual([UInt8(ascii: "*")])
    require(isStar || head.target.first == UInt8(ascii: "/"), "a target is in another form")
    let hosts = head.fields.count(of: .host)
    require(hosts == 1 || hosts == 0 && head.version == .http10, "the number of Hosts is odd")
    if let host = head.fields[.host] { require(!host.isEmpty, "a Host is empty") }
}

/// Reads the answers to one request with the body, and logs what came of them.
private func readResponses(_ pieces: [[UInt8]], to method: Method) -> [UInt8] {
    var log: [UInt8] = []
    var parser = ResponseParser(for: method, limits: limits)
    var body: BodyReader?
    for piece in pieces {
        var offset = 0
        while offset < piece.count || body != nil {
            if body != nil {
                guard body?.read(piece, &offset, &log) == false else { return log }
                break
            }
            do {
                let (consumed, head) = try parser.parse(piece.span.extracting(offset..<piece.count))
                require(consumed <= piece.count - offset, "more was taken than was there")
                offset += consumed
                guard let head else { break }
                log += Array("\(head.status) \(head.framing) \(head.isPersistent)".utf8)
                log += head.reason
                head.fields.appendFieldSection(to: &log)
                checkRoundTrip(head, to: method)
                if !head.isInterim { body = BodyReader(head.framing) }
            } catch {
                return log + Array("! \(error.reason)".utf8)
            }
        }
    }
    return log + Array(parser.isIdle ? "idle".utf8 : "more".utf8)
}

private func readChunked(_ pieces: [[UInt8]]) -> [UInt8] {
    var log: [UInt8] = []
    var body = BodyReader(.chunked)
    for piece in pieces {
        var offset = 0
        guard let isDone = body.read(piece, &offset, &log) else { return log }
        if isDone {
            body.checkRoundTrip()
            return log
        }
    }
    return log + Array("more".utf8)
}

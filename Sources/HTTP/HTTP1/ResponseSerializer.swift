/// Writes response heads (RFC 9112 section 4).
package enum ResponseSerializer {
    /// What to say about the connection in `Connection`.
    package enum Connection: Sendable, Hashable {
        /// It lives on, said to an HTTP/1.0 client, for whom that is not the default.
        case keepAlive
        /// It closes after this message.
        case close
        /// Nothing, which means to HTTP/1.1 that it lives on.
        case implicit
    }

    /// Appends a whole head, the blank line included.
    ///
    /// The framing fields follow from `framing`, whatever `head.fields` says. `.none` keeps a
    /// `Content-Length` that is there, for answers to HEAD and for 304; any other answer without a
    /// body has to be `.length(0)`. 1xx and 204 never get one. `Connection` and `Keep-Alive` in
    /// `head.fields` are left out, except that a 101 keeps its `Connection` and gets no other, and
    /// that a 426, which has to say what to upgrade to, keeps it too.
    ///
    /// - Parameter date: the value of `Date`, for final answers that have none.
    package static func append(
        _ head: ResponseHead, framing: BodyFraming, date: [UInt8],
        connection: Connection, to bytes: inout [UInt8]
    ) {
        precondition(head.status >= 100 && head.status <= 999)
        bytes.reserveCapacity(bytes.count + head.fields.byteCount + 192)
        appendStatusLine(head, to: &bytes)
        let isBodiless = head.status < 200 || head.status == 204
        let keepsLength = framing == .none && !isBodiless
        let hasDate = head.fields.appendSection(to: &bytes) { id in
            switch id {
            case .contentLength: keepsLength
            case .transferEncoding, .keepAlive: false
            case .connection: head.status == 101 || head.status == 426
            default: true
            }
        }
        if !hasDate, head.status >= 200 {
            bytes.append("Date: ")
            bytes.append(contentsOf: date)
            bytes.append("\r\n")
        }
        if !isBodiless { appendFraming(framing, to: &bytes) }
        if head.status != 101 {
            switch connection {
            case .keepAlive: bytes.append("Connection: keep-alive\r\n")
            case .close: bytes.append("Connection: close\r\n")
            case .implicit: break
            }
        }
        bytes.append("\r\n")
    }

    private static func appendStatusLine(_ head: ResponseHead, to bytes: inout [UInt8]) {
        bytes.append("HTTP/1.1 ")
        bytes.append(decimal: UInt64(head.status))
        bytes.append(0x20)
        if head.reason.isEmpty {
            bytes.append(reasonPhrase(for: head.status))
        } else {
            bytes.append(contentsOf: head.reason)
        }
        bytes.append("\r\n")
    }
}

/// Writes request heads (RFC 9112 section 3).
package enum RequestSerializer {
    /// Appends a whole head, the blank line included, and nothing of the body.
    ///
    /// `Content-Length` or `Transfer-Encoding` follow from the body; in `fields` they are left out.
    /// Everything else is written as it is, `Connection` too.
    package static func append(_ request: UpstreamRequest, to bytes: inout [UInt8]) {
        bytes.reserveCapacity(bytes.count + request.target.count + request.fields.byteCount + 96)
        bytes.append(contentsOf: request.method.token.utf8)
        bytes.append(0x20)
        bytes.append(contentsOf: request.target)
        bytes.append(" HTTP/1.1\r\n")
        _ = request.fields.appendSection(to: &bytes) { !$0.isFraming }
        switch request.body {
        case .none: break
        case .whole(let body): appendFraming(.length(UInt64(body.count)), to: &bytes)
        case .stream(let length?): appendFraming(.length(length), to: &bytes)
        case .stream(nil): appendFraming(.chunked, to: &bytes)
        }
        bytes.append("\r\n")
    }
}

/// Writes what stands around the bytes of a chunked body (RFC 9112 section 7.1).
package enum ChunkSerializer {
    /// Appends the line before a chunk's bytes, of which there must be at least one.
    package static func appendSize(_ count: Int, to bytes: inout [UInt8]) {
        precondition(count > 0, "a chunk of no bytes ends the body")
        var shift = (Int.bitWidth - count.leadingZeroBitCount - 1) / 4 * 4
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: count >> shift & 0xF)
            bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
            shift -= 4
        }
        bytes.append("\r\n")
    }

    /// Appends the line end after a chunk's bytes.
    package static func appendDataEnd(to bytes: inout [UInt8]) {
        bytes.append("\r\n")
    }

    /// Appends the last chunk and the trailer section.
    package static func appendEnd(trailers: Fields, to bytes: inout [UInt8]) {
        bytes.append("0\r\n")
        _ = trailers.appendSection(to: &bytes) { !$0.isFraming }
        bytes.append("\r\n")
    }
}

/// Appends the field that declares a framing.
private func appendFraming(_ framing: BodyFraming, to bytes: inout [UInt8]) {
    switch framing {
    case .length(let count):
        bytes.append("Content-Length: ")
        bytes.append(decimal: count)
        bytes.append("\r\n")
    case .chunked: bytes.append("Transfer-Encoding: chunked\r\n")
    case .none, .untilClose: break
    }
}

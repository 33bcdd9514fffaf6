private import CCurlUpstream
import HTTP
import Transport

/// A connection that libcurl opened: bytes go through `curl_easy_send` and `curl_easy_recv`, or,
/// without TLS, straight to its socket as they would do. Nothing is ever sent twice.
@safe final class CurlConnection {
    private let easy: UnsafeMutableRawPointer
    private let multi: CurlMulti
    private let isSecure: Bool
    private(set) var isClosed = false
    private var connecting: UnsafeContinuation<UInt32, Never>?
    private(set) var watch: SocketWatch?
    private var socket: curl_socket_t = -1
    /// How many receipts in a row had nothing to wait for.
    private var receiptsInARow = 0
    /// The most that libcurl receives in one call. It allocates as much per connection.
    private static let largestReceipt = 64 << 10

    /// Whether the last answer's head came with much behind it, as the next may.
    var expectsMuch = false
    /// When it became idle.
    var idleSince = Instant(nanoseconds: 0)

    private init(_ easy: UnsafeMutableRawPointer, _ multi: CurlMulti, isSecure: Bool) {
        unsafe self.easy = unsafe easy
        self.multi = multi
        self.isSecure = isSecure
    }

    deinit { close() }

    /// A connection to be opened by ``connect()``.
    static func new(
        _ options: UpstreamOptions, on multi: CurlMulti
    ) throws(UpstreamError) -> CurlConnection {
        guard let easy = unsafe curl_easy_init() else {
            throw UpstreamError(.unreachable, effect: .none, detail: "libcurl has no memory")
        }
        let connection = unsafe CurlConnection(
            easy, multi, isSecure: options.url.hasPrefix("https:"))
        connection.configure(options)
        return connection
    }

    private func configure(_ options: UpstreamOptions) {
        func set(_ option: CURLoption, _ value: Int) {
            _ = unsafe ccurl_set_long(easy, option, value)
        }
        func set(_ option: CURLoption, _ value: String?) {
            if let value { _ = unsafe ccurl_set_text(easy, option, value) }
        }
        let this = unsafe Unmanaged.passUnretained(self).toOpaque()
        _ = unsafe ccurl_set_pointer(easy, CURLOPT_PRIVATE, this)
        set(CURLOPT_URL, options.url)
        set(CURLOPT_CONNECT_ONLY, 1)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_FRESH_CONNECT, 1)
        set(CURLOPT_TCP_NODELAY, 1)
        if isSecure { set(CURLOPT_BUFFERSIZE, Self.largestReceipt) }
        // The environment's proxies are for people's browsers.
        set(CURLOPT_PROXY, "")
        set(CURLOPT_PROTOCOLS_STR, "http,https")
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        set(CURLOPT_SSL_ENABLE_ALPN, 0)
        set(CURLOPT_CONNECTTIMEOUT_MS, Int(options.connectTimeout.wholeMilliseconds))
        set(CURLOPT_UNIX_SOCKET_PATH, options.unixSocket)
        set(CURLOPT_SSL_VERIFYPEER, options.verifies ? 1 : 0)
        set(CURLOPT_SSL_VERIFYHOST, options.verifies ? 2 : 0)
        set(CURLOPT_CAINFO, options.authorities)
        set(CURLOPT_SSLCERT, options.certificate)
        set(CURLOPT_SSLKEY, options.privateKey)
    }

    /// Connects: name, Happy Eyeballs, TLS with verification. ``abort()`` ends that at once.
    func connect() async throws(UpstreamError) {
        guard !multi.isOver else {
            throw UpstreamError(.unreachable, effect: .none, detail: "the gateway ends")
        }
        multi.stall(self)
        defer { multi.resume(self) }
        let result = unsafe await withUnsafeContinuation { continuation in
            unsafe connecting = continuation
            // Getting here may take a turn of the loop, in which it may have been aborted.
            if isClosed {
                finishedConnecting(CURLE_ABORTED_BY_CALLBACK.rawValue)
            } else if unsafe !multi.add(easy) {
                finishedConnecting(CURLE_FAILED_INIT.rawValue)
            }
        }
        guard !isClosed else {
            throw UpstreamError(.unreachable, effect: .none, detail: "it was given up")
        }
        guard result == CURLE_OK.rawValue else {
            let isTimeout = result == CURLE_OPERATION_TIMEDOUT.rawValue
            let text = unsafe String(cString: curl_easy_strerror(CURLcode(result)))
            throw UpstreamError(
                isTimeout ? .connectTimeout : .unreachable, effect: .none, detail: text)
        }
        _ = unsafe ccurl_get_socket(easy, &socket)
        guard socket >= 0, let watch = SocketWatch(socket, on: multi.reactor) else {
            throw UpstreamError(.unreachable, effect: .none, detail: "the socket cannot be watched")
        }
        self.watch = watch
    }

    /// The connection that a handle belongs to.
    static func of(_ easy: UnsafeMutableRawPointer) -> CurlConnection? {
        var pointer: UnsafeMutablePointer<CChar>?
        _ = unsafe ccurl_get_pointer(easy, &pointer)
        guard let pointer = unsafe pointer else { return nil }
        return unsafe Unmanaged<CurlConnection>.fromOpaque(pointer).takeUnretainedValue()
    }

    func finishedConnecting(_ result: UInt32) {
        guard let continuation = unsafe connecting else { return }
        unsafe connecting = nil
        unsafe continuation.resume(returning: result)
    }

    /// Fails the attempt to connect, or closes the connection.
    func abort() {
        close()
        finishedConnecting(CURLE_ABORTED_BY_CALLBACK.rawValue)
    }

    /// What one try to send or receive came to.
    enum Transfer {
        case bytes(Int)
        case wouldBlock
        /// Received nothing: the upstream sends no more.
        case end
        case failed(String)
    }

    /// Sends what the connection takes now of two pieces.
    func send(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8> = []) -> Transfer {
        guard !isClosed else { return .failed("the connection was closed") }
        let transfer = unsafe first.withUnsafeBytes { first in
            unsafe second.withUnsafeBytes { second in
                guard isSecure else { return unsafe sendPlainly(first, second) }
                return unsafe sendSecurely(first.isEmpty ? second : first)
            }
        }
        if case .wouldBlock = transfer { watch?.filled() }
        return transfer
    }

    private func sendPlainly(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
    ) -> Transfer {
        let count = unsafe ccurl_plain_send(
            socket, first.baseAddress, first.count, second.baseAddress, second.count)
        if count >= 0 { return .bytes(count) }
        return ccurl_is_again(count) != 0 ? .wouldBlock : Self.failure(CURLE_SEND_ERROR)
    }

    private func sendSecurely(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        var count = 0
        switch unsafe curl_easy_send(easy, bytes.baseAddress, bytes.count, &count) {
        case CURLE_OK: return .bytes(count)
        case CURLE_AGAIN: return .wouldBlock
        case let code: return Self.failure(code)
        }
    }

    /// Receives what is there.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        guard let watch, watch.isReadable else { return .wouldBlock }
        let transfer = unsafe isSecure ? receiveSecurely(buffer) : receivePlainly(buffer)
        switch transfer {
        case .wouldBlock: watch.drained()
        // A TLS record may be longer than what was asked for.
        case .bytes(let count): if count < buffer.count, !isSecure { watch.drained() }
        case .end, .failed: break
        }
        return transfer
    }

    /// Receives what is there into memory of its own.
    func receive(atMost limit: Int) -> (Transfer, bytes: [UInt8]) {
        var outcome = Transfer.wouldBlock
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            outcome = unsafe receive(into: UnsafeMutableRawBufferPointer(buffer))
            if case .bytes(let received) = outcome { count = received }
        }
        return (outcome, bytes)
    }

    /// To be called after each receipt of many: an upstream that is faster than all that is done
    /// with its bytes must not keep the loop from its other connections.
    func letOthersGo() async {
        receiptsInARow += 1
        guard receiptsInARow >= Reactor.readyInARow else { return }
        receiptsInARow = 0
        await multi.reactor.letOthersGo()
    }

    private func receivePlainly(_ buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        let count = unsafe ccurl_plain_recv(socket, buffer.baseAddress, buffer.count)
        if count > 0 { return .bytes(count) }
        if count == 0 { return .end }
        return ccurl_is_again(count) != 0 ? .wouldBlock : Self.failure(CURLE_RECV_ERROR)
    }

    private func receiveSecurely(_ buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        var count = 0
        switch unsafe curl_easy_recv(easy, buffer.baseAddress, buffer.count, &count) {
        case CURLE_OK: return count > 0 ? .bytes(count) : .end
        case CURLE_AGAIN: return .wouldBlock
        case let code: return Self.failure(code)
        }
    }

    private static func failure(_ code: CURLcode) -> Transfer {
        unsafe .failed(String(cString: curl_easy_strerror(code)))
    }

    /// Whether the connection, idle until now, is silent and open: looked at right before writing.
    var isUsable: Bool {
        guard let watch, !watch.hasEnded, !watch.hasFailed else { return false }
        var byte: UInt8 = 0
        let transfer = unsafe withUnsafeMutableBytes(of: &byte) { byte in
            isSecure ? unsafe receiveSecurely(byte) : unsafe receivePlainly(byte)
        }
        guard case .wouldBlock = transfer else { return false }
        watch.drained()
        return true
    }

    /// One try to tell the upstream that nothing more comes: `.bytes(0)` when it is told. In TLS
    /// that is a message, which takes room.
    func endWriting() -> Transfer {
        guard !isClosed else { return .failed("the connection was closed") }
        switch unsafe ccurl_end_writing(easy, isSecure) {
        case 0: return .bytes(0)
        case 1:
            watch?.filled()
            return .wouldBlock
        default: return .failed("the direction cannot be ended")
        }
    }

    /// Makes the close that follows a reset, so that the upstream cannot take what it got for
    /// complete.
    func resetOnClose() {
        if !isClosed { unsafe ccurl_reset_on_close(easy) }
    }

    /// Closes the connection; whoever waits on it resumes.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        watch?.cancel()
        unsafe multi.remove(easy)
    }
}

extension Duration {
    /// Rounded up, at least 1.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return max(1, seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}

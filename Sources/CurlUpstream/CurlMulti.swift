private import CCurlUpstream
package import Transport

/// libcurl's multi handle of one event loop: it opens connections and keeps them.
///
/// A handle with `CURLOPT_CONNECT_ONLY` stays in the multi handle for as long as its connection is
/// used, since its removal closes the connection.
@safe package final class CurlMulti {
    let handle: UnsafeMutableRawPointer
    let reactor: Reactor
    private var timer: LoopTimer?
    /// The sockets that libcurl waits for.
    private var sockets: [Int32: ConnectingSocket] = [:]
    /// Connections that connect, or that wait for their upstream to read.
    private var stalled: [ObjectIdentifier: CurlConnection] = [:]
    /// Whether nothing is to be connected any more.
    private(set) var isOver = false

    /// A multi handle; one per loop is enough for all upstreams.
    package init(on reactor: Reactor) {
        self.reactor = reactor
        guard let handle = unsafe curl_multi_init() else {
            fatalError("libcurl has no memory at start")
        }
        unsafe self.handle = unsafe handle
        // Connections in use do not count as idle ones to libcurl, and our pool has its own limit.
        _ = unsafe ccurl_multi_set_long(handle, CURLMOPT_MAXCONNECTS, 1 << 20)
        let this = unsafe Unmanaged.passUnretained(self).toOpaque()
        _ = unsafe ccurl_multi_set_callbacks(
            handle,
            { _, socket, what, user, _ in
                guard let user = unsafe user else { return 0 }
                unsafe Unmanaged<CurlMulti>.fromOpaque(user).takeUnretainedValue()
                    .wait(for: socket, what)
                return 0
            },
            { _, milliseconds, user in
                guard let user = unsafe user else { return 0 }
                unsafe Unmanaged<CurlMulti>.fromOpaque(user).takeUnretainedValue()
                    .wait(milliseconds: milliseconds)
                return 0
            }, this)
        timer = reactor.timer { [weak self] in self?.act(CURL_SOCKET_TIMEOUT, 0) }
    }

    deinit { unsafe curl_multi_cleanup(handle) }

    /// Starts to connect; ``CurlConnection/finishedConnecting(_:)`` tells the result.
    func add(_ easy: UnsafeMutableRawPointer) -> Bool {
        unsafe curl_multi_add_handle(handle, easy) == CURLM_OK
    }

    /// Ends what has no exchange yet that could be cancelled: connections that connect fail, and
    /// so do requests that are being sent. Nothing can be sent from now on.
    package func abort() {
        isOver = true
        for connection in Array(stalled.values) { connection.abort() }
    }

    /// Notes that a connection waits.
    func stall(_ connection: CurlConnection) { stalled[ObjectIdentifier(connection)] = connection }

    /// Notes that it waits no longer.
    func resume(_ connection: CurlConnection) { stalled[ObjectIdentifier(connection)] = nil }

    /// Closes a handle's connection and the handle.
    func remove(_ easy: UnsafeMutableRawPointer) {
        _ = unsafe curl_multi_remove_handle(handle, easy)
        unsafe curl_easy_cleanup(easy)
    }

    private func wait(for socket: Int32, _ what: Int32) {
        if what == CURL_POLL_REMOVE {
            if sockets.removeValue(forKey: socket) != nil { reactor.ignore(socket) }
            return
        }
        var levels: Readiness = []
        if what & CURL_POLL_IN != 0 { levels.insert(.readable) }
        if what & CURL_POLL_OUT != 0 { levels.insert(.writable) }
        let observer = sockets[socket] ?? ConnectingSocket(socket, self)
        sockets[socket] = observer
        _ = reactor.observe(socket, levelsOf: levels, by: observer)
    }

    private func wait(milliseconds: Int) {
        guard let timer else { return }
        guard milliseconds >= 0 else { return reactor.disarm(timer) }
        reactor.arm(timer, at: reactor.now + .milliseconds(milliseconds))
    }

    fileprivate func act(_ socket: Int32, _ flags: Int32) {
        var running: Int32 = 0
        _ = unsafe curl_multi_socket_action(handle, socket, flags, &running)
        var result = CURLE_OK
        while let easy = unsafe ccurl_multi_next_done(handle, &result) {
            unsafe CurlConnection.of(easy)?.finishedConnecting(result.rawValue)
        }
    }

    /// One socket that libcurl waits for while it connects.
    private final class ConnectingSocket: ReadinessObserver {
        private let socket: Int32
        private unowned let multi: CurlMulti

        init(_ socket: Int32, _ multi: CurlMulti) {
            self.socket = socket
            self.multi = multi
        }

        func became(_ readiness: Readiness) {
            var flags: Int32 = 0
            if readiness.contains(.readable) { flags |= CURL_CSELECT_IN }
            if readiness.contains(.writable) { flags |= CURL_CSELECT_OUT }
            if readiness.contains(.failed) { flags |= CURL_CSELECT_ERR }
            multi.act(socket, flags)
        }
    }
}

extension CurlMulti {
    /// The versions of the libcurl that the process is linked to, and of its TLS library.
    package static var libraryVersion: String {
        guard let version = unsafe curl_version() else { return "unknown" }
        return unsafe String(cString: version)
    }
}

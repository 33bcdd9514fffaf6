package import HTTP

/// A client's side that records what it gets, and can go away.
package final class RecordingResponseWriter: ResponseWriter {
    package private(set) var interims: [ResponseHead] = []
    /// The final answer's head.
    package private(set) var head: ResponseHead?
    package private(set) var body: [UInt8] = []
    package private(set) var trailers = Fields()
    package private(set) var isComplete = false
    package private(set) var wasAborted = false
    /// Whether the answer was given in one piece.
    package private(set) var wasWhole = false
    package private(set) var isDownstreamGone = false
    package var onDownstreamGone: (() -> Void)? {
        didSet { if isDownstreamGone { onDownstreamGone?() } }
    }
    /// Opened by the test before an interim answer has left; nil for at once.
    package var interimGate: Gate?
    /// Opened by the test before a whole answer has left; nil for at once.
    package var answerGate: Gate?
    /// Called with each piece of the body as it comes.
    package var onWrite: ((RecordingResponseWriter) -> Void)?
    /// The client's connection, for an upgrade; nil where there is none.
    package var tunnel: (any TunnelEnd)?
    private let begun = Gate()

    /// A client that reads everything.
    package init() {}

    /// The client hangs up.
    package func hangUp() {
        isDownstreamGone = true
        onDownstreamGone?()
    }

    /// Waits until a final answer begins.
    package func beginning() async { await begun.pass() }

    package var hasBegun: Bool { head != nil }

    package func interim(_ head: ResponseHead) async throws(DownstreamError) {
        if let interimGate { await interimGate.pass() }
        try throwIfGone()
        precondition(!hasBegun, "an interim answer comes before the final one")
        interims.append(head)
    }

    package func respond(
        _ head: ResponseHead, body: ArraySlice<UInt8>
    ) async throws(DownstreamError) {
        try start(head)
        if let answerGate { await answerGate.pass() }
        try throwIfGone()
        self.body = Array(body)
        wasWhole = true
        isComplete = true
    }

    package func begin(_ head: ResponseHead) async throws(DownstreamError) {
        try start(head)
    }

    package func upgrade(_ head: ResponseHead) async throws(DownstreamError) -> any TunnelEnd {
        guard let tunnel else { throw .closed }
        try start(head)
        return tunnel
    }

    package func write(_ bytes: ArraySlice<UInt8>) async throws(DownstreamError) {
        try throwIfGone()
        precondition(hasBegun && !isComplete && !bytes.isEmpty)
        body += bytes
        onWrite?(self)
    }

    package func end(trailers: Fields) async throws(DownstreamError) {
        try throwIfGone()
        precondition(hasBegun && !isComplete)
        self.trailers = trailers
        isComplete = true
    }

    package func abort() { wasAborted = true }

    private func start(_ head: ResponseHead) throws(DownstreamError) {
        precondition(!hasBegun, "a request has one answer")
        try throwIfGone()
        self.head = head
        begun.open()
    }

    private func throwIfGone() throws(DownstreamError) {
        if isDownstreamGone { throw .closed }
    }
}

extension RecordingResponseWriter {
    package var status: UInt16? { head?.status }
    package var text: String { String(decoding: body, as: UTF8.self) }

    /// The value of the answer's first field of that name.
    package func field(_ name: String) -> String? { head?.fields.text(FieldName(name)) }
}

/// A request body that is there, in pieces, or fails after them.
package final class ScriptedBody: RequestBody {
    private var chunks: ArraySlice<[UInt8]>
    private let failure: DownstreamError?
    private let gate: Gate?
    private let lastTrailers: Fields
    package private(set) var reads = 0

    /// - Parameters:
    ///   - failure: Instead of the end.
    ///   - gate: Opened by the test before the end, or the failure, comes.
    package init(
        _ chunks: [String] = [], failure: DownstreamError? = nil, gate: Gate? = nil,
        trailers: Fields = Fields()
    ) {
        self.chunks = chunks.map { Array($0.utf8) }[...]
        self.failure = failure
        self.gate = gate
        lastTrailers = trailers
    }

    package func read() async throws(DownstreamError) -> ArraySlice<UInt8>? {
        reads += 1
        if let chunk = chunks.popFirst() { return chunk[...] }
        if let gate { await gate.pass() }
        if let failure { throw failure }
        return nil
    }

    package var trailers: Fields { chunks.isEmpty ? lastTrailers : Fields() }
}

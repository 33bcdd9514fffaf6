import Admin
import Gateway
import Glibc
import HTTP
import Idempotency
import IdempotencySQLite
import JSON
import Telemetry

/// The store of a gateway that does not run, opened as the configuration says, with the part of
/// the admin listener that is about keys.
///
/// It delivers what the journal holds, and changes nothing else by itself. While it is open no
/// gateway can start on the file.
final class StoppedGateway {
    private let store: SQLiteStore
    private let journal: FileJournal?
    private let journalOwner: FileOwner?
    private let log: Log
    private let handler: AdminHandler

    /// Opens the file, which must exist.
    ///
    /// - Parameter reason: Why no gateway is asked, for messages.
    static func open(
        _ configuration: Configuration, because reason: String
    ) async throws(KeysFailure) -> StoppedGateway {
        let path = configuration.store.path
        guard unsafe access(path, F_OK) == 0 else {
            throw KeysFailure("\(reason), and there is no store at \(path)")
        }
        do {
            let gateway = try StoppedGateway(configuration)
            try await gateway.recover()
            return gateway
        } catch let error as StoreError where error.reason == .locked {
            throw KeysFailure(
                "\(reason), but a running process holds \(path): stop it, or name its admin "
                    + "listener with --admin")
        } catch let error as StoreError {
            throw KeysFailure("\(reason), and the store cannot be used: \(error.detail)")
        } catch {
            throw KeysFailure("\(error)")
        }
    }

    private let keys: IdempotencyKeyService

    private init(_ configuration: Configuration) throws {
        let policies = try configuration.routingTable().policies
        store = try configuration.store.open()
        let journalPath = configuration.store.path + ".conclusions"
        journalOwner = FileOwner(of: journalPath)
        journal =
            unsafe access(journalPath, F_OK) == 0
            ? try configuration.store.openJournal() : nil
        log = Log(level: .info, access: false)
        if let damage = journal?.damage { log.write(damage) }
        let coding = configuration.store.replyCoding
        var options = IdempotencyKeyService.Options()
        options.owner = "oncegate-keys-\(getpid())"
        options.replyCacheBytes = 0
        options.unsavedBytes = configuration.store.journal ?? options.unsavedBytes
        options.routePolicies = policies
        options.report = { [log] in log.write($0) }
        keys = IdempotencyKeyService(
            store: CodedStore(store, coding: coding), journal: journal, coding: coding,
            options: options)
        // Who may open the file may do all of this.
        let operations = KeyOperations(
            keys, access: AdminAccess { _ in true }, log: log, making: .withCrypto()
        ) { policies[$0] ?? KeyPolicy() }
        handler = AdminHandler([operations.resource])
    }

    /// Stores what a gateway could not store any more.
    private func recover() async throws(StoreError) {
        let left = try await keys.recoverConclusions()
        journalOwner?.restore()
        guard left > 0 else { return }
        log.write(.warning, "the store did not take conclusions of the journal") {
            $0.member("conclusions", left)
        }
    }

    /// Answers as the admin listener would.
    func answer(_ call: KeysSource.Call) async throws(KeysFailure) -> AdminClient.Answer {
        var fields = Fields()
        fields.append(.authorization, "Bearer local")
        let head = RequestHead(
            method: call.method, target: Array(call.target.utf8)[...], fields: fields)
        let request = Request(
            head: head, body: WholeBody(call.body), downstream: Downstream(peer: Self.user))
        let response = WholeAnswer()
        do {
            try await handler.respond(to: request, through: response)
        } catch {
            throw KeysFailure("\(error)")
        }
        log.flush()
        guard let answer = response.answer else { throw KeysFailure("there is no answer") }
        guard answer.body.count <= call.limit else {
            throw KeysFailure("the answer is longer than \(call.limit >> 20) MiB", isTooLong: true)
        }
        return answer
    }

    /// Closes both files.
    func close() {
        store.close()
        journal?.close()
        journalOwner?.restore()
        log.flush()
    }

    /// Who does it, in the place of a connection's peer.
    private static var user: String {
        let id = getuid()
        guard let entry = unsafe getpwuid(id) else { return "uid \(id)" }
        return "uid \(id) (\(unsafe String(cString: entry.pointee.pw_name)))"
    }
}

/// Whose a file is, so that root, who may write it anew, leaves it to the gateway's user.
private struct FileOwner {
    private let path: String
    private var status = stat()

    /// Nil if there is no such file, or it could not be given back.
    init?(of path: String) {
        self.path = path
        guard geteuid() == 0, unsafe lstat(path, &status) == 0 else { return nil }
    }

    func restore() { _ = unsafe lchown(path, status.st_uid, status.st_gid) }
}

/// A body that is there already.
private final class WholeBody: RequestBody {
    private var bytes: [UInt8]
    let trailers = Fields()

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read() async throws(DownstreamError) -> ArraySlice<UInt8>? {
        guard !bytes.isEmpty else { return nil }
        defer { bytes = [] }
        return bytes[...]
    }
}

/// Takes an answer as a whole.
private final class WholeAnswer: ResponseWriter {
    private var status: UInt16?
    private var body: [UInt8] = []
    let isDownstreamGone = false
    var onDownstreamGone: (() -> Void)?

    var hasBegun: Bool { status != nil }

    /// Nil before it has begun.
    var answer: AdminClient.Answer? { status.map { AdminClient.Answer(status: $0, body: body) } }

    func interim(_ head: ResponseHead) async throws(DownstreamError) {}

    func respond(_ head: ResponseHead, body: ArraySlice<UInt8>) async throws(DownstreamError) {
        status = head.status
        self.body = Array(body)
    }

    func begin(_ head: ResponseHead) async throws(DownstreamError) { status = head.status }

    func write(_ bytes: ArraySlice<UInt8>) async throws(DownstreamError) { body += bytes }

    func end(trailers: Fields) async throws(DownstreamError) {}

    func abort() { status = nil }
}

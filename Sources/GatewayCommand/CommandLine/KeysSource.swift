import Glibc
import HTTP

/// Who answers for the keys: a running gateway, or the store of one that does not run.
///
/// Both take the same calls and give the same answers.
enum KeysSource {
    case gateway(AdminClient)
    case store(StoppedGateway)

    /// Something to be done with keys.
    struct Call {
        var method = HTTP.Method.get
        let target: String
        var body: [UInt8] = []
        /// The most bytes of the answer.
        var limit = 64 << 20
    }

    /// The source that the options name: a gateway if one answers, else its store's file, with
    /// what its journal holds.
    ///
    /// - Parameter note: Is told which one it is.
    static func find(
        _ options: KeysOptions, _ environment: Environment, note: (String) -> Void
    ) async throws(KeysFailure) -> KeysSource {
        if let address = options.admin {
            let token = try options.token(environment) ?? environment.adminToken
            note("asking the gateway at \(address.text)")
            return .gateway(AdminClient(address, token: token))
        }
        let result = Configuration.read(file: options.config, environment)
        guard let configuration = result.configuration else {
            throw KeysFailure(report: Report.mistakes(result.mistakes, in: options.config))
        }
        let token = try options.token(environment)
        let reason: String
        if let admin = configuration.admin {
            let client = AdminClient(admin.address, token: token ?? admin.token)
            if client.isAnswered {
                note("asking the gateway at \(admin.address.text)")
                return .gateway(client)
            }
            reason = "no gateway answers at \(admin.address.text)"
        } else {
            reason = "admin is null in \(options.config)"
        }
        let store = try await StoppedGateway.open(configuration, because: reason)
        note("\(reason): using the file \(configuration.store.path)")
        return .store(store)
    }

    /// Has a call answered.
    func answer(_ call: Call) async throws(KeysFailure) -> AdminClient.Answer {
        switch self {
        case .gateway(let client):
            do throws(AdminClient.Failure) {
                return try client.call(call.method, call.target, body: call.body, limit: call.limit)
            } catch {
                throw KeysFailure(error.description, isTooLong: error.kind == .tooLong)
            }
        case .store(let store): return try await store.answer(call)
        }
    }

    /// Lets go of what it holds, so that a gateway can start. Nothing is asked of it afterwards.
    func close() {
        if case .store(let store) = self { store.close() }
    }
}

/// Why a command for keys came to nothing.
struct KeysFailure: Error {
    /// What is to be said, and the exit status.
    let report: Report
    /// Whether a list was asked for that is too long for one answer.
    var isTooLong = false

    init(report: Report) { self.report = report }

    /// A failure that is told in one line.
    init(_ message: String, status: Int32 = 1, isTooLong: Bool = false) {
        report = Report(errors: "oncegate: \(message)\n", status: status)
        self.isTooLong = isTooLong
    }
}

extension KeysOptions {
    /// The token of the file that was named.
    fileprivate func token(_ environment: Environment) throws(KeysFailure) -> Secret? {
        guard let tokenFile else { return nil }
        do throws(Invalid) {
            return Secret(value: try environment.secretFile(tokenFile))
        } catch {
            throw KeysFailure("--token-file: \(error.message)")
        }
    }
}

extension Environment {
    /// The token of callers that read no configuration.
    var adminToken: Secret? {
        variable("ONCEGATE_ADMIN_TOKEN").map { Secret(value: $0) }
    }
}

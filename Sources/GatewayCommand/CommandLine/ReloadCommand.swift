import HTTP
import JSON

/// What `reload` does.
struct ReloadOptions: Sendable, Hashable {
    /// The path of the configuration that the gateway runs with.
    var config = "gateway.json"
    /// The admin listener of a gateway whose configuration is not read here.
    var admin: Address?
    /// Where the admin token is, if it is not the configuration's.
    var tokenFile: String?

    static let options: [Option<ReloadOptions>] = [
        .text("config", "FILE", "the running gateway's configuration (gateway.json)") {
            $0.config = $1
        },
        .value("admin", "URL", "its admin listener, http://HOST:PORT or unix:PATH, without FILE") {
            options, value throws(Invalid) in options.admin = try Address(admin: value)
        },
        .text("token-file", "PATH", "the admin token; for --admin also $ONCEGATE_ADMIN_TOKEN") {
            $0.tokenFile = $1
        },
    ]
}

extension Report {
    /// Has the running gateway read its configuration anew, and tells what it changed or why not.
    static func reload(
        _ options: ReloadOptions, _ environment: Environment = .process
    ) -> Report {
        do throws(ReloadFailure) {
            return try reload(options, through: try client(options, environment))
        } catch {
            return error.report
        }
    }

    private static func client(
        _ options: ReloadOptions, _ environment: Environment
    ) throws(ReloadFailure) -> AdminClient {
        let token: Secret?
        do throws(Invalid) {
            token = try options.tokenFile.map { path throws(Invalid) in
                Secret(value: try environment.secretFile(path))
            }
        } catch {
            throw ReloadFailure("--token-file: \(error.message)")
        }
        if let address = options.admin {
            return AdminClient(address, token: token ?? environment.adminToken)
        }
        let result = Configuration.read(file: options.config, environment)
        guard let configuration = result.configuration else {
            var report = mistakes(result.mistakes, in: options.config)
            report.errors += "the gateway was not asked; nothing was changed\n"
            throw ReloadFailure(report)
        }
        guard let admin = configuration.admin else {
            throw ReloadFailure(
                "admin is null in \(options.config): the gateway cannot be asked; send SIGHUP to "
                    + "its process, and read its log")
        }
        return AdminClient(admin.address, token: token ?? admin.token)
    }

    private static func reload(
        _ options: ReloadOptions, through client: AdminClient
    ) throws(ReloadFailure) -> Report {
        let answer: AdminClient.Answer
        do throws(AdminClient.Failure) {
            answer = try client.call(.post, "/v1/reload")
        } catch {
            throw ReloadFailure(error.description)
        }
        switch answer.status {
        case 200: return applied(answer)
        case 422: throw ReloadFailure(refused(answer, options))
        case 401:
            throw ReloadFailure(
                answer.problem + " Where admin.token is new in the file, the gateway still knows "
                    + "the old one: give that by --token-file, or send SIGHUP.")
        case 403: throw ReloadFailure(answer.problem + " Or send SIGHUP, and read the log.")
        default: throw ReloadFailure(answer.problem)
        }
    }

    private static func applied(_ answer: AdminClient.Answer) -> Report {
        let json = answer.json
        var text = "reloaded: configuration \(json?["config"]?.string ?? "?")"
        text += " (generation \(json?["generation"]?.integer ?? 0))\n"
        let changes = json?["changes"]?.elements ?? []
        for change in changes {
            let kind = change["change"]?.string ?? "changed"
            let gap = String(repeating: " ", count: max(0, 8 - kind.count))
            text += "  \(kind)\(gap)\(change["path"]?.string ?? "")\n"
        }
        if changes.isEmpty { text += "  nothing differs\n" }
        return Report(output: TerminalText.lines(text))
    }

    private static func refused(_ answer: AdminClient.Answer, _ options: ReloadOptions) -> Report {
        let file = options.admin == nil ? options.config : "the gateway's configuration"
        let mistakes = answer.json?["mistakes"]?.elements ?? []
        var text = ""
        for mistake in mistakes {
            let place = mistake["line"]?.integer.flatMap { line in
                mistake["column"]?.integer.map { "\(line):\($0)" }
            }
            let path = mistake["path"]?.string.flatMap { $0.isEmpty ? nil : $0 }
            let parts = [place, path, mistake["message"]?.string].compactMap(\.self)
            text += "\(file):\(place == nil ? " " : "")\(parts.joined(separator: ": "))\n"
        }
        let count = mistakes.count == 1 ? "1 mistake" : "\(mistakes.count) mistakes"
        text += "\(count) in \(file); nothing was changed\n"
        return Report(errors: TerminalText.lines(text), status: 1)
    }
}

/// Why a reload came to nothing.
private struct ReloadFailure: Error {
    let report: Report

    init(_ report: Report) { self.report = report }

    init(_ message: String) {
        report = Report(errors: "oncegate: \(TerminalText.line(message))\n", status: 1)
    }
}

import Glibc
import HTTP
import JSON

/// What `backup` does.
struct BackupOptions: Sendable, Hashable {
    /// The new file, on the gateway's machine.
    var path = ""
    /// The path of the configuration that the gateway runs with.
    var config = "gateway.json"

    static let options: [Option<BackupOptions>] = [
        .text("config", "FILE", "the running gateway's configuration (gateway.json)") {
            $0.config = $1
        }
    ]
}

extension Report {
    /// Seconds that a backup may take.
    private static let backupPatience = 6 * 3600

    /// Has the running gateway copy its store.
    static func backup(
        _ options: BackupOptions, _ environment: Environment = .process
    ) -> Report {
        let result = Configuration.read(file: options.config, environment)
        guard let configuration = result.configuration else {
            return mistakes(result.mistakes, in: options.config)
        }
        guard let client = AdminClient(configuration) else {
            return Report(
                errors:
                    "oncegate: admin is null in \(options.config): the gateway cannot be asked\n",
                status: 1)
        }
        let path = absolute(options.path)
        var json = JSONWriter()
        json.beginObject()
        json.member("path", path)
        json.endObject()
        do throws(AdminClient.Failure) {
            let answer = try client.call(
                .post, "/v1/backup", body: json.bytes, patience: backupPatience)
            guard answer.status == 201 else {
                return Report(errors: "oncegate: \(answer.problem)\n", status: 1)
            }
            return Report(output: "\(path)\n")
        } catch {
            return Report(errors: "oncegate: \(error.description)\n", status: 1)
        }
    }

    /// The gateway may have another working directory.
    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let directory = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(directory) }
        return unsafe String(cString: directory) + "/" + path
    }
}

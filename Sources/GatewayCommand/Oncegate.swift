import CurlUpstream
import Glibc
import IdempotencySQLite

/// The executable.
@main struct Oncegate {
    /// The version of this program.
    static let version = "0.1.0"

    /// Names and versions of the libraries that the process is linked to.
    static var libraries: [(name: String, version: String)] {
        [("SQLite", SQLiteStore.libraryVersion), ("libcurl", CurlMulti.libraryVersion)]
    }

    static func main() {
        do throws(UsageError) {
            switch try Command.parse(Array(CommandLine.arguments.dropFirst())) {
            case .serve(let options): serve(options)
            case .check(let options): Report.check(options).finish()
            case .reload(let options): Report.reload(options).finish()
            case .backup(let options): Report.backup(options).finish()
            case .keys(let options): KeysCommand.run(options)
            case .demo(let options): demo(options)
            case .version: Report.version(libraries).finish()
            case .help(let verb, let action): Report.help(verb, action).finish()
            }
        } catch {
            Report.usage(error).finish()
        }
    }

    private static func serve(_ options: ServeOptions) -> Never {
        let result = Configuration.read(file: options.config)
        guard let loaded = LoadedConfiguration(result) else {
            Report.mistakes(result.mistakes, in: options.config).finish()
        }
        GatewayServer.run(loaded, file: options.config)
    }

    private static func demo(_ options: DemoOptions) -> Never {
        exit(runDemo(options))
    }
}

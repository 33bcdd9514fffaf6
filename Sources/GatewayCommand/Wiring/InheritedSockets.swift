import Glibc
import Transport

/// The listening sockets that the process was started with, by `sd_listen_fds(3)`, and who takes
/// which: they are matched with the configuration by their addresses.
struct InheritedSockets: Sendable {
    private var sockets: [InheritedSocket]

    /// Descriptors are passed from this number on.
    private static let first: Int32 = 3
    /// The most that are taken: as many as there can be listeners, and the admin listener.
    private static let limit = 65

    /// The sockets that the environment speaks of; none if it speaks of another process.
    ///
    /// - Throws: ``StartError`` for what is no listening stream socket.
    init(_ environment: Environment, process: Int32 = getpid()) throws(StartError) {
        sockets = []
        guard let count = environment.variable("LISTEN_FDS"),
            environment.variable("LISTEN_PID") == "\(process)"
        else { return }
        guard let count = Int32(count), 0...Int32(Self.limit) ~= count else {
            throw StartError(
                "LISTEN_FDS: expected a number from 0 to \(Self.limit), found \"\(count)\"")
        }
        let names = (environment.variable("LISTEN_FDNAMES") ?? "")
            .split(separator: ":", omittingEmptySubsequences: false).map { String($0) }
        for index in 0..<Int(count) {
            let name = index < names.count && !names[index].isEmpty ? names[index] : nil
            do throws(InheritedSocketError) {
                sockets.append(try InheritedSocket(Self.first + Int32(index), name: name))
            } catch {
                throw StartError("inherited sockets: \(error)")
            }
        }
    }

    /// Takes the variables out of the environment, so that nobody takes them for its own. To be
    /// called before there are threads.
    static func forgetVariables() {
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { _ = unsafe unsetenv(name) }
    }

    /// Takes the socket that is bound to an address; nil if there is none.
    mutating func take(_ address: SocketAddress) -> InheritedSocket? {
        let address = address.canonical
        guard let index = sockets.firstIndex(where: { $0.address == address }) else { return nil }
        return sockets.remove(at: index)
    }

    /// - Throws: ``StartError`` if a socket is left that nobody took.
    func expectNone(of configuration: Configuration) throws(StartError) {
        guard let socket = sockets.first else { return }
        let listeners = configuration.listeners.map(\.address.text)
        let admin = configuration.admin.map { ["\($0.address.text) (admin)"] } ?? []
        throw StartError(
            "inherited sockets: no listener has the address of \(socket); there are "
                + (listeners + admin).joined(separator: ", "))
    }
}

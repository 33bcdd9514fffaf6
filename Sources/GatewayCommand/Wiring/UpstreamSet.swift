import CurlUpstream
import Transport

/// One event loop's clients of all upstreams, over the configurations that follow one another.
final class UpstreamSet {
    private let loops: Int
    private let reactor: Reactor
    private var entries: [String: Entry] = [:]
    /// Those of older configurations stay as long as their last connections.
    private var multis: [WeakMulti] = []

    private struct Entry {
        let options: UpstreamOptions
        /// What the files that the options name held.
        let files: [[UInt8]?]
        let client: CurlClient
    }

    private struct WeakMulti {
        weak var multi: CurlMulti?
    }

    /// - Parameter loops: How many loops share an upstream's idle connections.
    init(loops: Int, on reactor: Reactor) {
        self.loops = loops
        self.reactor = reactor
    }

    /// The clients for a configuration, in the order of its upstreams, in place of those for the one
    /// before. A client whose upstream is as it was is kept, with its idle connections; the others'
    /// are closed, those in use after their exchanges.
    ///
    /// - Parameter inFlight: The bounds on requests at one time, by the upstreams' names.
    func clients(
        for loaded: LoadedConfiguration, _ inFlight: [String: InFlightLimit]
    ) -> [CurlClient] {
        var next: [String: Entry] = [:]
        // libcurl remembers for a day what it read of a file of authorities, in each multi handle.
        var fresh: CurlMulti?
        let clients = loaded.configuration.upstreams.map { upstream in
            let options = upstream.value.options(loops: loops, inFlight[upstream.name])
            let files = loaded.files(ofUpstream: upstream.name)
            if let known = entries[upstream.name], known.options == options, known.files == files {
                next[upstream.name] = known
                return known.client
            }
            let multi = fresh ?? CurlMulti(on: reactor)
            fresh = multi
            let client = CurlClient(options, on: multi)
            next[upstream.name] = Entry(options: options, files: files, client: client)
            return client
        }
        for (name, entry) in entries where next[name]?.client !== entry.client {
            entry.client.close()
        }
        entries = next
        multis.removeAll { $0.multi == nil }
        if let fresh { multis.append(WeakMulti(multi: fresh)) }
        return clients
    }

    /// Ends what waits for an upstream without an exchange; nothing can be sent from now on.
    func abort() {
        for entry in multis { entry.multi?.abort() }
    }

    /// Closes the idle connections.
    func close() {
        for entry in entries.values { entry.client.close() }
    }
}

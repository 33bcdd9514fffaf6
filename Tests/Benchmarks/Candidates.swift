import Glibc

/// A program that is measured: it forwards to the origin, from one or two ports.
final class Candidate {
    let name: String
    private let process: ChildProcess
    /// Where it just forwards.
    let port: UInt16
    /// Where it stores answers by key.
    let keyedPort: UInt16

    /// What the candidate has used so far.
    var processes: ProcessTree { ProcessTree(root: process.id) }

    private init(
        _ name: String, _ arguments: [String], ports: (UInt16, UInt16), site: Site, folder: String
    ) throws {
        self.name = name
        (port, keyedPort) = ports
        process = try ChildProcess(arguments, core: site.candidateCore, log: "\(folder)/log")
        for port in [port, keyedPort] {
            for _ in 0..<200 where process.isRunning && !isServing(port) { usleep(50_000) }
        }
        guard process.isRunning, isServing(port), isServing(keyedPort) else {
            throw Failure("\(name) does not answer; see \(folder)/log")
        }
    }

    /// Ends the program.
    func stop() { process.stop() }

    /// The gateway: one event loop, a durable store, every key of its one route shared.
    static func oncegate(_ program: String, site: Site) throws -> Candidate {
        let folder = try site.makeFolder("oncegate")
        let port = try Socket.freePort()
        let file = try site.write(
            "\(folder)/gateway.json",
            """
            {
              "listeners": [ { "address": "127.0.0.1:\(port)" } ],
              "admin": { "address": "unix:\(folder)/admin.sock" },
              "threads": 1,
              "log": { "level": "warning", "access": false },
              "store": { "type": "sqlite", "path": "\(folder)/keys.db" },
              "limits": { "connections": 20000 },
              "upstreams": { "origin": { "url": "http://127.0.0.1:\(site.originPort)" } },
              "routes": [ { "path": "/s/**", "upstream": "origin", "limits": { "body": "none" } },
                          { "path": "/**", "upstream": "origin",
                            "idempotency": { "key": "pass", "scope": "shared" } } ]
            }
            """)
        return try Candidate(
            "oncegate", [program, "serve", "--config", file], ports: (port, port), site: site,
            folder: folder)
    }

    /// nginx with one worker: a plain proxy, and beside it a cache with the key in its cache key.
    static func nginx(_ program: String, site: Site) throws -> Candidate {
        let folder = try site.makeFolder("nginx")
        let (port, keyedPort) = (try Socket.freePort(), try Socket.freePort())
        let file = try site.write(
            "\(folder)/nginx.conf",
            """
            daemon off;
            \(geteuid() == 0 ? "user root;" : "")
            worker_processes 1;
            worker_rlimit_nofile 20000;
            pid \(folder)/nginx.pid;
            error_log \(folder)/error.log;
            events { worker_connections 19000; }
            http {
                access_log off;
                sendfile on;
                keepalive_requests 1000000000;
                keepalive_timeout 600;
                client_body_buffer_size 128k;
                client_max_body_size 0;
                client_body_temp_path \(folder)/body;
                proxy_temp_path \(folder)/proxy;
                fastcgi_temp_path \(folder)/fastcgi;
                uwsgi_temp_path \(folder)/uwsgi;
                scgi_temp_path \(folder)/scgi;
                open_file_cache max=200000 inactive=600s;
                open_file_cache_valid 600s;
                proxy_cache_path \(folder)/cache levels=1:2 keys_zone=keys:64m max_size=4g
                                 inactive=24h use_temp_path=off;
                upstream origin {
                    server 127.0.0.1:\(site.originPort);
                    keepalive 512;
                    keepalive_requests 1000000000;
                }
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_set_header Host $host;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                server {
                    listen 127.0.0.1:\(port) backlog=4096;
                    location / { proxy_pass http://origin; }
                    location /s/ {
                        proxy_pass http://origin;
                        proxy_buffering off;
                        proxy_request_buffering off;
                    }
                }
                server {
                    listen 127.0.0.1:\(keyedPort) backlog=4096;
                    location / {
                        proxy_cache keys;
                        proxy_cache_methods GET HEAD POST;
                        proxy_cache_key $request_method$uri$http_idempotency_key;
                        proxy_cache_valid any 24h;
                        proxy_cache_lock on;
                        proxy_cache_lock_timeout 30s;
                        proxy_pass http://origin;
                    }
                }
            }
            """)
        return try Candidate(
            "nginx", [program, "-p", folder, "-e", "\(folder)/error.log", "-c", file],
            ports: (port, keyedPort), site: site, folder: folder)
    }
}

/// What all candidates share: the origin, the cores, a folder for their files.
struct Site {
    let folder: String
    /// The core that a candidate has to itself; nil on a machine that has only one.
    let candidateCore: Int?
    private let origin: ChildProcess
    let originPort: UInt16
    let cores = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))

    /// What the origin has used so far.
    var originProcesses: ProcessTree { ProcessTree(root: origin.id) }

    /// Moves this process, which generates the load, to one core, and starts the origin there too.
    init(folder: String) throws {
        let hasCores = cores > 1
        self.folder = folder
        candidateCore = hasCores ? 0 : nil
        let log = "\(folder)/origin.log"
        if hasCores {
            let move = ["taskset", "--all-tasks", "--cpu-list", "--pid", "1", "\(getpid())"]
            try ChildProcess(move, core: nil, log: log).wait()
        }
        origin = try ChildProcess(
            ["/proc/self/exe", "origin"], core: nil, log: log, readsOutput: true)
        guard let port = UInt16(origin.line().dropLast()) else {
            throw Failure("the origin does not start; see \(folder)/origin.log")
        }
        originPort = port
    }

    /// An empty folder for a candidate.
    func makeFolder(_ name: String) throws -> String {
        var template = Array("\(folder)/\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("cannot make a folder in \(folder)") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Writes a file and gives its path back.
    func write(_ path: String, _ text: String) throws -> String {
        guard let file = fopen(path, "w") else { throw Failure("cannot write \(path)") }
        fputs(text, file)
        fclose(file)
        return path
    }

    /// How often keys reached the origin since ``resetCounts()``.
    func counts() throws -> (keyed: Int, most: Int) {
        let lines = try get("/counts", port: originPort).split(separator: "\n")
        let value = { (name: String) in
            lines.first { $0.hasPrefix("\(name) ") }.flatMap { Int($0.dropFirst(name.count + 1)) }
        }
        guard let keyed = value("keyed"), let most = value("most") else {
            throw Failure("the origin does not tell its counts")
        }
        return (keyed, most)
    }

    /// Forgets the counts.
    func resetCounts() throws { _ = try get("/reset", port: originPort) }
}

private func isServing(_ port: UInt16) -> Bool {
    (try? get("/b/200", port: port).hasPrefix("HTTP/1.1 200")) ?? false
}

/// The whole answer to one GET.
private func get(_ path: String, port: UInt16) throws -> String {
    guard let descriptor = Socket.connect(port: port) else {
        throw Failure("port \(port) is closed")
    }
    defer { close(descriptor) }
    let request = Array("GET \(path) HTTP/1.1\r\nHost: bench.local\r\n\r\n".utf8)
    send(descriptor, request, request.count, Int32(MSG_NOSIGNAL))
    var answer: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    var reader = MessageReader()
    var isComplete = false
    while !isComplete {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, 5000) > 0 else { throw Failure("no answer from port \(port)") }
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { throw Failure("port \(port) closed in the middle") }
        answer += chunk[..<count]
        let isSound = chunk.withUnsafeBytes { bytes in
            reader.take(UnsafeRawBufferPointer(rebasing: bytes[..<count])) { _ in isComplete = true
            }
        }
        guard isSound else { throw Failure("port \(port) does not speak plain HTTP") }
    }
    return String(decoding: answer, as: UTF8.self)
}

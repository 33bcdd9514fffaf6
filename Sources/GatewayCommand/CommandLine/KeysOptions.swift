import HTTP
import Idempotency

/// What `keys` can do.
enum KeysAction: String, Sendable, CaseIterable {
    case list, show, release, complete, erase

    /// One line of the usage.
    var summary: String {
        switch self {
        case .list: "List keys, the newest first"
        case .show: "Show all that is known of a key"
        case .release: "Free a key: the next request with it is executed"
        case .complete: "Settle a key with an answer, which retries then get"
        case .erase: "Destroy the body and the fields of a key's answer, and keep the verdict"
        }
    }

    /// What follows on the name, for people.
    var argument: String? { self == .list ? nil : "ID" }

    /// Whether it changes a record, so that somebody has to confirm it.
    var isChange: Bool { self != .list && self != .show }

    /// The action of that name.
    static func named(_ word: String) throws(UsageError) -> KeysAction {
        if let action = KeysAction(rawValue: word) { return action }
        let names = allCases.map(\.rawValue)
        let hint = Suggestion.phrase(for: word, among: names)
        throw UsageError(
            message: "keys: expected \(alternatives(names)), found \"\(word)\"" + hint, verb: .keys)
    }
}

/// What `keys` is asked to do, and where.
struct KeysOptions: Sendable, Hashable {
    var action: KeysAction
    /// The record's own name; empty for a list.
    var id = ""

    /// The path of the configuration that the gateway runs with.
    var config = "gateway.json"
    /// The admin listener of a gateway without any configuration.
    var admin: Address?
    /// Where the admin token is, if it is not the configuration's.
    var tokenFile: String?
    /// Whether the output is for programs.
    var isJSON = false
    /// Whether a change is confirmed already.
    var isConfirmed = false

    var filter = KeysFilter()
    /// Whether a lock is broken that is alive.
    var isForced = false
    var answer = GivenAnswer()

    init(_ action: KeysAction) { self.action = action }
}

/// Which keys are listed.
struct KeysFilter: Sendable, Hashable {
    /// The states that there are.
    static let states = ["locked", "free", "unknown", "finished", "expired"]

    var state: String?
    var route: String?
    var key: String?
    /// The id that comes right before the first one.
    var before: String?
    /// How many at most; nil for all.
    var limit: Int? = 50
}

/// The answer that `complete` settles a key with, as far as it is on the command line.
struct GivenAnswer: Sendable, Hashable {
    /// Where the body is.
    enum Body: Sendable, Hashable {
        case text(String)
        case file(String)
        case standardInput
    }

    /// A field of the answer.
    struct Header: Sendable, Hashable {
        let name: String
        let value: String
    }

    var status: Int?
    /// Nil for an empty one.
    var body: Body?
    var headers: [Header] = []
}

extension KeysOptions {
    /// What the arguments after `keys` ask for.
    static func parse(_ arguments: ArraySlice<String>) throws(UsageError) -> KeysOptions {
        guard let word = arguments.first else {
            let names = alternatives(KeysAction.allCases.map(\.rawValue))
            throw UsageError(message: "keys: expected \(names)", verb: .keys)
        }
        let action = try KeysAction.named(word)
        do throws(Invalid) {
            let options = try Option.read(
                arguments.dropFirst(), into: KeysOptions(action), by: options(of: action)
            ) { options, word throws(Invalid) in
                guard action.argument != nil, options.id.isEmpty else { return false }
                options.id = try id(word)
                return true
            }
            try options.check()
            return options
        } catch {
            throw UsageError(message: error.message, verb: .keys, action: action)
        }
    }

    /// An id as the gateway writes it.
    private static func id(_ word: String) throws(Invalid) -> String {
        if let id = KeyID(word) { return id.description }
        throw Invalid(
            "expected an ID, which is \"ikey_\" and 26 letters and digits, found \"\(word)\"; "
                + "`oncegate keys list --key KEY` finds it")
    }

    private func check() throws(Invalid) {
        if action != .list, id.isEmpty { throw Invalid("expected the ID of a key") }
        if action == .complete, answer.status == nil {
            throw Invalid("expected --status N: the status of the answer that retries are to get")
        }
    }
}

extension KeysOptions {
    /// What can be said for an action.
    static func options(of action: KeysAction) -> [Option<KeysOptions>] {
        switch action {
        case .list: filters + output + places
        case .show: output + places
        case .release: force + confirmation + output + places
        case .complete: reply + confirmation + output + places
        case .erase: confirmation + output + places
        }
    }

    private static let filters: [Option<KeysOptions>] = [
        .value("state", "STATE", "only \(alternatives(KeysFilter.states))") {
            options, value throws(Invalid) in
            guard KeysFilter.states.contains(value) else {
                let hint = Suggestion.phrase(for: value, among: KeysFilter.states)
                throw Invalid(
                    "expected \(alternatives(KeysFilter.states)), found \"\(value)\"" + hint)
            }
            options.filter.state = value
        },
        .text("route", "NAME", "only those of this route") { $0.filter.route = $1 },
        .text("key", "KEY", "only those with this Idempotency-Key, in every scope") {
            $0.filter.key = $1
        },
        .value("before", "ID", "only those that are older than this one") {
            options, value throws(Invalid) in options.filter.before = try id(value)
        },
        .count("limit", 1...1_000_000, "how many at most (50)") { $0.filter.limit = $1 },
        .flag("all", "all that there are, page by page") { $0.filter.limit = nil },
    ]

    private static let output: [Option<KeysOptions>] = [
        .flag("json", "a JSON object in a line for each key, for programs") { $0.isJSON = true }
    ]

    private static let force: [Option<KeysOptions>] = [
        .flag("force", "break a lock that is alive: only when its work is known to be dead") {
            $0.isForced = true
        }
    ]

    private static let confirmation: [Option<KeysOptions>] = [
        .flag("yes", "do it without asking; needed where there is no terminal") {
            $0.isConfirmed = true
        }
    ]

    private static let places: [Option<KeysOptions>] = [
        .text("config", "FILE", "the gateway's configuration (gateway.json)") { $0.config = $1 },
        .value("admin", "URL", "its admin listener, http://HOST:PORT or unix:PATH, without FILE") {
            options, value throws(Invalid) in options.admin = try Address(admin: value)
        },
        .text("token-file", "PATH", "the admin token; for --admin also $ONCEGATE_ADMIN_TOKEN") {
            $0.tokenFile = $1
        },
    ]

    private static let reply: [Option<KeysOptions>] = [
        .count("status", 200...599, "the answer's status; it must be given") {
            $0.answer.status = $1
        },
        .value("body", "TEXT", "its body (empty); - for standard input; JSON gets its Content-Type")
        {
            options, value throws(Invalid) in
            try options.answer.take(value == "-" ? .standardInput : .text(value))
        },
        .value("body-file", "PATH", "its body, from a file") { options, value throws(Invalid) in
            guard !value.isEmpty else { throw Invalid("expected PATH, found nothing") }
            try options.answer.take(.file(value))
        },
        .value("header", "\"NAME: VALUE\"", "one of its fields; as often as there are some") {
            options, value throws(Invalid) in try options.answer.addHeader(value)
        },
    ]
}

extension GivenAnswer {
    fileprivate mutating func take(_ given: Body) throws(Invalid) {
        guard body == nil else { throw Invalid("the body is given already") }
        body = given
    }

    fileprivate mutating func addHeader(_ line: String) throws(Invalid) {
        let sides = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard sides.count == 2, FieldName(String(sides[0])).isToken else {
            throw Invalid("expected \"NAME: VALUE\", found \"\(line)\"")
        }
        let blanks: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        var value = sides[1].drop(while: blanks)
        while value.last.map(blanks) == true { value.removeLast() }
        guard value.unicodeScalars.allSatisfy({ $0 == "\t" || $0.value >= 0x20 && $0 != "\u{7F}" })
        else { throw Invalid("the value of \(sides[0]) has a control character") }
        headers.append(Header(name: String(sides[0]), value: String(value)))
    }
}

extension Address {
    /// The admin listener that `http://HOST:PORT` or `unix:PATH` names.
    init(admin text: String) throws(Invalid) {
        let expected = "expected http://HOST:PORT or unix:PATH, found \"\(text)\""
        do throws(Invalid) {
            switch try UpstreamURL(text) {
            case .tcp(isSecure: false, let host, let port): self = .tcp(host: host, port: port)
            case .unix(let path): self = .unix(path: path)
            case .tcp(isSecure: true, _, _):
                throw Invalid("\(expected); the admin listener speaks no TLS: use a tunnel")
            }
        } catch {
            throw Invalid(error.message.hasPrefix(expected) ? error.message : expected)
        }
    }
}

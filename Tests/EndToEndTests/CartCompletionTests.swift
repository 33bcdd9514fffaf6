import Glibc
import Testing

/// The example program, killed at every boundary of its stages and started again.
@Suite(.ownThread) struct CartCompletionTests {
    /// A place to die at, what is done by then, and what the next run says of itself.
    struct Death: Sendable, CustomTestStringConvertible {
        let place: String
        /// Tax lines, payments, orders, and the provider's own payments.
        let done: String
        let story: String

        var testDescription: String { place }
    }

    private static let deaths = [
        Death(place: "claimed", done: "0 0 0 0", story: "resumed at started"),
        Death(place: "before tax_lines_created", done: "0 0 0 0", story: "resumed at started"),
        Death(place: "called tax_lines_created", done: "0 0 0 0", story: "resumed at started"),
        Death(place: "inside tax_lines_created", done: "0 0 0 0", story: "resumed at started"),
        Death(
            place: "before payment_authorized", done: "2 0 0 0",
            story: "resumed at tax_lines_created"),
        Death(
            place: "called payment_authorized", done: "2 0 0 1",
            story: "resumed at tax_lines_created"),
        Death(
            place: "inside payment_authorized", done: "2 0 0 1",
            story: "resumed at tax_lines_created"),
        Death(place: "before finished", done: "2 1 0 1", story: "resumed at payment_authorized"),
        Death(place: "called finished", done: "2 1 0 1", story: "resumed at payment_authorized"),
        Death(place: "inside finished", done: "2 1 0 1", story: "resumed at payment_authorized"),
        Death(place: "answered", done: "2 1 1 1", story: "replayed"),
    ]

    private static let answer = #"201 {"order":1,"total":5712}"#

    @Test(arguments: deaths)
    func `a cart is completed once, wherever the process dies`(death: Death) throws {
        let shop = try ShopDirectory()
        #expect(try shop.run("key", "cart_1", "--crash-at", death.place).exit == .signal(SIGKILL))
        #expect(try shop.effects() == death.done)
        let second = try shop.run("key", "cart_1")
        #expect(second.exit == .code(0))
        #expect(second.lines == [death.story, Self.answer], "\(second.errors)")
        #expect(try shop.effects() == "2 1 1 1")
        #expect(try shop.run("key", "cart_1").lines == ["replayed", Self.answer])
        let other = try shop.run("key", "cart_2")
        #expect(other.lines == ["refused", #"422 {"message":"this key was used"}"#])
        #expect(try shop.effects() == "2 1 1 1")
    }

    @Test func `a run that dies again and again completes the cart once`() throws {
        let shop = try ShopDirectory()
        for death in Self.deaths {
            #expect(
                try shop.run("key", "cart_1", "--crash-at", death.place).exit == .signal(SIGKILL))
        }
        #expect(try shop.run("key", "cart_1").lines == ["replayed", Self.answer])
        #expect(try shop.effects() == "2 1 1 1")
    }

    @Test func `a cart without a crash is executed, and another key finds it completed`() throws {
        let shop = try ShopDirectory()
        #expect(try shop.run("a", "cart_1").lines == ["executed", Self.answer])
        let completed = ["executed", #"409 {"message":"the cart is completed"}"#]
        #expect(try shop.run("b", "cart_1").lines == completed)
        #expect(try shop.run("c", "cart_2").lines.first == "executed")
        #expect(try shop.effects() == "3 2 2 2")
    }

    @Test func `a stage that throws is an error, and goes on when its cause is gone`() throws {
        let shop = try ShopDirectory()
        let failed = try shop.run("key", "cart_9")
        #expect(failed.exit == .code(1))
        #expect(failed.errors.contains("cart_9"))
        try shop.execute("INSERT INTO carts (id) VALUES ('cart_9')")
        try shop.execute("INSERT INTO items VALUES ('cart_9', 'cup', 1, 1000)")
        let lines = try shop.run("key", "cart_9").lines
        #expect(lines == ["resumed at started", #"201 {"order":1,"total":1190}"#])
    }

    @Test func `a second process is refused by name while the first has the file`() throws {
        let shop = try ShopDirectory()
        let first = try shop.start("key", "cart_1", "--stop-at", "called payment_authorized")
        try first.waitUntilStopped()
        let second = try shop.run("key", "cart_1")
        #expect(second.exit == .code(1))
        #expect(second.errors.contains("store locked"), "\(second.errors)")
        #expect(second.errors.contains("shop.db"), "\(second.errors)")
        first.signal(SIGCONT)
        #expect(try first.waitForExit() == .code(0))
        #expect(try first.output.complete() == ["executed", Self.answer])
        #expect(try shop.effects() == "2 1 1 1")
    }
}

/// A directory with a shop in it.
private struct ShopDirectory {
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let binary =
        GatewayProcess.binary.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        .joined(separator: "/") + "/CartCompletion"

    func start(_ words: String...) throws -> ChildProcess {
        try ChildProcess(Self.binary, [directory.path] + words, in: directory.path)
    }

    func run(
        _ words: String...
    ) throws -> (exit: ChildProcess.Exit, lines: [String], errors: String) {
        let process = try ChildProcess(Self.binary, [directory.path] + words, in: directory.path)
        let exit = try process.waitForExit()
        return (
            exit, try process.output.complete(),
            try process.errors.complete().joined(separator: "\n")
        )
    }

    /// Tax lines, payments, orders, and the provider's own payments, as numbers.
    func effects() throws -> String {
        let counts = try ["tax_lines", "payments", "orders"].map {
            try query("SELECT COUNT(*) FROM \($0)")
        }
        let provider = "\(directory.path)/payments"
        let payments = access(provider, F_OK) == 0 ? try readFile(provider) : ""
        return (counts + ["\(payments.split(separator: "\n").count)"]).joined(separator: " ")
    }

    func execute(_ sql: String) throws { _ = try query(sql) }

    /// The first value of a statement, read without the program's own code.
    private func query(_ sql: String) throws -> String {
        let program = """
            import sqlite3, sys
            base = sqlite3.connect(sys.argv[1])
            row = base.execute(sys.argv[2]).fetchone()
            base.commit()
            print(row[0] if row else "")
            """
        let process = try ChildProcess(
            "/usr/bin/python3", ["-c", program, "\(directory.path)/shop.db", sql],
            in: directory.path)
        let exit = try process.waitForExit()
        let errors = try process.errors.complete()
        #expect(exit == .code(0), "\(errors)")
        return try process.output.complete().first ?? ""
    }
}

extension ChildProcess {
    /// Waits until the process has stopped by a signal.
    fileprivate func waitUntilStopped() throws {
        let hasStopped = Background { [pid] in
            var information = siginfo_t()
            while waitid(P_PID, id_t(pid), &information, WSTOPPED | WEXITED | WNOWAIT) != 0 {
                guard errno == EINTR else { return false }
            }
            return information.si_code == CLD_STOPPED
        }
        guard try hasStopped.value() else { throw HarnessError("process \(pid) did not stop") }
    }
}

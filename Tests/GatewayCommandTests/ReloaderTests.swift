import Admin
import Synchronization
import Testing
import Transport

@testable import GatewayCommand

@Suite struct ReloaderTests {
    /// Counts readings, and lets them end when it is told to.
    private final class Readings: Sendable {
        private struct State {
            var begun = 0
            var underWay = 0
            var mostAtOnce = 0
            var waiting: [CheckedContinuation<Void, Never>] = []
        }
        private let state = Mutex(State())

        var begun: Int { state.withLock { $0.begun } }
        var mostAtOnce: Int { state.withLock { $0.mostAtOnce } }

        func read() async -> ReloadOutcome {
            let number = state.withLock { state in
                state.begun += 1
                state.underWay += 1
                state.mostAtOnce = max(state.mostAtOnce, state.underWay)
                return state.begun
            }
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiting.append(continuation) }
            }
            state.withLock { $0.underWay -= 1 }
            return .applied(generation: number, hash: "", changes: [])
        }

        /// Waits until so many have begun, then ends the last one.
        func end(_ number: Int) async {
            while true {
                let next = state.withLock { state in
                    state.begun == number ? state.waiting.popLast() : nil
                }
                if let next { return next.resume() }
                try? await Task.sleep(for: .milliseconds(1))
            }
        }
    }

    private func generation(_ outcome: ReloadOutcome) -> Int {
        if case .applied(let generation, _, _) = outcome { generation } else { 0 }
    }

    @Test func `who asks while one is read shares the next one`() async {
        let readings = Readings()
        let reloader = Reloader { await readings.read() }
        reloader.open()
        let first = Task { await reloader.reload() }
        while readings.begun < 1 { try? await Task.sleep(for: .milliseconds(1)) }
        // Each of them has asked when the next one is started.
        let others = (0..<50).map { _ in Task.immediate { await reloader.reload() } }
        await readings.end(1)
        #expect(generation(await first.value) == 1)
        await readings.end(2)
        for other in others { #expect(generation(await other.value) == 2) }
        #expect(readings.begun == 2)
        #expect(readings.mostAtOnce == 1)
    }

    @Test func `nothing is read before the start is over`() async {
        let readings = Readings()
        let reloader = Reloader { await readings.read() }
        let early = Task { await reloader.reload() }
        for _ in 0..<100 { await Task.yield() }
        #expect(readings.begun == 0)
        reloader.open()
        await readings.end(1)
        #expect(generation(await early.value) == 1)
    }
}

@Suite struct WatchdogTests {
    /// What a watchdog is told and tells.
    private final class Signs: Sendable {
        let told = Atomic<Int>(0)
        let asked = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)
    }

    private func watchdog(
        _ loops: [EventLoop], _ signs: Signs, askStore: @escaping @Sendable () async -> Void
    ) -> Watchdog {
        Watchdog(
            loops: loops, interval: .milliseconds(20),
            askStore: {
                signs.asked.add(1, ordering: .relaxed)
                await askStore()
            },
            tell: { signs.told.add(1, ordering: .relaxed) },
            isOver: { signs.isOver.load(ordering: .relaxed) })
    }

    /// Looks again and again, so that others have their turn, until a minute has passed.
    private func wait(
        at location: SourceLocation = #_sourceLocation, _ isTrue: () -> Bool
    ) async {
        let deadline = ContinuousClock.now + .seconds(60)
        while !isTrue() {
            guard ContinuousClock.now < deadline else {
                Issue.record("waited in vain", sourceLocation: location)
                return
            }
            try? await Task.sleep(for: .milliseconds(1))
        }
    }

    @Test func `it tells nothing while a loop hangs, and goes on when that answers`() async {
        let loops = (0..<2).map { EventLoop(name: "watched-\($0)") }
        defer { for loop in loops { loop.stop() } }
        let signs = Signs()
        await watchdog(loops, signs, askStore: {}).begin()
        await wait { signs.told.load(ordering: .relaxed) >= 3 }
        let isFree = Atomic<Bool>(false)
        let hangs = Atomic<Bool>(false)
        let loop = loops[1]
        async let hanging: Void = loop.run { _ in
            hangs.store(true, ordering: .relaxed)
            while !isFree.load(ordering: .relaxed) {}
        }
        await wait { hangs.load(ordering: .relaxed) }
        // It had its turn just before, perhaps; no more than that is told.
        let before = signs.told.load(ordering: .relaxed)
        await loops[0].run { loop in await loop.reactor.sleep(for: .milliseconds(200)) }
        #expect(signs.told.load(ordering: .relaxed) <= before + 1)
        isFree.store(true, ordering: .relaxed)
        await hanging
        await wait { signs.told.load(ordering: .relaxed) >= before + 3 }
        signs.isOver.store(true, ordering: .relaxed)
    }

    @Test func `it tells nothing while the store's thread hangs`() async {
        let loops = [EventLoop(name: "watched")]
        defer { loops[0].stop() }
        let signs = Signs()
        let hung = Mutex<CheckedContinuation<Void, Never>?>(nil)
        await watchdog(loops, signs) {
            guard signs.asked.load(ordering: .relaxed) == 3 else { return }
            await withCheckedContinuation { continuation in
                hung.withLock { $0 = continuation }
            }
        }.begin()
        await wait { hung.withLock { $0 != nil } }
        await loops[0].run { loop in await loop.reactor.sleep(for: .milliseconds(200)) }
        #expect(signs.told.load(ordering: .relaxed) == 2)
        hung.withLock { $0?.resume() }
        await wait { signs.told.load(ordering: .relaxed) >= 4 }
        signs.isOver.store(true, ordering: .relaxed)
    }
}

import Synchronization

/// How many requests an upstream may have at one time, from all event loops together.
package final class InFlightLimit: Sendable {
    private let limit: Atomic<Int>
    private let taken = Atomic<Int>(0)

    /// A limit of at least one.
    package init(_ limit: Int) { self.limit = Atomic(limit) }

    /// Sets another limit. What has a place keeps it.
    package func change(_ limit: Int) { self.limit.store(limit, ordering: .relaxed) }

    /// A place for one request; nil when all are taken.
    func take() -> InFlightPlace? {
        guard taken.add(1, ordering: .relaxed).newValue <= limit.load(ordering: .relaxed) else {
            giveBack()
            return nil
        }
        return InFlightPlace(self)
    }

    fileprivate func giveBack() { taken.subtract(1, ordering: .relaxed) }
}

extension InFlightLimit: Hashable {
    package static func == (a: InFlightLimit, b: InFlightLimit) -> Bool { a === b }
    package func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// A place among the requests of an upstream, until it is let go of.
final class InFlightPlace {
    private let limit: InFlightLimit

    fileprivate init(_ limit: InFlightLimit) { self.limit = limit }

    deinit { limit.giveBack() }
}

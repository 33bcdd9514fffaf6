import Synchronization

/// How many requests an upstream may have at one time, from all event loops together.
package final class InFlightLimit: Sendable {
    private let limit: Int
    private let taken = Atomic<Int>(0)

    /// A limit of at least one.
    package init(_ limit: Int) { self.limit = limit }

    /// A place for one request; nil when all are taken.
    func take() -> InFlightPlace? {
        guard taken.add(1, ordering: .relaxed).newValue <= limit else {
            giveBack()
            return nil
        }
        return InFlightPlace(self)
    }

    fileprivate func giveBack() { taken.subtract(1, ordering: .relaxed) }
}

/// A place among the requests of an upstream, until it is let go of.
final class InFlightPlace {
    private let limit: InFlightLimit

    fileprivate init(_ limit: InFlightLimit) { self.limit = limit }

    deinit { limit.giveBack() }
}

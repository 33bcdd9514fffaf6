import Glibc
import Idempotency
import IdempotencySQLite

/// Ends or halts the process at a named place, so that what comes after can be looked at.
///
/// The places of a stage are `before NAME` (nothing of it is done), `called NAME` (its call to
/// others is over, nothing is committed), `inside NAME` (its rows are written, the transaction is
/// open). Between two stages, `before` the second is after the commit of the first. `claimed` and
/// `answered` are before and after all of them.
struct Interruption: Sendable {
    let place: String
    let signal: Int32

    /// Goes no further if this is the place.
    func reach(_ place: String) {
        if place == self.place { raise(signal) }
    }

    /// The stages, interrupted at this place.
    func within(_ stages: [Stage]) -> [Stage] {
        stages.map { stage in
            Stage(stage.name) { key in
                reach("before \(stage.name)")
                let commit = try await stage.run(key)
                reach("called \(stage.name)")
                return { key, sql in
                    let result = try commit(key, sql)
                    reach("inside \(stage.name)")
                    return result
                }
            }
        }
    }
}

import Gateway
import Idempotency
import JSON
import Telemetry

// What the key service and its journal report, as log lines.

extension Log {
    /// Writes what happened to a conclusion or a lease.
    func write(_ event: KeyEvent) {
        switch event {
        case .delivered(let id):
            write(.info, "conclusion delivered") { $0.member("key_id", id.description) }
        case .dropped(let id, let error):
            write(.warning, "conclusion dropped") { line in
                line.member("key_id", id.description)
                line.member("reason", "\(error)")
            }
        case .forgotten(let id):
            write(.error, "conclusion lost; its key becomes unknown") {
                $0.member("key_id", id.description)
            }
        case .journalFailed(let id, let error):
            write(.error, "conclusion not in the journal") { line in
                line.member("key_id", id.description)
                line.member("detail", error.description)
            }
        case .discardFailed(let error):
            write(.warning, "journal not emptied") { $0.member("detail", error.description) }
        case .unreadable(let position, let isKept, let error):
            write(.error, "unreadable conclusion in the journal") { line in
                line.member("position", Int(clamping: position))
                line.member("kept", isKept)
                line.member("detail", error.description)
            }
        case .suspended(let id):
            write(.warning, "lease over, its work goes on later") {
                $0.member("key_id", id.description)
            }
        case .leftLocked(let id):
            write(.warning, "claim not given back; its lease ends by itself") {
                $0.member("key_id", id.description)
            }
        case .lapsed(let id):
            write(.warning, "lease over, key unknown") { $0.member("key_id", id.description) }
        }
    }

    /// Writes what was wrong with the journal's file.
    func write(_ damage: FileJournal.Damage) {
        write(.warning, "journal was damaged") { line in
            line.member("torn_bytes", damage.torn)
            line.member("damaged_bytes", damage.damaged)
            if let aside = damage.aside { line.member("put_aside", aside) }
        }
    }
}

extension RoutingTable {
    /// The key policies by the routes' names.
    var policies: [String: KeyPolicy] {
        var policies: [String: KeyPolicy] = [:]
        for route in routes { policies[route.name] = route.keys?.policy }
        return policies
    }
}

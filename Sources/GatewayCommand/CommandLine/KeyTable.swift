import Idempotency
import JSON

/// Records as a table for people, a line each, that grows page by page: its columns do not depend
/// on what is in them.
struct KeyTable {
    private let now: Timestamp
    private let columns: [Column]

    private struct Column {
        let title: String
        let width: Int
        var isNumber = false
        let cell: (KeyRecord) -> String
    }

    /// A table of at most so many columns of text; it does not get narrower than 100, nor wider
    /// than 200.
    init(width: Int = 120, now: Timestamp) {
        self.now = now
        // Beside the id, the state, the numbers, and two blanks between the columns. A UUID is
        // shown whole where there is room for it.
        let rest = min(max(width, 100), 200) - 31 - 15 - 4 - 5 - 5 * 2
        let key = min(36, rest - 19)
        columns = [
            Column(title: "ID", width: 31) { $0.id },
            Column(title: "IDEMPOTENCY_KEY", width: key) { $0.text(.idempotencyKey) },
            Column(title: "STATE", width: 15) { $0.progress(at: now) },
            Column(title: "REQUEST", width: rest - key) { record in
                "\(record.text(.requestMethod)) \(record.text(.requestPath))"
            },
            Column(title: "CODE", width: 4, isNumber: true) { record in
                record[.responseCode]?.integer.map { "\($0)" } ?? "-"
            },
            Column(title: "AGE", width: 5, isNumber: true) { record in
                record.moment(.createdAt).map { (now - $0).brief } ?? "-"
            },
        ]
    }

    /// The titles.
    var head: String { row { $0.title } }

    /// A record.
    func line(_ record: KeyRecord) -> String { row { TerminalText.line($0.cell(record)) } }

    private func row(_ text: (Column) -> String) -> String {
        var line = ""
        for column in columns {
            let cell = TerminalText.cut(text(column), column.width)
            let gap = String(repeating: " ", count: column.width - TerminalText.width(cell))
            line += (line.isEmpty ? "" : "  ") + (column.isNumber ? gap + cell : cell + gap)
        }
        while line.last == " " { line.removeLast() }
        return line + "\n"
    }
}

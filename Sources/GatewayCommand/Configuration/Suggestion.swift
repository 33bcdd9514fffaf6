/// What somebody may have meant by a word that is not known.
enum Suggestion {
    /// The known word nearest to `word`, when it is near enough to be meant.
    static func nearest(to word: String, among known: [String]) -> String? {
        let near = max(1, word.unicodeScalars.count / 3)
        var best: (word: String, distance: Int)?
        for candidate in known {
            let distance = cost(word, candidate)
            if distance <= near, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.word
    }

    /// Another case costs nothing, and the rest of a word little.
    private static func cost(_ word: String, _ candidate: String) -> Int {
        if candidate.lowercased() == word.lowercased() { return 0 }
        if word.count >= 3, candidate.hasPrefix(word) { return 1 }
        return distance(word, candidate)
    }

    /// `; did you mean "…"?`, or nothing.
    static func phrase(for word: String, among known: [String]) -> String {
        nearest(to: word, among: known).map { "; did you mean \"\($0)\"?" } ?? ""
    }

    /// How many insertions, deletions, replacements and swaps of neighbours lead from one word to
    /// the other. Words are cut at 64 code points.
    static func distance(_ a: String, _ b: String) -> Int {
        let a = Array(a.unicodeScalars.prefix(64))
        let b = Array(b.unicodeScalars.prefix(64))
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                let replaced = last[j] + (a[i] == b[j] ? 0 : 1)
                var cost = min(replaced, last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                    cost = min(cost, beforeLast[j - 1] + 1)
                }
                row.append(cost)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
func alternatives(_ words: [String]) -> String {
    let quoted = words.map { "\"\($0)\"" }
    guard quoted.count > 1 else { return quoted.joined() }
    return quoted.dropLast().joined(separator: ", ") + " or " + quoted[quoted.count - 1]
}

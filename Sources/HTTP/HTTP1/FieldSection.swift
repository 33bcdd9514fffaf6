extension Fields {
    /// The lines of a field section that the gateway wrote itself: `Name: value`, each with CRLF.
    ///
    /// The array becomes the storage. A malformed line, which would mean damage, and all after it
    /// are left out, so that nothing can be smuggled into an answer that way.
    package init(fieldSection: [UInt8]) {
        var scanner = HeadScanner(sectionLimit: fieldSection.count, countLimit: fieldSection.count)
        _ = try? scanner.scan(fieldSection.span)
        self.init(bytes: fieldSection, lines: scanner.lines)
    }

    /// Appends all lines as `Name: value`, each with CRLF.
    package func appendFieldSection(to section: inout [UInt8]) {
        section.reserveCapacity(section.count + byteCount)
        _ = appendSection(to: &section) { _ in true }
    }

    /// At least as many bytes as the lines take when they are written.
    var byteCount: Int { bytes.count + 2 * lines.count }

    /// Appends the lines that `isWanted` by their identity, and says whether `Date` was among all.
    ///
    /// Lines that lie in `bytes` one behind the other in the form in which they are written are
    /// copied together.
    @inline(__always)
    func appendSection(
        to section: inout [UInt8], _ isWanted: (FieldName.ID) -> Bool
    ) -> Bool {
        var hasDate = false
        var runStart = 0
        var runEnd = 0
        for line in lines {
            if line.id == .date { hasDate = true }
            guard isWanted(line.id) else { continue }
            if isWritten(line) {
                if Int(line.nameStart) != runEnd {
                    section.append(contentsOf: bytes[runStart..<runEnd])
                    runStart = Int(line.nameStart)
                }
                runEnd = Int(line.valueEnd) + 2
                continue
            }
            section.append(contentsOf: bytes[runStart..<runEnd])
            runStart = runEnd
            section.append(contentsOf: bytes[Int(line.nameStart)..<Int(line.nameEnd)])
            section.append(": ")
            section.append(contentsOf: bytes[Int(line.valueStart)..<Int(line.valueEnd)])
            section.append("\r\n")
        }
        section.append(contentsOf: bytes[runStart..<runEnd])
        return hasDate
    }

    /// Whether a line lies in `bytes` in the form in which it is written.
    @inline(__always)
    private func isWritten(_ line: Line) -> Bool {
        let nameEnd = Int(line.nameEnd)
        let valueEnd = Int(line.valueEnd)
        return line.valueStart == line.nameEnd + 2 && valueEnd + 2 <= bytes.count
            && bytes[nameEnd] == 0x3A && bytes[nameEnd + 1] == 0x20
            && bytes[valueEnd] == 0x0D && bytes[valueEnd + 1] == 0x0A
    }
}

import Foundation

/// What the run found, for people.
struct Report {
    let summaries: [FileSummary]

    func show() {
        table("slowest", summaries.sorted { $0.milliseconds > $1.milliseconds }) { String(format: "%.1f ms", $0.milliseconds) }
        table("largest", summaries.sorted { $0.bytes > $1.bytes }) { "\($0.bytes) bytes, \($0.lines) lines" }
        let retried = summaries.filter { $0.attempt > 1 }.sorted { $0.attempt > $1.attempt }
        table("retried (\(retried.count) in all)", retried) { "attempt \($0.attempt)" }
    }

    private func table(_ title: String, _ rows: [FileSummary], _ value: (FileSummary) -> String) {
        print("\n\(title)")
        for row in rows.prefix(5) {
            let text = value(row)
            print("  " + text + String(repeating: " ", count: max(1, 30 - text.count)) + row.path)
        }
    }

    /// Compares every hash with what `sha256sum` says. Returns the files that differ.
    func differences() throws -> [String] {
        var wrong: [String] = []
        for start in stride(from: 0, to: summaries.count, by: 200) {
            let batch = summaries[start..<min(start + 200, summaries.count)]
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            // -z: a line ends with a zero byte, and no name is escaped.
            process.arguments = ["sha256sum", "-z", "--"] + batch.map(\.path)
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let data = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            var known: [String: String] = [:]
            for line in data.split(separator: 0) {
                let text = String(decoding: line, as: UTF8.self)
                known[String(text.dropFirst(66))] = String(text.prefix(64))
            }
            wrong += batch.filter { known[$0.path] != $0.sha256 }.map(\.path)
        }
        return wrong
    }
}

import Foundation

/// The file system that a folder lies in, by the kernel's table (proc(5), mountinfo).
struct FileSystem: Sendable, CustomStringConvertible {
    let type: String
    let device: String

    var description: String { "\(type) on \(device)" }
    /// Whether what is written there is in memory only.
    var isMemory: Bool { ["tmpfs", "ramfs", "devtmpfs"].contains(type) }

    init(of folder: String) {
        let path = URL(fileURLWithPath: folder).resolvingSymlinksInPath().path
        var best = (place: "", type: "an unknown file system", device: "an unknown device")
        // Files of /proc say nothing of their size, so they are read to their end.
        let table = FileHandle(forReadingAtPath: "/proc/self/mountinfo").flatMap { try? $0.readToEnd() } ?? Data()
        for line in String(decoding: table, as: UTF8.self).split(separator: "\n") {
            let halves = line.components(separatedBy: " - ")
            let first = halves[0].split(separator: " ")
            guard halves.count == 2, first.count > 4 else { continue }
            let last = halves[1].split(separator: " ")
            guard last.count > 1 else { continue }
            let place = String(first[4])
            let isAbove = place == "/" || path == place || path.hasPrefix(place + "/")
            if isAbove, place.count >= best.place.count { best = (place, String(last[0]), String(last[1])) }
        }
        type = best.type
        device = best.device
    }
}

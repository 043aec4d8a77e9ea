import Foundation
import Protobuf

let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path
let python = "\(repository)/.deps/python/bin/python"

/// `scripts/setup test` has made the Python environment that some tests lean on.
let hasPython = FileManager.default.isExecutableFile(atPath: python)

/// A folder of its own for one test, gone afterwards.
final class TemporaryFolder: Sendable {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("silo-\(UUID().uuidString)").path

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Runs a program to its end; its output and errors together.
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    let folder = try TemporaryFolder()
    let log = URL(fileURLWithPath: "\(folder.path)/output")
    try Data().write(to: log)
    let handle = try FileHandle(forWritingTo: log)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    process.standardOutput = handle
    process.standardError = handle
    try process.run()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: try Data(contentsOf: log), as: UTF8.self))
}

/// SplitMix64: the same seed gives the same numbers.
struct Chance: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}

/// A message that holds itself, for tests of depth.
struct Nest: Message {
    static var messageName: String { "test.Nest" }
    var inner: Indirect<Nest>?
    var unknownFields = UnknownFields()

    mutating func merge(from reader: inout Reader) throws(DecodingError) {
        while let tag = try reader.nextTag() {
            switch tag {
            case 10: try reader.message(&inner)
            default: try reader.unknown(tag, &unknownFields)
            }
        }
    }

    func write(to writer: inout Writer) {
        writer.unknown(unknownFields)
        if let inner {
            writer.message(inner.value)
            writer.tag(10)
        }
    }
}

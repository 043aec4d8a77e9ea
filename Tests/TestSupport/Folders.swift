import Foundation

/// A folder of its own for one test, gone afterwards.
public final class TemporaryFolder: Sendable {
    public let path = FileManager.default.temporaryDirectory.appendingPathComponent("silo-\(UUID().uuidString)").path

    public init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Names in a folder below, in order.
    public func files(_ folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "\(path)/\(folder)")) ?? []).sorted()
    }
}

/// Where the sources lie, and what `scripts/setup test` has made among them.
public enum Repository {
    public static let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
    public static let python = "\(path)/.deps/python/bin/python"
    public static var hasPython: Bool { FileManager.default.isExecutableFile(atPath: python) }

    /// A program of this package, which is built beside its tests.
    public static func program(_ name: String) throws -> String {
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent(name).path
    }
}

import Foundation
import SiloConfiguration
import TestSupport

/// A file with settings that lies in a folder of its own.
struct Loading {
    let path: String
    var environment: [String: String] = [:]

    init(_ text: String, environment: [String: String] = [:]) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("silo-configuration-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        path = folder.appendingPathComponent("silo.toml").path
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        self.environment = environment
    }

    func load() throws -> Configuration {
        defer { try? FileManager.default.removeItem(atPath: (path as NSString).deletingLastPathComponent) }
        return try LoadedConfiguration(file: path, nil, environment: environment).configuration
    }

    /// Each mistake without the path of the file.
    static func mistakes(_ text: String, environment: [String: String] = [:]) throws -> [String] {
        let loading = try Loading(text, environment: environment)
        do {
            _ = try loading.load()
            return []
        } catch let mistakes as LoadedConfiguration.Mistakes {
            return mistakes.lines.map { $0.replacingOccurrences(of: loading.path + ":", with: "") }
        }
    }
}

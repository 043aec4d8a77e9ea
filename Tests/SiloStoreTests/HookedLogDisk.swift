import Synchronization

@testable import SiloStore

/// A log's folder that tells the test of each sync of a file, just before it, and fails as that says.
final class HookedLogDisk: LogDisk {
    typealias Hook = @Sendable (_ file: String) throws(LogDiskError) -> Void
    private let inner: any LogDisk
    fileprivate let hook = Mutex<Hook?>(nil)

    init(_ inner: any LogDisk) { self.inner = inner }

    func set(_ hook: Hook?) { self.hook.withLock { $0 = hook } }

    func names() throws(LogDiskError) -> [String] { try inner.names() }
    func open(_ name: String, creating: Bool) throws(LogDiskError) -> any LogFile {
        File(name, try inner.open(name, creating: creating), of: self)
    }
    func remove(_ name: String) throws(LogDiskError) { try inner.remove(name) }
    func sync() throws(LogDiskError) { try inner.sync() }
    func close() { inner.close() }

    private final class File: LogFile {
        private let name: String
        private let inner: any LogFile
        private let disk: HookedLogDisk

        init(_ name: String, _ inner: any LogFile, of disk: HookedLogDisk) {
            (self.name, self.inner, self.disk) = (name, inner, disk)
        }

        func size() throws(LogDiskError) -> Int { try inner.size() }
        func read(at offset: Int, _ count: Int) throws(LogDiskError) -> [UInt8] { try inner.read(at: offset, count) }
        func write(_ bytes: [UInt8], at offset: Int) throws(LogDiskError) { try inner.write(bytes, at: offset) }
        func sync() throws(LogDiskError) {
            if let hook = disk.hook.withLock({ $0 }) { try hook(name) }
            try inner.sync()
        }
        func close() { inner.close() }
    }
}

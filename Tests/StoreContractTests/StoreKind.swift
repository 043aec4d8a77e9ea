import Foundation
import SiloCore
import SiloStore
import SiloTesting
import SlateDB
import Testing

/// Where one test keeps its rows. It outlives the stores that are opened over it.
protocol StorePlace: AnyObject, Sendable {
    func open() async throws -> any KeyValueStore
    /// The process that has `store` dies. What it had not made durable may be gone.
    func crash(_ store: any KeyValueStore) async
}

/// A kind of store that must keep the contract.
struct StoreKind: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let place: @Sendable () throws -> any StorePlace

    init(_ name: String, _ place: @escaping @Sendable () throws -> any StorePlace) {
        testDescription = name
        self.place = place
    }

    static let all: [StoreKind] = [
        StoreKind("memory") { MemoryPlace() },
        StoreKind("SlateDB in a folder") { try FolderPlace() },
        StoreKind("simulated") { SimulatedPlace() },
        StoreKind("logged over memory") { LoggedPlace(overlayBytes: 1 << 20) },
        StoreKind("logged over memory, moving down all the time") { LoggedPlace(overlayBytes: 16 << 10) },
        StoreKind("logged over SlateDB in a folder") { try LoggedFolderPlace(overlayBytes: 1 << 20) },
        StoreKind("logged over SlateDB in a bucket") { try LoggedBucketPlace() },
        StoreKind("logged over SlateDB in a folder, moving down all the time") { try LoggedFolderPlace(overlayBytes: 16 << 10) },
    ]
}

private final class MemoryPlace: StorePlace, @unchecked Sendable {
    // Safety: a test uses its place from one task.
    private var store = MemoryStore(clock: SystemClock())

    func open() async throws -> any KeyValueStore {
        store = store.crash()
        return store
    }

    func crash(_ store: any KeyValueStore) async {}
}

private final class SimulatedPlace: StorePlace, @unchecked Sendable {
    // Safety: a test uses its place from one task.
    private var mount: SimulatedMount
    private let disk: SimulatedDisk
    private let clock: SimulatedClock

    init() {
        clock = SimulatedClock(seed: 1, at: SystemClock().now)
        disk = SimulatedDisk(seed: 1, clock: clock, trace: Trace(clock, keeping: .nothing))
        let atOnce = SimulatedDisk.Latency(share: 0, microseconds: 0...0)
        disk.faults.openLatency = atOnce
        disk.faults.readLatency = atOnce
        disk.faults.writeLatency = atOnce
        disk.faults.flushLatency = atOnce
        mount = disk.mount()
    }

    func open() async throws -> any KeyValueStore { try await mount.open("db", mustExist: false) }

    func crash(_ store: any KeyValueStore) async {
        mount.crash()
        mount = disk.mount()
    }
}

private final class FolderPlace: StorePlace {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    func open() async throws -> any KeyValueStore {
        var options = OpenOptions()
        options.settings["flush_interval"] = "\"3600s\""
        return SlateStore(try await Database.open("db", in: .local(folder.path), options))
    }

    func crash(_ store: any KeyValueStore) async {}
}

/// A log on a disk in memory, of which a crash leaves what was synced, over a store of which it leaves what was flushed.
private final class LoggedPlace: StorePlace, @unchecked Sendable {
    // Safety: a test uses its place from one task.
    private var below = MemoryStore(clock: SystemClock())
    private let disk = SimulatedLogDisk(SeededRandom(seed: 1))
    private let overlayBytes: Int

    init(overlayBytes: Int) { self.overlayBytes = overlayBytes }

    func open() async throws -> any KeyValueStore {
        below = below.crash()
        return try await LoggedStore.open(
            below, smallPlace(disk.mount()), LogBudget(overlayBytes: overlayBytes, logBytes: 1 << 20))
    }

    func crash(_ store: any KeyValueStore) async { disk.crash(losesPower: true) }
}

private final class LoggedFolderPlace: StorePlace, @unchecked Sendable {
    // Safety: a test uses its place from one task.
    private let folder: TemporaryFolder
    private let overlayBytes: Int
    private var disk: FolderLogDisk?

    init(overlayBytes: Int) throws {
        folder = try TemporaryFolder()
        self.overlayBytes = overlayBytes
    }

    func open() async throws -> any KeyValueStore {
        var options = OpenOptions()
        options.hasLog = false
        let database = try await Database.open("db", in: .local(folder.path), options)
        let disk = try FolderLogDisk(folder.path + "/log")
        self.disk = disk
        return try await LoggedStore.open(
            SlateStore(database, flushing: .sortedFiles), smallPlace(disk),
            LogBudget(overlayBytes: overlayBytes, logBytes: 1 << 20)
        )
    }

    /// What the dead process still has of the log it does not touch any more.
    func crash(_ store: any KeyValueStore) async { disk?.close() }
}

/// A log in a folder, over data that lies elsewhere and that others could open, as the server has it.
private final class LoggedBucketPlace: StorePlace, @unchecked Sendable {
    // Safety: a test uses its place from one task.
    private let folder: TemporaryFolder
    private let bucket: ObjectStore
    private var disk: FolderLogDisk?

    init() throws {
        folder = try TemporaryFolder()
        bucket = try .memory()
    }

    func open() async throws -> any KeyValueStore {
        let disk = try FolderLogDisk(folder.path + "/log")
        self.disk = disk
        var place = try smallPlace(disk)
        place.reopen = { [bucket] () throws(StoreError) in try await Self.below(in: bucket) }
        place.look = { [bucket] () throws(StoreError) in
            let bytes: Bytes?
            do throws(StorageError) { bytes = try await Admin("db", in: bucket).sortedRow(LogPosition.key) } catch {
                throw StoreError(error)
            }
            return try LogPosition.read(bytes, of: "db")
        }
        if let look = place.look { try await place.check(try await look()) }
        return try await LoggedStore.open(
            try await Self.below(in: bucket), place, LogBudget(overlayBytes: 64 << 10, logBytes: 1 << 20))
    }

    private static func below(in bucket: ObjectStore) async throws(StoreError) -> SlateStore {
        var options = OpenOptions()
        options.hasLog = false
        let database: Database
        do throws(StorageError) { database = try await Database.open("db", in: bucket, options) } catch {
            throw StoreError(error)
        }
        return SlateStore(database, flushing: .sortedFiles)
    }

    func crash(_ store: any KeyValueStore) async { disk?.close() }
}

private func smallPlace(_ disk: any LogDisk) throws -> LogPlace {
    var place = LogPlace("db", disk, try LogThread(), in: .system)
    place.settings.segmentBytes = 64 << 10
    place.settings.checkpointRowsMax = 32
    place.settings.checkpointRestMilliseconds = 0
    return place
}

/// A folder of its own for one test, gone afterwards.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("silo-\(Foundation.UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

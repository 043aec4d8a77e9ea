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
        StoreKind("faulty without faults") { FaultyPlace() },
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

private final class FaultyPlace: StorePlace {
    private let inner = MemoryPlace()

    func open() async throws -> any KeyValueStore { FaultyStore(try await inner.open()) }
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

/// A folder of its own for one test, gone afterwards.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("silo-\(Foundation.UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

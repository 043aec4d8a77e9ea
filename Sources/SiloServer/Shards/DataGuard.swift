import Foundation
import SiloCore
import SiloService
import SiloTelemetry
import SlateDB
import Synchronization

/// Refuses new jobs before the disk is full, or the data larger than it may be. All that makes room goes on: jobs run and are
/// reported, are deleted, and go when their time is over. It recovers by itself.
final class DataGuard: DataRoom {
    /// What it saw last.
    struct Use: Sendable, Equatable {
        /// Of the disk that has least room to spare; nil: the data is not on a disk.
        var freeBytes: UInt64?
        var diskBytes: UInt64?
        /// What of it is kept free.
        var reserveBytes: UInt64 = 0
        /// Of the data; nil when nobody bounds it.
        var dataBytes: UInt64?
        var dataBytesMax: UInt64?
    }
    /// What there is too little of.
    enum Cause: CaseIterable, Sendable {
        case disk, maxData
    }
    /// Why new jobs are refused.
    struct Refusal: Sendable, Equatable {
        let cause: Cause
        let text: String
    }
    private struct State {
        var limit: MaxData
        var use = Use()
        var refusal: Refusal?
    }
    private let folders: [String]
    private let size: @Sendable () async throws -> UInt64
    private let sizeInterval: Int64
    private let clock: any Clock
    private let logger: Logger
    private let state: Mutex<State>
    private let isFull = Atomic<Bool>(false)
    private let refusedForDisk = Counter()
    private let refusedForMaxData = Counter()

    private static let interval: Int64 = 200

    /// - Parameters:
    ///   - folders: on whose disks there must be room.
    ///   - size: of the data, in bytes.
    ///   - sizeInterval: the least time between two looks at that, in milliseconds.
    init(
        _ limit: MaxData, folders: [String], size: @escaping @Sendable () async throws -> UInt64, sizeInterval: Int64,
        clock: any Clock, logger: Logger
    ) {
        state = Mutex(State(limit: limit))
        self.folders = folders
        self.size = size
        self.sizeInterval = sizeInterval
        self.clock = clock
        self.logger = logger
    }

    package func check() throws(SiloError) {
        guard isFull.load(ordering: .relaxed), let refusal = state.withLock({ $0.refusal }) else { return }
        refused(for: refusal.cause).add()
        throw .exhausted(refusal.text)
    }

    /// Calls with new jobs that were refused for it.
    func refused(for cause: Cause) -> Counter {
        switch cause {
        case .disk: refusedForDisk
        case .maxData: refusedForMaxData
        }
    }

    var use: Use { state.withLock { $0.use } }
    /// Why new jobs are refused; nil: they are taken.
    var refusal: String? { state.withLock { $0.refusal?.text } }

    func set(_ limit: MaxData) { state.withLock { $0.limit = limit } }

    /// Looks again and again, until the task is cancelled.
    func watch() async {
        var measuredAt: Timestamp?
        repeat {
            let limit = state.withLock { $0.limit }
            var use = use
            look(at: &use, limit)
            use.dataBytesMax = limit.bytesMax
            if limit.bytesMax == nil { use.dataBytes = nil }
            if limit.bytesMax != nil, measuredAt.map({ clock.steady - $0 >= sizeInterval }) ?? true {
                measuredAt = clock.steady
                // What cannot be measured now is as it was.
                if let bytes = try? await size() { use.dataBytes = bytes }
            }
            judge(use)
        } while (try? await clock.sleep(milliseconds: Self.interval)) != nil
    }

    private func look(at use: inout Use, _ limit: MaxData) {
        use.freeBytes = nil
        for folder in folders {
            guard let disk = Disk(of: folder) else { continue }
            let reserve = limit.reserve(ofDisk: disk.bytes)
            let spare = Disk.spare(disk.freeBytes, reserve: reserve)
            if let free = use.freeBytes, Disk.spare(free, reserve: use.reserveBytes) <= spare { continue }
            (use.freeBytes, use.diskBytes, use.reserveBytes) = (disk.freeBytes, disk.bytes, reserve)
        }
    }

    /// Judges what was seen. What was refused is taken again when there is a little more room than that.
    private func judge(_ use: Use) {
        let change: (isFull: Bool, text: String?)? = state.withLock { state in
            state.use = use
            let wasFull = state.refusal != nil
            state.refusal = Self.refusal(use, wasFull: wasFull)
            return wasFull == (state.refusal != nil) ? nil : (state.refusal != nil, state.refusal?.text)
        }
        guard let change else { return }
        isFull.store(change.isFull, ordering: .relaxed)
        if let text = change.text {
            logger.warn("new jobs are refused", ["why": .init(text)])
        } else {
            logger.info("new jobs are taken again")
        }
    }

    /// Callers read it too: they need not know which file of the server says it.
    private static let setting = "database.max_data (--max-data)"

    static func refusal(_ use: Use, wasFull: Bool) -> Refusal? {
        if let free = use.freeBytes, free < use.reserveBytes + (wasFull ? use.reserveBytes / 20 : 0) {
            return Refusal(
                cause: .disk,
                text: "no new jobs are taken: the disk of the data has \(text(free)) free, and \(text(use.reserveBytes)) are "
                    + "kept for the jobs that it holds; make room on it, have finished jobs deleted sooner, or change \(setting)")
        }
        if let bytes = use.dataBytes, let most = use.dataBytesMax, bytes > most - (wasFull ? most / 20 : 0) {
            return Refusal(
                cause: .maxData,
                text: "no new jobs are taken: the data has \(text(bytes)), and \(setting) allows \(text(most)); have "
                    + "finished jobs deleted sooner, or change it")
        }
        return nil
    }

    private static func text(_ bytes: UInt64) -> String {
        bytes < 10 << 30 ? "\(bytes >> 20) MiB" : "\(bytes >> 30) GiB"
    }
}

/// The file system of a folder.
private struct Disk {
    let bytes: UInt64
    /// For those who are not root.
    let freeBytes: UInt64

    init?(of folder: String) {
        var status = statvfs()
        guard statvfs(folder, &status) == 0, status.f_blocks > 0 else { return nil }
        bytes = UInt64(status.f_blocks) * UInt64(status.f_frsize)
        freeBytes = UInt64(status.f_bavail) * UInt64(status.f_frsize)
    }

    /// What is free above what is kept so; below 0 when it is less.
    static func spare(_ free: UInt64, reserve: UInt64) -> Int64 { Int64(clamping: free) - Int64(clamping: reserve) }
}

extension DataGuard {
    /// The guard of a data location.
    /// - Parameters:
    ///   - logFolder: where the shards' logs are; nil: beside the data, or in the bucket.
    ///   - shards: whose files count.
    convenience init(
        _ limit: MaxData, of location: DataLocation, logFolder: String?, shards: [ShardID], clock: any Clock, logger: Logger
    ) {
        let folder = location.folder
        self.init(
            limit, folders: [folder, logFolder].compactMap { $0 },
            size: {
                if let folder { return await onOwnThread { Self.bytes(in: folder) } }
                var bytes: UInt64 = 0
                for shard in shards { bytes += try await location.manifest(of: shard)?.size ?? 0 }
                return bytes
            },
            sizeInterval: folder == nil ? 30_000 : 5000, clock: clock, logger: logger)
    }

    private static func bytes(in folder: String) -> UInt64 {
        var bytes: UInt64 = 0
        guard let names = FileManager.default.enumerator(atPath: folder) else { return 0 }
        for case let name as String in names {
            var status = stat()
            guard lstat("\(folder)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            bytes += UInt64(status.st_blocks) * 512
        }
        return bytes
    }
}

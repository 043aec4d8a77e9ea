import Foundation
import SiloCore
import SiloStore
import SiloTelemetry
import SlateDB

/// The logs of a node's shards, in a folder on local disk: each has a folder of its own there.
struct LocalLogs: Sendable {
    private let root: String
    private let setting: String
    private let data: String?
    private let budget: LogBudget
    /// Of all shards.
    private let helper: LogThread
    private let environment: Environment
    private let logger: Logger

    /// Nil: SlateDB keeps the logs, beside the data.
    init?(for location: DataLocation, _ settings: NodeSettings, in environment: Environment, logger: Logger) throws(StartError)
    {
        guard let root = settings.logFolder ?? location.folder.map({ $0 + "/log" }) else { return nil }
        guard !location.isMemory else { throw StartError("\(settings.names.log): data in memory has no log") }
        try self.init(
            root, data: location.folder, setting: settings.names.log, overlayBytes: settings.overlayBytes, in: environment,
            logger: logger)
    }

    /// - Parameters:
    ///   - root: made where there is none.
    ///   - data: the folder of the data; nil: a bucket.
    ///   - setting: what the operator calls the one that names the folder.
    ///   - overlayBytes: memory for rows that are not in sorted files yet, over all shards.
    private init(
        _ root: String, data: String?, setting: String, overlayBytes: Int, in environment: Environment,
        logger: Logger
    ) throws(StartError) {
        self.root = root
        self.setting = setting
        self.data = data
        self.environment = environment
        self.logger = logger
        guard mkdir(root, 0o700) == 0 || errno == EEXIST else {
            throw StartError("\(setting): cannot make the folder \(root) for logs: \(String(cString: strerror(errno)))")
        }
        do {
            try FolderLogDisk.syncNames(in: "\(root)/..")
            helper = try LogThread()
        } catch { throw StartError(error.text) }
        budget = LogBudget(overlayBytes: overlayBytes, logBytes: Self.logBytes(in: root))
    }

    /// See `LogBudget.share`.
    var roomUsed: Double { budget.share }

    private static let logBytesMax = 1 << 30
    /// Files that are merged need as much for a while.
    private static let spaceMin = 64 << 20

    /// A quarter of what is free, so that a small disk is not filled by the log alone.
    private static func logBytes(in folder: String) -> Int {
        max(LogSettings().segmentBytes, min(logBytesMax, freeBytes(in: folder) / 4))
    }

    /// As many as there could be when nobody can tell.
    private static func freeBytes(in folder: String) -> Int {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return .max }
        let (bytes, isTooMany) = UInt(status.f_bavail).multipliedReportingOverflow(by: UInt(status.f_frsize))
        return isTooMany ? .max : Int(clamping: bytes)
    }

    /// Opens the log of `name` above its data. Whoever cannot have both leaves the data as it is: opening it would put the server
    /// out that has it.
    /// - Parameters:
    ///   - data: opens the data, which must be there the second time.
    ///   - look: the row of its log in data that is not opened.
    func open(
        _ name: String, above data: @escaping @Sendable (_ mustExist: Bool) async throws(StorageError) -> Database,
        mustExist: Bool, look: @escaping @Sendable () async throws(StorageError) -> Bytes?
    ) async throws(StoreError) -> LoggedStore {
        @Sendable func below(mustExist: Bool) async throws(StoreError) -> SlateStore {
            do throws(StorageError) { return SlateStore(try await data(mustExist), flushing: .sortedFiles) } catch {
                throw StoreError(error)
            }
        }
        @Sendable func looked() async throws(StoreError) -> LogPosition? {
            let bytes: Bytes?
            do throws(StorageError) { bytes = try await look() } catch { throw StoreError(error) }
            return try LogPosition.read(bytes, of: name)
        }
        // Its lock comes first: from then on nobody who has this log changes what is looked at.
        let isThere = access("\(root)/\(name)", F_OK) == 0
        if !isThere { try requireNoLog(of: name, try await looked()) }
        var place: LogPlace
        do throws(LogDiskError) { place = try self.place(name) } catch { throw StoreError(error) }
        place.reopen = { () throws(StoreError) in try await below(mustExist: true) }
        place.look = { () throws(StoreError) in try await looked() }
        let store: SlateStore
        do throws(StoreError) {
            if isThere { try await place.check(try await looked()) }
            store = try await below(mustExist: mustExist)
        } catch {
            await place.release()
            throw error
        }
        return try await LoggedStore.open(store, place, budget)
    }

    /// Data that lacks what is in its log is not served without, and no empty log is made in its place.
    private func requireNoLog(of name: String, _ position: LogPosition?) throws(StoreError) {
        guard let position, !position.isWhole else { return }
        throw .corrupt(
            "the log of \(name) is missing: the data is complete only up to batch \(position.sequence). Bring its folder "
                + "back to \(root)/\(name), or name with \(setting) the folder that it lies in")
    }

    private func place(_ name: String) throws(LogDiskError) -> LogPlace {
        var place = LogPlace(name, try FolderLogDisk("\(root)/\(name)"), try LogThread(), in: environment)
        place.helper = helper
        place.hasSpace = { [data] in data.map { Self.freeBytes(in: $0) >= Self.spaceMin } ?? true }
        place.durability = .logSync
        place.onEvent = { [logger] event in Self.tell(event, of: name, logger) }
        return place
    }

    private static func tell(_ event: LogEvent, of name: String, _ logger: Logger) {
        switch event {
        case .replayed(let batches, let bytes):
            logger.info("replayed the log", ["shard": .init(name), "batches": .init(batches), "bytes": .init(bytes)])
        case .passedOver(let file, let offset):
            logger.warn(
                "the log ended with a record that is not whole: a process or machine that stopped leaves one that nobody was "
                    + "answered for; if neither did, the disk damaged it",
                ["shard": .init(name), "file": .init(file), "offset": .init(offset)])
        case .checkpointed(let rows, let milliseconds):
            logger.debug(
                "moved rows from the log to sorted files",
                [
                    "shard": .init(name), "rows": .init(rows), "ms": .init(Int(milliseconds)),
                ])
        case .clockBehind(let lag):
            logger.warn(
                "rows stay in the log until this machine's clock has passed the last write of the sorted files",
                [
                    "shard": .init(name), "behind_ms": .init(Int(lag.milliseconds)),
                ])
        case .clockPassed: logger.info("the clock has passed the last write of the sorted files", ["shard": .init(name)])
        case .belowFails(let error):
            logger.error(
                "rows stay in the log until the sorted files can be written again",
                ["shard": .init(name), "error": .init(error.message), "cause": .init(error.cause?.description ?? "none")])
        case .belowAnswers: logger.info("rows go to sorted files again", ["shard": .init(name)])
        case .noSpace(let text):
            logger.error(
                "no space is left for the log: writes are refused until there is", ["shard": .init(name), "error": .init(text)])
        case .noRoom(let error):
            logger.error(
                "the log and its memory are full: writes are refused until rows go to sorted files",
                ["shard": .init(name), "error": .init(error.message)])
        case .spaceAgain, .roomAgain: logger.info("writes are taken again", ["shard": .init(name)])
        }
    }

    // MARK: Erasing

    /// A log is of no use without its data, nor the data without it. So before either is erased the log's folder gets another
    /// name, and whoever finds that name ends the work.
    func beginErasing(_ name: String) throws(StoreError) {
        let (log, erased) = ("\(root)/\(name)", erasedFolder(name))
        // An erasure that has not ended has the name already.
        guard access(erased, F_OK) != 0 else { return }
        if Glibc.rename(log, erased) != 0 {
            guard errno == ENOENT, mkdir(erased, 0o700) == 0 else { 
                throw .unavailable("cannot rename the folder \(log): \(String(cString: strerror(errno)))")
            }
        }
        try syncRoot()
    }

    func endErasing(_ name: String) throws(StoreError) {
        for folder in ["\(root)/\(name)", erasedFolder(name)] {
            do { try FileManager.default.removeItem(atPath: folder) } catch CocoaError.fileNoSuchFile {} catch {
                throw .unavailable("cannot remove the folder \(folder)")
            }
        }
        try syncRoot()
    }

    func isErasing(_ name: String) -> Bool { access(erasedFolder(name), F_OK) == 0 }

    private func erasedFolder(_ name: String) -> String { "\(root)/\(name).erased" }

    private func syncRoot() throws(StoreError) {
        do throws(LogDiskError) { try FolderLogDisk.syncNames(in: root) } catch { throw StoreError(error) }
    }
}

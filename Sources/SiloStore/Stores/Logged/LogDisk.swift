package import SiloCore

/// The folder of one log, which only its owner touches. Calls block, so they are made on the log's own thread.
package protocol LogDisk: Sendable {
    func names() throws(LogDiskError) -> [String]

    /// - Parameter creating: makes an empty file; there must be none.
    func open(_ name: String, creating: Bool) throws(LogDiskError) -> any LogFile

    func remove(_ name: String) throws(LogDiskError)

    /// On return the names that were made and removed are on the disk.
    func sync() throws(LogDiskError)

    /// Lets go of the folder; another may have it.
    func close()
}

package protocol LogFile: Sendable {
    func size() throws(LogDiskError) -> Int

    /// Fewer bytes than `count` at the end of the file.
    func read(at offset: Int, _ count: Int) throws(LogDiskError) -> Bytes

    func write(_ bytes: Bytes, at offset: Int) throws(LogDiskError)

    /// On return all that was written, and the file's size, is on the disk. When it throws, nobody knows what is: it is never
    /// repeated.
    func sync() throws(LogDiskError)

    func close()
}

package enum LogDiskError: Error, Equatable {
    /// The disk or a quota is full. Nothing else is wrong.
    case noSpace(String)
    /// It was found to be so by a sync: as after any that failed, nobody knows what is on the disk.
    case noSpaceToSync(String)
    case failed(String)
    /// Another process, or another store of this one, has the folder.
    case locked(String)

    package var text: String {
        switch self {
        case .noSpace(let text), .noSpaceToSync(let text), .failed(let text), .locked(let text): text
        }
    }
}

extension StoreError {
    package init(_ error: LogDiskError) {
        switch error {
        case .noSpace(let text): self = .full("no space is left for the log: \(text)")
        case .failed(let text), .noSpaceToSync(let text): self = .unavailable("the log cannot be used: \(text)")
        case .locked(let text): self = .fenced(text)
        }
    }
}

private import Glibc
import SiloCore
import Synchronization

/// A log's folder on local disk.
package final class FolderLogDisk: LogDisk {
    private let folder: String
    /// The folder, open: its lock, and its sync. Nil once it is closed.
    private let handle: Mutex<Int32?>

    /// Makes the folder where there is none, and locks it. On return its name is on the disk.
    package init(_ folder: String) throws(LogDiskError) {
        self.folder = folder
        if mkdir(folder, 0o700) != 0, errno != EEXIST { throw .last("cannot make the folder \(folder)") }
        let handle = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw .last("cannot open the folder \(folder)") }
        guard flock(handle, LOCK_EX | LOCK_NB) == 0 else {
            let isTaken = errno == EWOULDBLOCK
            let error = LogDiskError.last("cannot lock the folder \(folder)")
            Glibc.close(handle)
            throw isTaken ? .locked("another store has the log in \(folder)") : error
        }
        self.handle = Mutex(handle)
        // Whoever made it may have been stopped before this.
        try Self.syncNames(in: "\(folder)/..")
    }

    deinit { close() }

    /// On return the names in a folder that were made, changed or removed are on the disk.
    package static func syncNames(in folder: String) throws(LogDiskError) {
        let handle = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw .last("cannot open the folder \(folder)") }
        defer { Glibc.close(handle) }
        try syncNames(in: folder, handle)
    }

    private static func syncNames(in folder: String, _ handle: Int32) throws(LogDiskError) {
        guard fsync(handle) == 0 else { throw .last("cannot sync the folder \(folder)", isSync: true) }
    }

    package func names() throws(LogDiskError) -> [String] {
        guard let list = opendir(folder) else { throw .last("cannot list the folder \(folder)") }
        defer { closedir(list) }
        guard let offset = MemoryLayout<dirent>.offset(of: \.d_name) else {
            throw .failed("entries of folders have no names here")
        }
        var names: [String] = []
        while true {
            // Nil is the end as well as a failure: a listing that breaks off would hide segments.
            errno = 0
            guard let entry = readdir(list) else {
                guard errno == 0 else { throw .last("cannot list the folder \(folder)") }
                break
            }
            // An entry is as long as its name: reading the whole field would run past the end of the last one.
            let name = String(cString: (UnsafeRawPointer(entry) + offset).assumingMemoryBound(to: CChar.self))
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    package func open(_ name: String, creating: Bool) throws(LogDiskError) -> any LogFile {
        let path = "\(folder)/\(name)"
        let flags = O_RDWR | O_CLOEXEC | (creating ? O_CREAT | O_EXCL : 0)
        let file = try whileOpen { _ throws(LogDiskError) in
            let file = Glibc.open(path, flags, 0o600)
            guard file >= 0 else { throw .last("cannot open \(path)") }
            return file
        }
        return LocalLogFile(file, path)
    }

    package func remove(_ name: String) throws(LogDiskError) {
        try whileOpen { _ throws(LogDiskError) in
            guard unlink("\(folder)/\(name)") == 0 || errno == ENOENT else { throw .last("cannot remove \(folder)/\(name)") }
        }
    }

    package func sync() throws(LogDiskError) {
        try whileOpen { handle throws(LogDiskError) in try Self.syncNames(in: folder, handle) }
    }

    /// Whoever closes the folder waits: a call that goes on would keep its lock, and its names may be another's afterwards.
    private func whileOpen<Value>(_ body: (Int32) throws(LogDiskError) -> Value) throws(LogDiskError) -> Value {
        let result: Result<Value, LogDiskError> = handle.withLock { handle in
            guard let handle else { return .failure(.failed("the folder \(folder) is closed")) }
            do throws(LogDiskError) { return .success(try body(handle)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    package func close() {
        let handle = handle.withLock { handle in
            defer { handle = nil }
            return handle
        }
        guard let handle else { return }
        // A process that is being started has a copy of the handle for a moment, and would have the lock.
        flock(handle, LOCK_UN)
        Glibc.close(handle)
    }
}

private final class LocalLogFile: LogFile {
    /// Held during each call: whoever closes the file waits for it, so that no call meets another file under the same number.
    private let file: Mutex<Int32>
    private let path: String

    init(_ file: Int32, _ path: String) {
        self.file = Mutex(file)
        self.path = path
    }

    deinit { close() }

    func size() throws(LogDiskError) -> Int {
        var status = stat()
        let error = file.withLock { fstat($0, &status) == 0 ? nil : LogDiskError.last("cannot look at \(path)") }
        if let error { throw error }
        return Int(status.st_size)
    }

    func read(at offset: Int, _ count: Int) throws(LogDiskError) -> Bytes {
        let result: Result<Bytes, LogDiskError> = file.withLock { file in
            var failure: LogDiskError?
            let bytes = Bytes(unsafeUninitializedCapacity: count) { buffer, filled in
                while filled < count {
                    let got = pread(file, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset + filled))
                    if got < 0, errno == EINTR { continue }
                    if got < 0 { failure = .last("cannot read \(path)") }
                    guard got > 0 else { return }
                    filled += got
                }
            }
            return failure.map { .failure($0) } ?? .success(bytes)
        }
        return try result.get()
    }

    func write(_ bytes: Bytes, at offset: Int) throws(LogDiskError) {
        let error: LogDiskError? = file.withLock { file in
            bytes.withUnsafeBytes { bytes in
                var written = 0
                while written < bytes.count {
                    let got = pwrite(file, bytes.baseAddress.map { $0 + written }, bytes.count - written, off_t(offset + written))
                    if got < 0, errno == EINTR { continue }
                    guard got > 0 else { return .last("cannot write to \(path)") }
                    written += got
                }
                return nil
            }
        }
        if let error { throw error }
    }

    func sync() throws(LogDiskError) {
        let error = file.withLock { fdatasync($0) == 0 ? nil : LogDiskError.last("cannot sync \(path)", isSync: true) }
        if let error { throw error }
    }

    func close() {
        file.withLock { file in
            if file >= 0 { Glibc.close(file) }
            file = -1
        }
    }
}

extension LogDiskError {
    /// What the last C call that failed left in `errno`.
    fileprivate static func last(_ what: String, isSync: Bool = false) -> LogDiskError {
        let number = errno
        let text = "\(what): \(String(cString: strerror(number)))"
        guard number == ENOSPC || number == EDQUOT else { return .failed(text) }
        return isSync ? .noSpaceToSync(text) : .noSpace(text)
    }
}

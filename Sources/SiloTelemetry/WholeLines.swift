import Foundation
import Synchronization

/// Writes whole lines to files, and to the streams of the process, which several threads write without mixing theirs.
enum WholeLines {
    private static let outputTurn = Mutex(())
    private static let errorTurn = Mutex(())
    /// Both streams are one, as where a journal takes them.
    private static let isOneStream: Bool = {
        var (output, error) = (stat(), stat())
        guard fstat(STDOUT_FILENO, &output) == 0, fstat(STDERR_FILENO, &error) == 0 else { return false }
        return (output.st_dev, output.st_ino) == (error.st_dev, error.st_ino)
    }()

    /// Blocks for as long as whoever reads takes nothing.
    /// - Parameter stream: `STDOUT_FILENO` or `STDERR_FILENO`, where `descriptor` is that; else nobody else may write to it.
    /// - Returns: how many bytes were written, and what kept the rest from being; 0: nothing did.
    static func write(_ bytes: [UInt8], to descriptor: Int32, of stream: Int32?) -> (count: Int, error: Int32) {
        switch stream {
        case nil: write(bytes, to: descriptor)
        case STDERR_FILENO where !isOneStream: errorTurn.withLock { _ in write(bytes, to: descriptor) }
        default: outputTurn.withLock { _ in write(bytes, to: descriptor) }
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> (count: Int, error: Int32) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                if count > 0 {
                    rest = rest.dropFirst(count)
                } else if count < 0, errno == EAGAIN {
                    // Somebody made it one that does not block.
                    var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    poll(&room, 1, -1)
                } else if count == 0 || errno != EINTR {
                    return (bytes.count - rest.count, errno)
                }
            }
            return (bytes.count, 0)
        }
    }
}

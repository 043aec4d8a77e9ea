import SiloCore
import Synchronization

/// What imports keep in memory until they are answered. A call is let in while there is room, or when it is alone.
final class ImportsInHand: Sendable {
    private let bytes = Mutex(0)

    /// - Throws: `.exhausted` when there is no room: back off and repeat.
    func enter(_ size: Int) throws(SiloError) {
        let isIn = bytes.withLock { bytes in
            guard bytes == 0 || bytes + size <= Bounds.importBytesMax else { return false }
            bytes += size
            return true
        }
        guard isIn else { throw .exhausted("imports of \(Bounds.importBytesMax) bytes are in hand; back off and repeat") }
    }

    func leave(_ size: Int) { bytes.withLock { $0 -= size } }
}

import SiloCore

/// A file of a log's folder, whatever is in it.
struct LogSlot: Sendable {
    let name: String
    let file: any LogFile
    let bytes: Int

    /// Writes the file once, whole, so that later syncs need change no more than its content. On any thread.
    /// - Throws: after which the file is of no use.
    func fill() throws(LogDiskError) {
        let piece = Bytes(repeating: 0, count: min(256 << 10, bytes))
        for offset in stride(from: 0, to: bytes, by: piece.count) {
            try file.write(offset + piece.count <= bytes ? piece : Bytes(piece.prefix(bytes - offset)), at: offset)
        }
        // Nothing was in it.
        do { try file.sync() } catch .noSpaceToSync(let text) { throw .noSpace(text) }
    }
}

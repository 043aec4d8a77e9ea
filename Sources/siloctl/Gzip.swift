import CZlib

/// Compression in the format of gzip, by zlib (https://www.zlib.net/manual.html#Advanced).
enum Gzip {
    /// Window bits for the largest window, and 16 for gzip's header and trailer.
    private static let windowBits: Int32 = 15 + 16

    static func compress(_ bytes: [UInt8]) throws(Failure) -> [UInt8] {
        var stream = z_stream()
        let begun = deflateInit2_(
            &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size)
        )
        guard begun == Z_OK else { throw Failure("zlib does not begin: error \(begun)") }
        defer { deflateEnd(&stream) }
        var input = bytes
        var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))))
        // All at once: the output has room for whatever comes out.
        let ended = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                return deflate(&stream, Z_FINISH)
            }
        }
        guard ended == Z_STREAM_END else { throw Failure("zlib does not end: error \(ended)") }
        return Array(output.prefix(Int(stream.total_out)))
    }
}

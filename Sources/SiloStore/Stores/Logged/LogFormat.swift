package import SiloCore

// A log is a folder of files of one size, the segments. A segment is a block for its header, then records, each from the
// beginning of a block: what is acknowledged is never written over, nor a block of it. Numbers are little-endian.
//
//   header   magic 8 · format 4 · bytes of the name 4 · log id 8 · number 8 · first sequence 8 · bytes of the file 8 · name
//            · zeros · checksum 8, the last of the block
//   record   checksum 8 · bytes of the content 4 · batches 4 · sequence of the first batch 8 · content · anything up to the
//   block's end
//
// One record is one write and one sync, and the next is begun after that. A header is on the disk before the first record, and
// after every record of the segments before. So whatever of a log does not check, and is followed by something that does, was
// damaged.

/// Whose log it is.
package struct LogIdentity: Equatable, Sendable {
    /// By chance, so that no other log's records are taken for its own.
    package let id: UInt64
    /// Of the shard.
    package let name: String

    package init(id: UInt64, name: String) {
        self.id = id
        self.name = name
    }
}

package enum LogFormat {
    /// The second one says of rows that they are new.
    package static let version: UInt32 = 2
    package static let blockBytes = 4096
    package static let nameBytesMax = 1024
    static let magic: UInt64 = 0x314c_4f47_4f4c_4953
    static let recordHeaderBytes = 24

    /// What a record of so many bytes takes up.
    static func blocks(_ contentBytes: Int) -> Int {
        (recordHeaderBytes + contentBytes + blockBytes - 1) / blockBytes * blockBytes
    }

    /// Checksums of one segment's records: those of another number, or of another log, differ.
    static func seed(_ logID: UInt64, _ number: UInt64) -> UInt64 {
        var bytes = Bytes()
        bytes.append(littleEndian: logID)
        bytes.append(littleEndian: number)
        return bytes.withUnsafeBytes { Checksum64.of($0, seed: magic) }
    }
}

/// What a segment says of itself.
package struct SegmentHeader: Equatable, Sendable {
    package let log: LogIdentity
    package let number: UInt64
    /// Of the first batch that is in it, or will be.
    package let firstSequence: UInt64
    package let fileBytes: UInt64

    package init(log: LogIdentity, number: UInt64, firstSequence: UInt64, fileBytes: UInt64) {
        self.log = log
        self.number = number
        self.firstSequence = firstSequence
        self.fileBytes = fileBytes
    }

    package func block() -> Bytes {
        var bytes = Bytes()
        bytes.reserveCapacity(LogFormat.blockBytes)
        bytes.append(littleEndian: LogFormat.magic)
        bytes.append(littleEndian: LogFormat.version)
        let name = Bytes(log.name.utf8.prefix(LogFormat.nameBytesMax))
        bytes.append(littleEndian: UInt32(name.count))
        for number in [log.id, number, firstSequence, fileBytes] { bytes.append(littleEndian: number) }
        bytes += name
        bytes += Bytes(repeating: 0, count: LogFormat.blockBytes - 8 - bytes.count)
        bytes.append(littleEndian: bytes.withUnsafeBytes { Checksum64.of($0, seed: LogFormat.magic) })
        return bytes
    }

    package enum Reading: Equatable {
        case header(SegmentHeader)
        /// Of a program that is newer than this one.
        case newer(format: UInt32)
        case none
    }

    /// Takes the first block of a file apart.
    package static func read(_ bytes: Bytes) -> Reading {
        guard bytes.count >= LogFormat.blockBytes else { return .none }
        return bytes.withUnsafeBytes { bytes in
            let end = LogFormat.blockBytes - 8
            guard bytes.integer(at: 0, as: UInt64.self) == LogFormat.magic,
                bytes.integer(at: end, as: UInt64.self) == Checksum64.of(.init(rebasing: bytes[..<end]), seed: LogFormat.magic)
            else { return .none }
            let format: UInt32 = bytes.integer(at: 8)
            guard (1...LogFormat.version).contains(format) else { return .newer(format: format) }
            let nameBytes = Int(bytes.integer(at: 12, as: UInt32.self))
            guard nameBytes <= LogFormat.nameBytesMax else { return .none }
            let name = String(decoding: bytes[48..<48 + nameBytes], as: UTF8.self)
            return .header(
                SegmentHeader(
                    log: LogIdentity(id: bytes.integer(at: 16), name: name), number: bytes.integer(at: 24),
                    firstSequence: bytes.integer(at: 32), fileBytes: bytes.integer(at: 40)
                ))
        }
    }
}

/// What one write of the log holds: batches with sequences that follow each other.
package struct LogRecord: Equatable, Sendable {
    package let firstSequence: UInt64
    package let batches: Int
    /// Where its encoded batches lie in the segment.
    package let content: Range<Int>

    package var lastSequence: UInt64 { firstSequence + UInt64(batches) - 1 }
    /// Where the next one begins.
    var end: Int { content.lowerBound - LogFormat.recordHeaderBytes + LogFormat.blocks(content.count) }

    /// The bytes of a record, up to the end of its last block.
    package static func block(_ batches: some Collection<Bytes>, firstSequence: UInt64, seed: UInt64) -> Bytes {
        let contentBytes = batches.reduce(0) { $0 + $1.count }
        let size = LogFormat.blocks(contentBytes)
        var bytes = Bytes()
        bytes.reserveCapacity(size)
        bytes.append(littleEndian: UInt64(0))
        bytes.append(littleEndian: UInt32(contentBytes))
        bytes.append(littleEndian: UInt32(batches.count))
        bytes.append(littleEndian: firstSequence)
        for batch in batches { bytes += batch }
        let checksum = bytes.withUnsafeBytes { Checksum64.of(.init(rebasing: $0[8...]), seed: seed) }
        bytes.withUnsafeMutableBytes { $0.storeBytes(of: checksum.littleEndian, as: UInt64.self) }
        bytes += Bytes(repeating: 0, count: size - bytes.count)
        return bytes
    }

    /// The record at `offset`, if one checks there.
    /// - Parameter sequences: those that its first batch may have. Checked first, for it costs nothing.
    static func read(_ bytes: UnsafeRawBufferPointer, at offset: Int, seed: UInt64, sequences: PartialRangeFrom<UInt64>)
        -> LogRecord?
    {
        let start = offset + LogFormat.recordHeaderBytes
        guard start <= bytes.count else { return nil }
        let contentBytes = Int(bytes.integer(at: offset + 8, as: UInt32.self))
        let batches = Int(bytes.integer(at: offset + 12, as: UInt32.self))
        let sequence: UInt64 = bytes.integer(at: offset + 16)
        guard batches > 0, contentBytes >= batches, contentBytes <= bytes.count - start, sequences.contains(sequence),
            sequence <= .max - UInt64(batches),
            bytes.integer(at: offset, as: UInt64.self)
                == Checksum64.of(.init(rebasing: bytes[offset + 8..<start + contentBytes]), seed: seed)
        else { return nil }
        return LogRecord(firstSequence: sequence, batches: batches, content: start..<start + contentBytes)
    }
}

extension LogRecord {
    /// What the place of a record says of its first batch, whether the record checks or not; nil past the end.
    static func sequence(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt64? {
        offset + LogFormat.recordHeaderBytes <= bytes.count ? bytes.integer(at: offset + 16) : nil
    }
}

extension Bytes {
    mutating func append<T: FixedWidthInteger>(littleEndian number: T) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }
}

extension UnsafeRawBufferPointer {
    /// The place must lie inside.
    func integer<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

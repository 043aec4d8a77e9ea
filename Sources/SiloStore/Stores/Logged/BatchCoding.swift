package import SiloCore

/// A batch as the log keeps it: the number of its rows; of each a kind, the key's length and the key, and of those with a value
/// its length and the value, and perhaps when it expires. Lengths are LEB128.
package enum BatchCoding {
    private static let delete: UInt8 = 0
    private static let put: UInt8 = 1
    private static let putExpiring: UInt8 = 2
    /// The same of rows that were nowhere before: deleted again they need never get below, after a replay neither.
    private static let putNew: UInt8 = 3
    private static let putNewExpiring: UInt8 = 4

    package static func encode(_ batch: [Write]) -> Bytes {
        var bytes = Bytes()
        bytes.reserveCapacity(batch.reduce(8) { $0 + 16 + $1.key.count + ($1.value?.count ?? 0) })
        append(batch.count, to: &bytes)
        for write in batch {
            bytes.append(kind(of: write))
            append(write.key.count, to: &bytes)
            bytes += write.key
            guard let value = write.value else { continue }
            append(value.count, to: &bytes)
            bytes += value
            if let time = write.expiresAt { bytes.append(littleEndian: time.milliseconds) }
        }
        return bytes
    }

    private static func kind(of write: Write) -> UInt8 {
        guard write.value != nil else { return delete }
        guard write.expiresAt == nil else { return write.isNew ? putNewExpiring : putExpiring }
        return write.isNew ? putNew : put
    }

    private static func append(_ length: Int, to bytes: inout Bytes) {
        var rest = UInt(length)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// The batches of a record's content; nil when it is not what `encode` makes.
    package static func decode(_ content: ArraySlice<UInt8>, batches: Int) -> [[Write]]? {
        var reader = Reader(rest: content)
        var decoded: [[Write]] = []
        for _ in 0..<batches {
            guard let batch = reader.batch() else { return nil }
            decoded.append(batch)
        }
        return reader.rest.isEmpty ? decoded : nil
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func batch() -> [Write]? {
            guard let count = length(), count <= rest.count else { return nil }
            var batch: [Write] = []
            batch.reserveCapacity(count)
            for _ in 0..<count {
                guard let write = write() else { return nil }
                batch.append(write)
            }
            return batch
        }

        private mutating func write() -> Write? {
            guard let kind = rest.popFirst(), kind <= putNewExpiring, let key = bytes() else { return nil }
            guard kind != delete else { return Write(key: key, value: nil) }
            guard let value = bytes() else { return nil }
            let isNew = kind >= putNew
            guard kind == putExpiring || kind == putNewExpiring else { return Write(key: key, value: value, isNew: isNew) }
            guard rest.count >= 8 else { return nil }
            let time: Int64 = rest.withUnsafeBytes { $0.integer(at: 0) }
            rest = rest.dropFirst(8)
            return Write(key: key, value: value, expiresAt: Timestamp(time), isNew: isNew)
        }

        private mutating func bytes() -> Bytes? {
            guard let count = length(), count <= rest.count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return Bytes(rest.prefix(count))
        }

        private mutating func length() -> Int? {
            var result: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 35, by: 7) {
                guard let byte = rest.popFirst() else { return nil }
                result |= UInt64(byte & 0x7f) << shift
                if byte < 0x80 { return Int(result) }
            }
            return nil
        }
    }
}

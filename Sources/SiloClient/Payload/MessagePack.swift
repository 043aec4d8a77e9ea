import CMsgPack

/// A MessagePack document, read and written by msgpack-c.
public indirect enum MessagePack: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// Above `Int64.max`.
    case unsigned(UInt64)
    case float(Double)
    case text(String)
    case binary([UInt8])
    case array([MessagePack])
    /// In the document's order.
    case map([(key: MessagePack, value: MessagePack)])
    case extended(type: Int8, [UInt8])

    public static func == (left: MessagePack, right: MessagePack) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.integer(let a), .integer(let b)): a == b
        case (.unsigned(let a), .unsigned(let b)): a == b
        case (.float(let a), .float(let b)): a == b
        case (.text(let a), .text(let b)): a.utf8.elementsEqual(b.utf8)
        case (.binary(let a), .binary(let b)): a == b
        case (.array(let a), .array(let b)): a == b
        case (.map(let a), .map(let b)): a.count == b.count && zip(a, b).allSatisfy { $0 == $1 }
        case (.extended(let a, let x), .extended(let b, let y)): a == b && x == y
        default: false
        }
    }

    /// Reads a document that fills `bytes`; nil when it is malformed or nested deeper than the 32 levels that msgpack-c reads.
    public init?(_ bytes: [UInt8]) {
        var result = msgpack_unpacked()
        msgpack_unpacked_init(&result)
        defer { msgpack_unpacked_destroy(&result) }
        var offset = 0
        let status = bytes.withUnsafeBytes {
            msgpack_unpack_next(&result, $0.bindMemory(to: CChar.self).baseAddress, $0.count, &offset)
        }
        guard status == MSGPACK_UNPACK_SUCCESS, offset == bytes.count, let value = Self.lift(result.data, 64) else { return nil }
        self = value
    }

    private static func lift(_ object: msgpack_object, _ depth: Int) -> MessagePack? {
        guard depth > 0 else { return nil }
        func bytes(_ start: UnsafePointer<CChar>?, _ count: UInt32) -> [UInt8] {
            start.map { [UInt8](UnsafeRawBufferPointer(start: $0, count: Int(count))) } ?? []
        }
        switch object.type {
        case MSGPACK_OBJECT_NIL: return .null
        case MSGPACK_OBJECT_BOOLEAN: return .bool(object.via.boolean)
        case MSGPACK_OBJECT_POSITIVE_INTEGER:
            return Int64(exactly: object.via.u64).map(MessagePack.integer) ?? .unsigned(object.via.u64)
        case MSGPACK_OBJECT_NEGATIVE_INTEGER: return .integer(object.via.i64)
        case MSGPACK_OBJECT_FLOAT32, MSGPACK_OBJECT_FLOAT64: return .float(object.via.f64)
        case MSGPACK_OBJECT_STR: return .text(String(decoding: bytes(object.via.str.ptr, object.via.str.size), as: UTF8.self))
        case MSGPACK_OBJECT_BIN: return .binary(bytes(object.via.bin.ptr, object.via.bin.size))
        case MSGPACK_OBJECT_EXT: return .extended(type: object.via.ext.type, bytes(object.via.ext.ptr, object.via.ext.size))
        case MSGPACK_OBJECT_ARRAY:
            var items: [MessagePack] = []
            for index in 0..<Int(object.via.array.size) {
                guard let item = object.via.array.ptr.flatMap({ lift($0[index], depth - 1) }) else { return nil }
                items.append(item)
            }
            return .array(items)
        case MSGPACK_OBJECT_MAP:
            var entries: [(key: MessagePack, value: MessagePack)] = []
            for index in 0..<Int(object.via.map.size) {
                guard let entry = object.via.map.ptr?[index], let key = lift(entry.key, depth - 1),
                    let value = lift(entry.val, depth - 1)
                else { return nil }
                entries.append((key, value))
            }
            return .map(entries)
        default: return nil
        }
    }

    /// The encoded document.
    public var bytes: [UInt8] {
        var buffer = msgpack_sbuffer()
        msgpack_sbuffer_init(&buffer)
        defer { msgpack_sbuffer_destroy(&buffer) }
        withUnsafeMutablePointer(to: &buffer) { buffer in
            var packer = msgpack_packer()
            msgpack_packer_init(&packer, buffer, msgpack_sbuffer_write)
            pack(into: &packer)
        }
        guard let data = buffer.data else { return [] }
        return [UInt8](UnsafeRawBufferPointer(start: data, count: buffer.size))
    }

    private func pack(into packer: inout msgpack_packer) {
        switch self {
        case .null: msgpack_pack_nil(&packer)
        case .bool(let value): _ = value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer)
        case .integer(let value): msgpack_pack_int64(&packer, value)
        case .unsigned(let value): msgpack_pack_uint64(&packer, value)
        case .float(let value): msgpack_pack_double(&packer, value)
        case .text(let text):
            let utf8 = Array(text.utf8)
            msgpack_pack_str_with_body(&packer, utf8, utf8.count)
        case .binary(let bytes): msgpack_pack_bin_with_body(&packer, bytes, bytes.count)
        case .extended(let type, let bytes): msgpack_pack_ext_with_body(&packer, bytes, bytes.count, type)
        case .array(let items):
            msgpack_pack_array(&packer, items.count)
            for item in items { item.pack(into: &packer) }
        case .map(let entries):
            msgpack_pack_map(&packer, entries.count)
            for (key, value) in entries {
                key.pack(into: &packer)
                value.pack(into: &packer)
            }
        }
    }
}

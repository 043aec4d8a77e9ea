import CNanoarrow
import Glibc

/// What the values of a column are.
package enum ArrowType: Sendable {
    case null, boolean, int32, int64, uint8, uint32, uint64, float64, utf8, binary
    /// Of texts.
    case list
    /// From text to text.
    case map

    var native: cnanoarrow_type {
        switch self {
        case .null: CNANOARROW_NULL
        case .boolean: CNANOARROW_BOOLEAN
        case .int32: CNANOARROW_INT32
        case .int64: CNANOARROW_INT64
        case .uint8: CNANOARROW_UINT8
        case .uint32: CNANOARROW_UINT32
        case .uint64: CNANOARROW_UINT64
        case .float64: CNANOARROW_FLOAT64
        case .utf8: CNANOARROW_UTF8
        case .binary: CNANOARROW_BINARY
        case .list: CNANOARROW_LIST
        case .map: CNANOARROW_MAP
        }
    }
}

/// A column of a schema.
package struct ArrowField: Sendable {
    let name: String
    let type: ArrowType
    let isNullable: Bool

    package init(_ name: String, _ type: ArrowType, nullable: Bool) {
        self.name = name
        self.type = type
        isNullable = nullable
    }
}

/// Why rows cannot be written. The writer is of no more use then.
package enum ArrowError: Error, Equatable, Sendable {
    case noMemory
    /// A value is not of its column's type, such as 300 of bytes.
    case wrongValue
    /// A column of a batch has more than 2 GiB.
    case tooLarge
    /// An errno.
    case failed(Int32)

    /// - Parameter code: of a function that gives 0 for success.
    static func check(_ code: Int32) throws(ArrowError) {
        switch code {
        case 0: return
        case ENOMEM: throw .noMemory
        case EINVAL: throw .wrongValue
        case EOVERFLOW: throw .tooLarge
        default: throw .failed(code)
        }
    }
}

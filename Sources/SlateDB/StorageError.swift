import CSlateDB
import SlateDBBinding

/// What SlateDB says went wrong. Each case asks for a different next step.
public enum StorageError: Swift.Error, Equatable, Sendable, CustomStringConvertible {
    /// A newer writer took the database over. It never becomes usable again through this handle.
    case fenced(String)
    /// The database was closed, or closed itself after a failure. Open it again.
    case closed(String)
    /// The object store or the network did not answer in time. Repeating may help.
    case unavailable(String)
    /// What is stored cannot be read.
    case corrupt(String)
    /// There is no database where one must be.
    case missing(String)
    /// The call itself is wrong: an empty key, an unknown setting.
    case invalid(String)
    /// The wall clock is behind the last write that the database knows. Reads go on; writes are taken when it has passed that.
    case clockBehind(ClockLag)
    /// A transaction met a conflicting one.
    case conflict(String)
    /// A defect in the library or in this binding.
    case internalError(String)

    public var description: String {
        switch self {
        case .fenced(let text): "fenced: \(text)"
        case .closed(let text): "closed: \(text)"
        case .unavailable(let text): "unavailable: \(text)"
        case .corrupt(let text): "corrupt: \(text)"
        case .missing(let text): "missing: \(text)"
        case .invalid(let text): "invalid: \(text)"
        case .clockBehind(let lag): "clock behind: \(lag)"
        case .conflict(let text): "conflict: \(text)"
        case .internalError(let text): "internal: \(text)"
        }
    }

    /// The binding's error in our words.
    init(_ error: any Swift.Error) {
        switch error {
        case let error as StorageError: self = error
        case SlateDBBinding.Error.Transaction(let text): self = .conflict(text)
        case SlateDBBinding.Error.Closed(.fenced, let text): self = .fenced(text)
        case SlateDBBinding.Error.Closed(_, let text): self = .closed(text)
        case SlateDBBinding.Error.Unavailable(let text): self = .unavailable(text)
        case SlateDBBinding.Error.Invalid(let text): self = Self.refusal(text)
        case SlateDBBinding.Error.Data(let text): self = .corrupt(text)
        case SlateDBBinding.Error.Internal(let text): self = .internalError(text)
        default: self = .internalError(String(describing: error))
        }
    }

    /// What a call of the C interface left in its status; nil when it succeeded.
    init?(_ status: RustCallStatus) {
        guard status.code != 0 else { return nil }
        let bytes = LiftedBytes(status.errorBuf)
        guard status.code == 1 else {
            // A panic leaves its text, and nothing else, in the buffer.
            self = .internalError(bytes.rest())
            return
        }
        let variant: Int32? = bytes.integer()
        // A closed database says why before the message: 1 clean, 2 fenced, 3 panic, 4 unknown.
        let reason: Int32? = variant == 2 ? bytes.integer() : nil
        let text = bytes.text() ?? "no message"
        switch variant {
        case 1: self = .conflict(text)
        case 2: self = reason == 2 ? .fenced(text) : .closed(text)
        case 3: self = .unavailable(text)
        case 4: self = Self.refusal(text)
        case 5: self = .corrupt(text)
        default: self = .internalError(text)
        }
    }

    /// A refused tick is told from other refusals by its text only.
    private static func refusal(_ text: String) -> StorageError {
        ClockLag(refusal: text).map { .clockBehind($0) } ?? .invalid(text)
    }
}

/// Runs a call of the generated binding, with its errors in our words.
func lifting<T>(_ body: () throws -> T) throws(StorageError) -> T {
    do { return try body() } catch { throw StorageError(error) }
}

func lifting<T>(_ body: () async throws -> T) async throws(StorageError) -> T {
    do { return try await body() } catch { throw StorageError(error) }
}

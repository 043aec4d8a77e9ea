private import Glibc

/// A name that somebody chose. Its identity and its order are those of its bytes, as in the keys of the store: Swift's own
/// `String` takes different bytes for the same text where Unicode does.
public protocol Identifier: Hashable, Comparable, Sendable, CustomStringConvertible {
    var text: String { get }
}

extension Identifier {
    public var description: String { text }

    public static func == (left: Self, right: Self) -> Bool {
        left.text.hasSameBytes(as: right.text)
    }

    public static func < (left: Self, right: Self) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}

extension String {
    /// Whether both have the same bytes, as far as a store or a wire can tell: see `Identifier`.
    public func hasSameBytes(as other: String) -> Bool {
        var (left, right) = (self, other)
        return left.withUTF8 { left in
            right.withUTF8 { right in
                guard left.count == right.count, let start = left.baseAddress, let other = right.baseAddress else {
                    return left.count == right.count
                }
                return memcmp(start, other, left.count) == 0
            }
        }
    }
}

/// Names a job within its tenant. Chosen by the application, or a UUID of version 7.
public struct JobID: Identifier {
    public let text: String
    public init(_ text: String) { self.text = text }
}

/// Names what workers poll: those of one group take each other's work.
public struct TaskGroup: Identifier, ExpressibleByStringLiteral {
    public let text: String
    public init(_ text: String) { self.text = text }
    public init(stringLiteral text: String) { self.text = text }
}

/// Names a limit within its tenant: the key of a concurrency limit, or a part of a rate limit's name.
public struct LimitKey: Identifier {
    public let text: String
    public init(_ text: String) { self.text = text }
}

/// Names one running attempt: what a worker heartbeats and reports.
public struct TaskID: Hashable, Sendable, CustomStringConvertible {
    public let uuid: UUID
    public init(_ uuid: UUID) { self.uuid = uuid }
    public var description: String { uuid.text }
}

/// Names an action on many jobs, in every shard that has a part of it.
public struct BulkID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let uuid: UUID
    public init(_ uuid: UUID) { self.uuid = uuid }
    public var description: String { uuid.text }
    public static func < (left: BulkID, right: BulkID) -> Bool { left.uuid < right.uuid }
}

/// Names a shard.
public struct ShardID: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let uuid: UUID
    public init(_ uuid: UUID) { self.uuid = uuid }

    /// Any standard text form of a UUID; nil when it is none.
    public init?(_ text: String) {
        guard let uuid = UUID(text) else { return nil }
        self.uuid = uuid
    }

    public var description: String { uuid.text }
    public static func < (left: ShardID, right: ShardID) -> Bool { left.uuid < right.uuid }
}

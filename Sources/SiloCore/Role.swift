/// What a caller may do.
public enum Role: String, CaseIterable, Sendable {
    /// Looks at jobs, their results and why they wait.
    case read
    /// Takes tasks, keeps them and reports what came of them.
    case work
    /// Puts jobs in.
    case enqueue
    /// All of these, and changes what is there: cancels, restarts, deletes, imports, pauses.
    case operate
    /// All of these, and what touches the server itself: storage, profiles, shards.
    case admin

    /// The roles whose calls it may make.
    public var included: [Role] {
        switch self {
        case .read, .work, .enqueue: [self]
        case .operate: [.read, .work, .enqueue, .operate]
        case .admin: Role.allCases
        }
    }
}

/// The roles of one caller.
public struct Roles: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// These roles and all that they include.
    public init(_ roles: some Sequence<Role>) {
        rawValue = roles.reduce(0) { $1.included.reduce($0) { $0 | Self.bit($1) } }
    }

    public static let all = Roles([.admin])

    public func contains(_ role: Role) -> Bool { rawValue & Self.bit(role) != 0 }

    private static func bit(_ role: Role) -> UInt8 {
        switch role {
        case .read: 1
        case .work: 2
        case .enqueue: 4
        case .operate: 8
        case .admin: 16
        }
    }
}

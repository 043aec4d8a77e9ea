public import SiloCore

/// Memory that the shards of one server share.
public struct MemoryBudgets: Sendable {
    /// Of requests that wait or whose answers wait to be durable.
    public let inHand: MemoryBudget
    /// Of pending tasks that are held so that leasing reads nothing.
    public let windows: MemoryBudget

    public init(_ settings: EngineSettings) {
        inHand = MemoryBudget(settings.unansweredBytesMax)
        windows = MemoryBudget(settings.windowBytesMax)
    }
}

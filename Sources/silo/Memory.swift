import CMalloc

/// Makes the allocator give memory back. Left alone, glibc takes the size of large blocks that were freed as the bound below which it
/// keeps blocks for itself: after a burst of large payloads the server would hold on to gigabytes.
enum Memory {
    /// Blocks from this size on are mapped, and go back to the system the moment that they are freed.
    private static let mappedBytesMin: Int32 = 1 << 20
    /// Free memory at the end of a heap that is kept.
    private static let keptBytesMax: Int32 = 8 << 20
    /// Heaps; each keeps what its threads freed.
    private static let heapsMax: Int32 = 4

    static func giveBack() {
        // mallopt(3).
        _ = mallopt(M_MMAP_THRESHOLD, mappedBytesMin)
        _ = mallopt(M_TRIM_THRESHOLD, keptBytesMax)
        _ = mallopt(M_ARENA_MAX, heapsMax)
    }
}

import CPerfTools

/// The memory of this process, as its allocator has it.
enum Memory {
    /// From now on what is freed goes back to the system at once. Left alone, tcmalloc keeps most of it for the next burst, such
    /// as a merge of files: more than a hundred MiB.
    static func giveBackWhatIsFreed() {
        _ = MallocExtension_SetNumericProperty("tcmalloc.aggressive_memory_decommit", 1)
    }

    /// For the page of metrics.
    static var figures: [(kind: String, bytes: Int)] {
        [
            ("allocated", bytes("generic.current_allocated_bytes")), ("heap", bytes("generic.heap_size")),
            ("pageheap_free", bytes("tcmalloc.pageheap_free_bytes")),
            ("pageheap_unmapped", bytes("tcmalloc.pageheap_unmapped_bytes")),
            ("thread_cache", bytes("tcmalloc.current_total_thread_cache_bytes")),
        ]
    }

    private static func bytes(_ property: String) -> Int {
        var bytes = 0
        _ = MallocExtension_GetNumericProperty(property, &bytes)
        return bytes
    }
}

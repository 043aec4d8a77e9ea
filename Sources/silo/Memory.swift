import CPerfTools
import Dispatch

/// Makes the allocator give memory back: left alone, tcmalloc keeps most of what was freed for the next burst. If it gave back at
/// once, whoever makes and drops large texts in turn, as a statement does, would be ten times slower.
final class Memory {
    /// With less than that in pages that nobody uses it is not worth the system calls.
    private static let freeBytesMin = 32 << 20
    private static let interval = DispatchTimeInterval.seconds(1)

    private let timer = DispatchSource.makeTimerSource(queue: .global(qos: .utility))

    /// Gives back for as long as it lives.
    init() {
        timer.setEventHandler {
            if Self.freeBytes >= Self.freeBytesMin { MallocExtension_ReleaseFreeMemory() }
        }
        timer.schedule(deadline: .now() + Self.interval, repeating: Self.interval, leeway: .milliseconds(200))
        timer.activate()
    }

    /// In whole pages, held from the system and not in use.
    private static var freeBytes: Int { bytes("tcmalloc.pageheap_free_bytes") }

    /// For the page of metrics.
    static var figures: [(kind: String, bytes: Int)] {
        [
            ("allocated", bytes("generic.current_allocated_bytes")), ("heap", bytes("generic.heap_size")),
            ("pageheap_free", freeBytes), ("pageheap_unmapped", bytes("tcmalloc.pageheap_unmapped_bytes")),
            ("thread_cache", bytes("tcmalloc.current_total_thread_cache_bytes")),
        ]
    }

    private static func bytes(_ property: String) -> Int {
        var bytes = 0
        _ = MallocExtension_GetNumericProperty(property, &bytes)
        return bytes
    }
}

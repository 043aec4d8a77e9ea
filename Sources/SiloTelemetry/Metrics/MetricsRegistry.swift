import Synchronization

/// Who has something to show on the page of metrics.
package final class MetricsRegistry: Sendable {
    package typealias Source = @Sendable (inout MetricsPage) -> Void
    private let sources = Mutex<[Source]>([])

    package init() {}

    /// - Parameter source: adds its samples to each page. It must not wait for anybody.
    package func add(_ source: @escaping Source) { sources.withLock { $0.append(source) } }

    /// Everything as it is now.
    package func page() -> MetricsPage {
        var page = MetricsPage()
        for source in sources.withLock({ $0 }) { source(&page) }
        return page
    }
}

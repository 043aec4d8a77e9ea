import SiloTelemetry

/// What Linux says of this process, under the names that all collectors use.
enum ProcessMetrics {
    static func show(on page: inout MetricsPage) {
        let figures = ProcessFigures.now
        if let status = figures.status {
            page.add(MetricNames.cpu, .none, status.processorSeconds)
            page.add(MetricNames.threads, .none, status.threads)
            page.add(MetricNames.virtualMemory, .none, status.virtualBytes)
            page.add(MetricNames.residentMemory, .none, status.residentBytes)
            if let startedAt = status.startedAt { page.add(MetricNames.startTime, .none, startedAt) }
        }
        if let files = figures.openFiles { page.add(MetricNames.openFiles, .none, files) }
        if let files = figures.openFilesMax { page.add(MetricNames.maxFiles, .none, files) }
    }
}

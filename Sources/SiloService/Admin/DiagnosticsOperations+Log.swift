package import SiloAPI
package import SiloCore
package import SiloTelemetry

extension DiagnosticsOperations {
    /// Of a filter, in bytes: more than all parts with a level each.
    private static let filterBytesMax = 1024

    /// Changes which log lines this node writes, until it is told again, started or reloaded.
    package func setLogFilter(
        _ request: SiloV1.SetLogFilterRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.SetLogFilterResponse>
    ) throws(SiloError) {
        let control = logger.control
        var response = SiloV1.SetLogFilterResponse()
        response.before = control.filter.description
        if let text = request.filter {
            let filter = try text.isEmpty ? nil : Self.filter(text)
            control.set(filter)
            response.filter = control.filter.description
            logger.of(context).warn("log filter changed", [
                "before": .init(response.before), "filter": .init(response.filter), "peer": .init(context.peer),
            ])
        }
        response.filter = control.filter.description
        reply.send(response)
    }

    private static func filter(_ text: String) throws(SiloError) -> LogFilter {
        guard text.utf8.count <= filterBytesMax else {
            throw .outOfBounds(field: "filter", bound: "must have at most \(filterBytesMax) bytes")
        }
        do throws(LogFilter.Mistake) { return try LogFilter(text) } catch { throw .invalidArgument("filter: \(error)") }
    }
}

extension Logger {
    /// The same logger for lines of a call.
    package func of(_ context: RequestContext) -> Logger {
        of("grpc_request", ["rpc.method": .init(context.method)], context.span?.context ?? context.trace)
    }
}

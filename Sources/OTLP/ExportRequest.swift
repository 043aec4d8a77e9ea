import SiloTelemetry

extension OTLPCollector.ExportTraceServiceRequest {
    /// - Parameters:
    ///   - resource: of the process that tells.
    ///   - scope: what made the spans, and its version.
    init(_ spans: [FinishedSpan], resource: [(name: String, value: String)], scope: (name: String, version: String)) {
        self.init()
        var told = OTLPTrace.ResourceSpans()
        var process = OTLPResource.Resource()
        process.attributes = resource.map { OTLPCommon.KeyValue($0.name, .text($0.value)) }
        told.resource = process
        var made = OTLPTrace.ScopeSpans()
        var maker = OTLPCommon.InstrumentationScope()
        (maker.name, maker.version) = scope
        made.scope = maker
        made.spans = spans.map { OTLPTrace.Span($0) }
        told.scopeSpans = [made]
        resourceSpans = [told]
    }
}

extension OTLPTrace.Span {
    init(_ span: FinishedSpan) {
        self.init()
        traceId = span.context.trace.bytes
        spanId = span.context.span.bytes
        parentSpanId = span.start.parent?.span.bytes ?? []
        name = span.start.name
        kind = OTLPTrace.Span.SpanKind(span.start.kind)
        startTimeUnixNano = span.began
        endTimeUnixNano = span.ended
        attributes = span.attributes.map { OTLPCommon.KeyValue($0.name, $0.value) }
        events = span.events.map { event in
            var told = OTLPTrace.Span.Event()
            (told.timeUnixNano, told.name) = (event.at, event.name)
            return told
        }
        links = span.start.links.map { link in
            var told = OTLPTrace.Span.Link()
            (told.traceId, told.spanId) = (link.trace.bytes, link.span.bytes)
            told.traceState = link.state
            return told
        }
        flags = span.context.isSampled ? 1 : 0
        traceState = span.context.state
        guard let failure = span.failure else { return }
        var told = OTLPTrace.Status()
        told.code = .error
        told.message = failure
        status = told
    }
}

extension OTLPTrace.Span.SpanKind {
    fileprivate init(_ kind: SpanKind) {
        switch kind {
        case .internal: self = .internal
        case .server: self = .server
        case .client: self = .client
        case .producer: self = .producer
        case .consumer: self = .consumer
        }
    }
}

extension OTLPCommon.KeyValue {
    fileprivate init(_ name: String, _ value: SpanValue) {
        self.init()
        key = name
        var told = OTLPCommon.AnyValue()
        switch value {
        case .text(let text): told.value = .stringValue(text)
        case .number(let number): told.value = .intValue(number)
        }
        self.value = told
    }
}

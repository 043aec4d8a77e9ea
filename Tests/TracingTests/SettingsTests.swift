import GRPC
import Protobuf
import SiloTelemetry
import Testing

@testable import OTLP

@Suite(.timeLimit(.minutes(10))) struct SettingsTests {
    private func read(_ variables: [String: String]) -> TracingSettings { TracingSettings(variables, service: "silo") }

    @Test func withoutAnEndpointNothingIsExported() {
        let settings = read([:])
        #expect(settings.target == nil && settings.mistakes.isEmpty)
        #expect(settings.queueMax == 2048 && settings.batchMax == 512 && settings.delayMilliseconds == 5000)
        #expect(settings.exportMilliseconds == 30_000 && settings.timeoutMilliseconds == 10_000)
        #expect(settings.sampler == .byParent(root: .always))
        #expect(read(["OTEL_TRACES_EXPORTER": "otlp"]).target == "localhost:4317")
    }

    @Test(arguments: [
        ("http://c:4317", "c:4317", TracingSettings.Security.plain), ("https://c:4317", "c:4317", .tls),
        ("https://c", "c:443", .tls), ("http://c/", "c:80", .plain), ("http://c:4317/v1/traces", "c:4317", .plain),
        ("c:4317", "c:4317", .tls), ("HTTP://[::1]:4317", "[::1]:4317", .plain), ("https://[::1]", "[::1]:443", .tls),
    ])
    func anEndpointIsAUrlOrAnAddress(endpoint: String, target: String, security: TracingSettings.Security) {
        let settings = read(["OTEL_EXPORTER_OTLP_ENDPOINT": endpoint])
        #expect(settings.target == target && settings.security == security && settings.mistakes.isEmpty)
    }

    @Test(arguments: ["ftp://c:1", "http://", "http://user:secret@c:4317", "c", "a://b://c"])
    func anotherEndpointIsAMistake(endpoint: String) {
        let settings = read(["OTEL_EXPORTER_OTLP_ENDPOINT": endpoint])
        #expect(settings.target == nil && settings.mistakes.count == 1)
        #expect(!settings.mistakes[0].contains("secret"))
    }

    @Test func variablesOfTracesGoBeforeThoseOfAll() {
        let settings = read([
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:2",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=2,c=%20x",
        ])
        #expect(settings.target == "b:2" && settings.timeoutMilliseconds == 2)
        #expect(settings.headers.map { "\($0.name)=\($0.value)" } == ["b=2", "c= x"])
        let plain = read(["OTEL_EXPORTER_OTLP_ENDPOINT": "a:1", "OTEL_EXPORTER_OTLP_INSECURE": "TRUE"])
        #expect(plain.security == .plain)
    }

    @Test(arguments: [
        (["OTEL_SERVICE_NAME": "x"], "x"), (["OTEL_RESOURCE_ATTRIBUTES": "service.name=y"], "y"),
        (["OTEL_SERVICE_NAME": "x", "OTEL_RESOURCE_ATTRIBUTES": "service.name=y"], "x"), ([:], "silo"),
    ])
    func aServiceHasOneName(variables: [String: String], name: String) {
        #expect(read(variables).resource.filter { $0.name == "service.name" }.map(\.value) == [name])
    }

    @Test func whatCannotBeIsToldAllTogetherAndTheDefaultIsInForce() {
        let settings = read([
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2", "OTEL_BSP_MAX_QUEUE_SIZE": "0",
            "OTEL_BSP_SCHEDULE_DELAY": "soon", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", "OTEL_RESOURCE_ATTRIBUTES": "a,b=1,=2",
            "OTEL_BSP_EXPORT_TIMEOUT": "", "OTEL_TRACES_EXPORTER": "zipkin",
        ])
        #expect(settings.mistakes.count == 7)
        #expect(settings.sampler == .byParent(root: .ratio(1)) && settings.queueMax == 2048 && settings.target == nil)
        #expect(settings.resource.contains { $0 == ("b", "1") })
    }

    @Test func aBatchIsNoLargerThanTheQueue() {
        #expect(read(["OTEL_BSP_MAX_QUEUE_SIZE": "100"]).batchMax == 100)
    }

    // MARK: What is tried again

    private func asking(_ code: Status.Code, seconds: Int64, nanos: Int32 = 0) -> Status {
        var info = GoogleRPC.RetryInfo()
        var delay = GoogleRPC.Delay()
        (delay.seconds, delay.nanos) = (seconds, nanos)
        info.retryDelay = delay
        var detail = GoogleRPC.Detail()
        (detail.typeUrl, detail.value) = ("type.googleapis.com/google.rpc.RetryInfo", info.serializedBytes())
        var status = GoogleRPC.Status()
        status.details = [GoogleRPC.Detail(), detail]
        var trailers = Metadata()
        trailers.append("grpc-status-details-bin", status.serializedBytes())
        return Status(code, trailers: trailers)
    }

    @Test func theCodesThatMayPassAreTriedAgainWithGrowingPauses() {
        let again: Set<Status.Code> = [.cancelled, .deadlineExceeded, .aborted, .outOfRange, .unavailable, .dataLoss]
        for code in Status.Code.allCases {
            var retrying = Retrying()
            #expect((retrying.pause(after: Status(code), chance: 1) != nil) == again.contains(code), "\(code)")
        }
        var retrying = Retrying()
        let longest = (0..<6).map { _ in retrying.pause(after: Status(.unavailable), chance: 0) }
        #expect(longest == [500, 1000, 2000, 2500, 2500, 2500])
    }

    @Test func aCollectorThatSaysWhenIsAskedThen() {
        var retrying = Retrying()
        #expect(retrying.pause(after: asking(.resourceExhausted, seconds: 1, nanos: 500_000_000), chance: 0) == 1500)
        let asked = (0..<3).map { _ in retrying.pause(after: asking(.unavailable, seconds: 0), chance: 0) }
        #expect(asked == [1000, 2000, 2500], "none is asked for ever and again at once")
        #expect(retrying.pause(after: asking(.invalidArgument, seconds: 1), chance: 0) == nil)
        for seconds in [Int64.max, 1_000_000, -5, .min] {
            let pause = retrying.pause(after: asking(.resourceExhausted, seconds: seconds, nanos: .max), chance: 0)
            #expect(pause.map { (0...63_000).contains($0) } == true)
        }
        var trailers = Metadata()
        trailers.append("grpc-status-details-bin", [0xff, 0xff])
        #expect(retrying.pause(after: Status(.resourceExhausted, trailers: trailers), chance: 0) == nil)
    }

    @Test func whatIsNotDoneHereIsNamed() {
        let asked = [
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip", "OTEL_PROPAGATORS": "b3", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "8",
            "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "100",
        ]
        let mistakes = TracingSettings(asked, service: "s").mistakes
        #expect(mistakes.count == asked.count)
        for name in asked.keys { #expect(mistakes.contains { $0.hasPrefix(name) }, "\(name)") }
        let done = ["OTEL_EXPORTER_OTLP_COMPRESSION": "none", "OTEL_PROPAGATORS": "tracecontext"]
        #expect(TracingSettings(done, service: "s").mistakes.isEmpty)
    }
}

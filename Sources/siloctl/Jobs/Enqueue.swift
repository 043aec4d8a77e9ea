import CommandLineTool
import Foundation
import Protobuf
import SiloAPI
import SiloClient
import SiloCore

func enqueue(_ arguments: Arguments, _ output: Output) async throws {
    let text = arguments.operands[1]
    let json = try text == "-" ? InputFile.standardInput() : Array(text.utf8)
    let payload: MessagePack
    do { payload = try MessagePack(json: Data(json)) } catch {
        let hint = text.hasPrefix("@") ? "; for a file, write - and give it on standard input" : ""
        throw Arguments.Mistake("the payload is no JSON text: \(error)\(hint)")
    }

    var request = SiloV1.EnqueueRequest()
    request.tenant = try ServerPlace.tenant(arguments)
    request.id = arguments.text("id", default: "")
    request.taskGroup = arguments.operands[0]
    request.priority = UInt32(try arguments.number("priority", default: 50, in: 0...99))
    let delay = try arguments.number("start-in", default: 0, in: 0...315_360_000)
    if delay > 0 { request.startAtMs = SystemClock().now.milliseconds + Int64(delay) * 1000 }
    let retries = try arguments.number("retries", default: 0, in: 0...1_000_000)
    if retries > 0 {
        var policy = SiloV1.RetryPolicy.standard
        policy.retryCount = UInt32(retries)
        request.retryPolicy = policy
    }
    for label in arguments.texts("label") {
        let sides = label.parts(at: "=", atMost: 2)
        guard sides.count == 2 else { throw Arguments.Mistake("--label wants key=value, not \(label)") }
        guard request.metadata[sides[0]] == nil else {
            throw Arguments.Mistake("--label gives \(sides[0]) a value twice")
        }
        request.metadata[sides[0]] = sides[1]
    }
    request.retainMs = Int64(try arguments.number("keep", default: 0, in: 0...3_153_600_000)) * 1000
    request.limits = try LimitOptions(arguments).limits()
    request.payload = SiloV1.SerializedBytes(payload.bytes)

    let server = try Server(arguments)
    let info = try await server.clusterInfo()
    request.shard = try info.shard(of: request.tenant)
    let response = try await server.owner(of: request.shard, info).call(SiloV1.Silo.enqueue, request)
    try output.print(
        ["id": response.id, "shard": request.shard], ["Job \(response.id) enqueued in shard \(request.shard)"]
    )
}

extension SiloV1.RetryPolicy {
    /// How retries are spaced when nothing else is said.
    static var standard: SiloV1.RetryPolicy {
        var policy = SiloV1.RetryPolicy()
        policy.initialIntervalMs = 1000
        policy.maxIntervalMs = 60_000
        policy.backoffFactor = 2
        policy.randomizeInterval = true
        return policy
    }
}

extension SiloV1.SerializedBytes {
    /// - Parameter document: MessagePack.
    init(_ document: [UInt8]) {
        self.init()
        encoding = .msgpack(document)
    }
}

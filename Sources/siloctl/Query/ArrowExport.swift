import CommandLineTool
import Foundation
import GRPC
import SiloAPI
import SiloClient

/// `query --arrow`: the rows of a statement as one Arrow IPC stream, in a file or on the standard output.
struct ArrowExport {
    let output: Output
    /// `-` is the standard output.
    let path: String

    /// Writes batch by batch, as fast as the file takes them.
    func run(_ query: SiloV1.QueryRequest, at server: Server) async throws {
        let file = try ArrowFile(path)
        var request = SiloV1.QueryArrowRequest()
        request.shard = query.shard
        request.sql = query.sql
        request.tenant = query.tenant
        request.parameters = query.parameters
        request.allowPartial = query.allowPartial
        var joint = ArrowJoint()
        var (batches, bytes) = (0, 0)
        var missing: [SiloV1.MissingShard] = []
        do {
            var responses = try await server.stream(SiloV1.Silo.queryArrow, request)
            while let response = try await server.failing({ () throws(Status) in try await responses.next() }) {
                guard response.missingShards.isEmpty else {
                    missing = response.missingShards
                    continue
                }
                let part = try joint.part(of: response.ipcData)
                try file.write(part)
                batches += 1
                bytes += part.count
            }
            try file.write(joint.end)
            try file.keep()
        } catch {
            file.discard()
            throw error
        }
        for shard in missing { Program.complain("Without shard \(shard.shardId): \(shard.reason)") }
        guard path != "-" else { return }
        let left = missing.map { ["shard_id": $0.shardId, "reason": $0.reason] }
        try output.print(
            ["output_file": path, "batches": batches, "bytes": bytes + joint.end.count]
                .merging(left.isEmpty ? [:] : ["missing_shards": left]) { $1 },
            ["Saved to \(path): \(batches) batch(es), \(Words.size(UInt64(bytes + joint.end.count)))"])
    }
}

/// Makes one stream of many: each answer is a whole stream, of which the first gives the schema, and all give their batch.
struct ArrowJoint {
    private var schema: ArraySlice<UInt8>?
    let end: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]

    /// What goes into the joint stream.
    mutating func part(of stream: [UInt8]) throws -> ArraySlice<UInt8> {
        // A message begins with a continuation and the length of its head; that of a schema has nothing behind its head.
        let length = stream.count >= 16 ? stream[4..<8].reversed().reduce(0) { $0 << 8 | Int($1) } : 0
        let own = 8 + length
        guard stream.starts(with: end[..<4]), length > 0, own <= stream.count - end.count, stream.suffix(end.count) == end[...]
        else { throw Failure("a batch of the answer is no Arrow IPC stream") }
        guard let schema else {
            schema = stream[..<own]
            return stream.dropLast(end.count)
        }
        guard schema == stream[..<own] else { throw Failure("a batch of the answer has other columns than the first") }
        return stream[own...].dropLast(end.count)
    }
}

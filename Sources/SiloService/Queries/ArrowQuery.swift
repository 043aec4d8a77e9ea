package import SiloAPI
package import SiloCore
import SiloQuery

extension QueryOperations {
    /// The same as `query`, whose rows come as Arrow record batches, as fast as the caller reads them. A statement may take its
    /// time for each batch, and so may the caller; all of them together have no bound.
    package func queryArrow(
        _ request: SiloV1.QueryArrowRequest, _ context: RequestContext, _ reply: any StreamReply<SiloV1.ArrowIpcMessage>
    ) throws(SiloError) {
        // The caller's own deadline cancels the call.
        let statement = try admit(
            .init(request), timeoutMilliseconds: settings.statementTimeoutMilliseconds, for: context)
        reply.onCancel { statement.control.cancel() }
        // Ends with the statement, which its control ends.
        environment.start { [self] in
            var sent = StreamedRows()
            var failure: QueryError?
            do throws(QueryError) {
                sent = try await statement.query.stream(settings.limits, statement.control) { batch, whenTaken in
                    var message = SiloV1.ArrowIpcMessage()
                    message.ipcData = batch
                    reply.send(message, whenTaken: whenTaken)
                }
            } catch {
                failure = error
            }
            end(statement, rows: sent.rows, bytes: sent.bytes, failure: failure, as: "slow query (arrow)")
            if failure == nil, !sent.missing.isEmpty {
                var last = SiloV1.ArrowIpcMessage()
                last.missingShards = sent.missing.map { SiloV1.MissingShard($0.shard, $0.why) }
                reply.send(last) { _ in }
            }
            reply.end(failure.map { SiloError($0, ofMany: request.shard.isEmpty) })
        }
    }
}

extension SiloV1.QueryRequest {
    /// They ask for the same.
    fileprivate init(_ request: SiloV1.QueryArrowRequest) {
        self.init()
        shard = request.shard
        sql = request.sql
        tenant = request.tenant
        parameters = request.parameters
        allowPartial = request.allowPartial
    }
}

import SiloCore
import SiloTelemetry

// The span of a command in its shard: from the mailbox until what it did is durable. It tells when the loop took it and when
// it was done, so that what is left is the write and the flush.

extension RecordedSpan {
    /// - Parameter count: commands that go together.
    func commit(of command: Any.Type, count: Int? = nil) -> RecordedSpan {
        let span = child("commit", ["silo.command": .text("\(command)")])
        if let count { span.set("silo.count", SpanValue(count)) }
        return span
    }

    func end<Answer>(_ result: Result<Answer, SiloError>) {
        if case .failure(let error) = result { end(failure: "\(error)") } else { end() }
    }
}

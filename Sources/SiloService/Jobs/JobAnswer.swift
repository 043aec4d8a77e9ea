import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

/// The answer of GetJob, put together piece by piece and never larger than a message may be.
///
/// A job may have more than that: each of its payload, its result and its attempts fits by itself, not all of them together.
/// Whoever does not ask for parts gets all of it or a refusal that says how to.
struct JobAnswer {
    private(set) var response: SiloV1.GetJobResponse
    private let isInParts: Bool
    private let bytesMax: Int
    private var bytes: Int
    /// Nothing large is in it yet.
    private var isEmpty = true

    /// - Parameter now: the time of the job's shard.
    init(_ stored: StoredJob, _ request: SiloV1.GetJobRequest, at now: Moment) throws(SiloError) {
        response = SiloV1.GetJobResponse(stored, at: now)
        isInParts = request.answerBytesMax ?? 0 > 0
        bytesMax =
            isInParts ? Int(clamping: min(request.answerBytesMax ?? 0, UInt64(Bounds.messageBytesMax))) : Bounds.messageBytesMax
        let (payload, result) = (response.payload, response.result)
        response.payload = nil
        response.result = nil
        bytes = response.serializedBytes().count
        if !request.omitPayload, try takes(payload.bytes.count) {
            response.payload = payload
        } else {
            response.payloadOmitted = true
        }
        if result != nil {
            if !request.omitResult, try takes(result.bytes.count) {
                response.result = result
            } else {
                response.resultOmitted = true
            }
        }
    }

    /// Adds an attempt. False when it has no room: it is the next one to ask for.
    mutating func add(_ attempt: SiloV1.JobAttempt) throws(SiloError) -> Bool {
        guard try takes(attempt.answerBytes, isFirst: isEmpty) else {
            response.nextAttempt = attempt.attemptNumber
            return false
        }
        response.attempts.append(attempt)
        return true
    }

    /// Where the last attempt was added first: those before the ones that it has are the ones to ask for.
    var lastFirst: SiloV1.GetJobResponse {
        var response = response
        response.attempts.reverse()
        response.nextAttempt = nil
        return response
    }

    /// - Parameter isFirst: it comes whatever its size, so that whoever asks again gets on.
    private mutating func takes(_ size: Int, isFirst: Bool = false) throws(SiloError) -> Bool {
        let size = size + Self.frameBytes
        guard bytes + size <= (isFirst ? Bounds.messageBytesMax : bytesMax) else {
            if isInParts, !isFirst { return false }
            throw .jobTooLarge(answerBytesMax: bytesMax)
        }
        bytes += size
        if size > Self.frameBytes { isEmpty = false }
        return true
    }

    /// Tags and lengths around what is counted.
    private static let frameBytes = 16
}

extension SiloV1.JobAttempt {
    /// Its encoded size, or a little more. What may be large is not encoded for it.
    fileprivate var answerBytes: Int {
        var small = self
        small.result = nil
        small.errorData = nil
        return small.serializedBytes().count + result.bytes.count + errorData.bytes.count + 16
    }
}

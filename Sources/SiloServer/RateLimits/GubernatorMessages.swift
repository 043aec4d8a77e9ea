import SiloAPI
import SiloCore
import SiloEngine

// Checks and answers in the words of Gubernator (spec/api.md 9).

extension PbGubernator.RateLimitReq {
    init(_ check: RateCheck) {
        self.init()
        name = check.name
        uniqueKey = check.uniqueKey
        hits = check.hits
        limit = check.limit
        duration = check.durationMilliseconds
        algorithm = check.algorithm == 1 ? .leakyBucket : .tokenBucket
        behavior = check.behavior
        burst = check.burst
    }
}

extension RateAnswer {
    /// What is the longest text of a peer that is passed on, in Unicode scalars.
    private static let textScalarsMax = 512

    /// An entry with an error was not looked at: its status says nothing.
    init(_ response: PbGubernator.RateLimitResp) {
        guard response.error.isEmpty else {
            self = .failed("gubernator: \(Self.shortened(response.error))")
            return
        }
        switch response.status {
        case .underLimit: self = .under
        case .overLimit: self = .over(resetAt: response.resetTime > 0 ? Timestamp(response.resetTime) : nil)
        default: self = .failed("gubernator gave an unknown status \(response.status.rawValue)")
        }
    }

    static func shortened(_ text: String) -> String {
        let scalars = text.unicodeScalars
        return scalars.count <= textScalarsMax ? text : String(scalars.prefix(textScalarsMax)) + "…"
    }
}

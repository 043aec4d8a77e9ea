import SiloAPI
import SiloCore
import Testing

@testable import SiloWeb

@Suite(.timeLimit(.minutes(10))) struct JobTimelineTests {
    private static let times = [.min, -1, 0, 1_700_000_000_000, .max] as [Int64]

    private func attempt(_ number: UInt32, _ started: Int64, _ finished: Int64?) -> SiloV1.JobAttempt {
        var attempt = SiloV1.JobAttempt()
        (attempt.attemptNumber, attempt.status) = (number, finished == nil ? .running : .failed)
        (attempt.startedAtMs, attempt.finishedAtMs) = (started, finished)
        return attempt
    }

    @Test("attempts of any times, in any order, are drawn within the picture")
    func anyTimes() throws {
        let now = Timestamp(1_700_000_000_000)
        for enqueued in Self.times {
            for started in Self.times {
                for finished in Self.times.map({ Optional($0) }) + [nil] {
                    for second in Self.times {
                        var job = SiloV1.GetJobResponse()
                        (job.enqueuedAtMs, job.enqueueTimeMs, job.statusChangedAtMs) = (enqueued, started, finished ?? second)
                        job.status = finished == nil ? .running : .failed
                        job.attempts = [attempt(1, started, finished ?? second), attempt(2, second, finished)]
                        let html = JobTimeline(job, isLast: true, now: now).html.text
                        for match in html.matches(of: /x="([-0-9.e+]+)" y="4" width="([-0-9.e+]+)"/) {
                            let (x, width) = (try #require(Double(match.1)), try #require(Double(match.2)))
                            #expect((0...998).contains(x) && (2...1000).contains(width), "\(job)")
                        }
                        #expect(html.contains("<rect"))
                    }
                }
            }
        }
    }
}

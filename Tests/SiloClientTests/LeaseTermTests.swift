import SiloAPI
@testable import SiloClient
import SiloCore
import Testing

@Suite(.timeLimit(.minutes(10))) struct LeaseTermTests {
    private func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds) }

    private func take(_ term: inout LeaseTerm, _ milliseconds: Int64) -> Bool { term.takeBeat(at: at(milliseconds)) }

    @Test func aLeaseIsCountedFromTheRequestAndFromEachHeartbeat() {
        var term = LeaseTerm(length: 9000, interval: nil, asked: at(1000), now: at(2000))
        #expect(term.isConfirmed && term.heldUntil == at(10_000) && term.nextBeatAt == at(4000))
        #expect(take(&term, 3999) == false)
        #expect(take(&term, 4000) == true)
        // The answer comes late and counts from when it was asked for.
        term.acknowledge(beatOf: at(4000))
        #expect(term.heldUntil == at(13_000))
        #expect(!term.isOver(at: at(12_999)))
        #expect(term.isOver(at: at(13_000)))
    }

    @Test func answersInAnyOrderNeverShortenALease() {
        var term = LeaseTerm(length: 9000, interval: nil, asked: at(0), now: at(0))
        #expect(take(&term, 3000) == true)
        #expect(take(&term, 6000) == true)
        term.acknowledge(beatOf: at(6000))
        term.acknowledge(beatOf: at(3000))
        #expect(term.heldUntil == at(15_000))
    }

    @Test func anIntervalMayOnlyShortenTheThirdOfALease() {
        #expect(LeaseTerm(length: 9000, interval: 60_000, asked: at(0), now: at(0)).interval == 3000)
        #expect(LeaseTerm(length: 9000, interval: 500, asked: at(0), now: at(0)).interval == 500)
        #expect(LeaseTerm(length: 9000, interval: -1, asked: at(0), now: at(0)).interval == 1)
        #expect(LeaseTerm(length: 1, interval: nil, asked: at(0), now: at(0)).interval == 1)
        // A server that says nothing has upstream's leases.
        #expect(LeaseTerm(length: 0, interval: nil, asked: at(0), now: at(0)).length == 10_000)
        #expect(LeaseTerm(length: .max, interval: nil, asked: at(0), now: at(0)).heldUntil == at(86_400_000))
    }

    @Test func hangingHeartbeatsAreFewAndAFailedOneIsFollowedSoon() {
        var term = LeaseTerm(length: 9000, interval: 100, asked: at(0), now: at(0))
        var sent = 0
        for moment in stride(from: Int64(0), to: 5000, by: 50) where term.takeBeat(at: at(moment)) { sent += 1 }
        #expect(sent == 4)
        #expect(term.overdueBeat(at: at(5000)) == at(100))
        term.fail(beatOf: at(100), at: at(5000))
        #expect(term.nextBeatAt <= at(5033))
        #expect(take(&term, 5033) == true)
    }

    @Test func aLeaseOfALongWaitIsToBeConfirmedAtOnce() {
        var term = LeaseTerm(length: 9000, interval: nil, asked: at(0), now: at(6000))
        #expect(!term.isConfirmed)
        #expect(take(&term, 6000) == true)
        #expect(term.isOver(at: at(15_000)))
        term.acknowledge(beatOf: at(6000))
        #expect(term.isConfirmed && term.heldUntil == at(15_000))
        #expect(LeaseTerm(length: 9000, interval: nil, asked: at(0), now: at(5999)).isConfirmed)
    }

    @Test func aLostLeaseIsNeitherRenewedNorRevivedByAnswersThatComeLater() {
        var term = LeaseTerm(length: 9000, interval: nil, asked: at(0), now: at(0))
        #expect(take(&term, 3000) == true)
        #expect(take(&term, 6000) == true)
        term.lose()
        term.acknowledge(beatOf: at(6000))
        term.fail(beatOf: at(3000), at: at(6500))
        #expect(term.heldUntil == at(9000))
        #expect(term.nextBeatAt == .distantFuture && term.overdueBeat(at: at(60_000)) == nil)
    }

    /// Its outcome may have been taken, and the answer lost: the heartbeat that finds no lease was answered all the same, so that
    /// its connection is not to be left.
    @Test func aSettledTaskWhoseLeaseIsGoneAsksForItNoMore() {
        var task = SiloV1.Task()
        task.id = "t"
        let execution = Execution(Lease(task), LeaseTerm(length: 9000, interval: nil, asked: at(0), now: at(0)))
        execution.settle()
        #expect(execution.due(at: at(3000)).beats)
        #expect(execution.end(.leaseLost) == false)
        let due = execution.due(at: at(6500))
        #expect(due.silentSince == nil && !due.beats && !due.isOver && due.next == .distantFuture)
    }
}

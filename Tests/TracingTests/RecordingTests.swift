import SiloTelemetry
import Testing

@Suite(.timeLimit(.minutes(10))) struct RecordingTests {
    private let queue = SpanQueue(countMax: 100, batchMax: 100)

    @Test func aSpanEndsOnceWithWhatItWasTold() throws {
        let tracer = RecordingTracer.test(into: queue)
        let span = try #require(tracer.record(SpanStart("a", .server, ["x": 1]), parent: context()))
        span.set("y", "2")
        span.note("begun")
        span.end(failure: "bad")
        span.set("z", 3)
        span.note("late")
        span.end()
        let spans = queue.take()
        try #require(spans.count == 1)
        #expect(spans[0].attributes.map(\.name) == ["x", "y"] && spans[0].attributes.map(\.value) == [1, "2"])
        #expect(spans[0].events.map(\.name) == ["begun"] && spans[0].failure == "bad")
        #expect(spans[0].start.parent == context() && spans[0].context.trace == context()?.trace && spans[0].context.isSampled)
        #expect(spans[0].began <= spans[0].events[0].at && spans[0].events[0].at <= spans[0].ended)
    }

    @Test func aChildIsOfTheTraceAndTheSpanOfItsParent() throws {
        let tracer = RecordingTracer.test(into: queue)
        let span = try #require(tracer.record(SpanStart("a"), parent: nil))
        span.child("b").end()
        span.end()
        let spans = queue.take()
        #expect(spans.map(\.start.name) == ["b", "a"])
        #expect(spans[0].start.parent == span.context && spans[0].context.trace == span.context.trace)
        #expect(spans[1].start.parent == nil && spans[0].context.span != spans[1].context.span)
    }

    @Test func aSpanThatNobodyEndsEndsWithItsLastReference() throws {
        var span = RecordingTracer.test(into: queue).record(SpanStart("a"), parent: nil)
        #expect(span != nil && queue.counts.waiting == 0)
        span = nil
        #expect(queue.take().map(\.failure) == ["it was given up"])
    }

    @Test func aSpanThatIsSaidToBeginLaterThanNowBeginsNow() throws {
        let tracer = RecordingTracer.test(into: queue)
        tracer.record(SpanStart("a"), at: .max, parent: nil)?.end()
        tracer.record(SpanStart("b"), at: 5, parent: nil)?.end()
        let spans = queue.take()
        #expect(spans[0].began <= spans[0].ended && spans[1].began == 5)
    }

    @Test func whatASpanIsToldHasABound() throws {
        let span = try #require(RecordingTracer.test(into: queue).record(SpanStart("a"), parent: nil))
        for number in 0..<10_000 {
            span.set("\(number)", SpanValue(number))
            span.note("\(number)")
        }
        span.end()
        let spans = queue.take()
        #expect(spans[0].attributes.count == 128 && spans[0].events.count == 128)
    }

    @Test(arguments: [
        (Sampler.always, true, true, true), (.never, false, false, false), (.ratio(0), false, false, false),
        (.ratio(1), true, true, true), (.byParent(root: .always), true, false, true),
        (.byParent(root: .never), true, false, false),
        (.byParent(root: .ratio(0)), true, false, false),
    ])
    func aSamplerDecides(sampler: Sampler, ofSampled: Bool, ofUnsampled: Bool, root: Bool) {
        let tracer = RecordingTracer.test(sampler)
        #expect((tracer.record(SpanStart("a"), parent: context()) != nil) == ofSampled)
        #expect((tracer.record(SpanStart("a"), parent: context(isSampled: false)) != nil) == ofUnsampled)
        #expect((tracer.record(SpanStart("a"), parent: nil) != nil) == root)
    }

    @Test func aRatioDecidesByTheTraceAndAlikeEverywhere() {
        let tracer = RecordingTracer.test(.ratio(0.25))
        for share in 0..<100 {
            let trace = context(UInt64.max / 100 * UInt64(share) + 1 << 32)
            #expect((tracer.record(SpanStart("a"), parent: trace) != nil) == (share < 25), "\(share)")
        }
    }

    @Test func aTraceThatIsNotRecordedCostsOneNumber() {
        let chance = Counting()
        let tracer = RecordingTracer(.byParent(root: .ratio(0)), into: queue) { chance.next() }
        for _ in 0..<10 { #expect(tracer.record(SpanStart("a"), parent: nil) == nil) }
        #expect(chance.next() == 11)
        for _ in 0..<10 { #expect(tracer.record(SpanStart("a"), parent: context(isSampled: false)) == nil) }
        #expect(chance.next() == 12)
    }
}

@Suite(.timeLimit(.minutes(10))) struct SpanQueueTests {
    private func end(_ count: Int, _ queue: SpanQueue) {
        let tracer = RecordingTracer.test(into: queue)
        for number in 0..<count { tracer.record(SpanStart("\(number)"), parent: nil)?.end() }
    }

    @Test func whatFindsNoRoomIsDroppedAndCounted() {
        let queue = SpanQueue(countMax: 10, batchMax: 4)
        end(15, queue)
        #expect(queue.counts == SpanCounts(waiting: 10, dropped: 5))
        #expect(queue.take().map(\.start.name) == ["0", "1", "2", "3"] && queue.hasBatch)
        #expect(queue.take().count == 4 && !queue.hasBatch && queue.take().count == 2 && queue.take().isEmpty)
    }

    @Test func whoeverExportsWaitsForABatch() async {
        let queue = SpanQueue(countMax: 10, batchMax: 4)
        async let waited: Void = queue.untilFull()
        end(4, queue)
        await waited
        #expect(queue.take().count == 4)
    }

    @Test func whoIsCancelledBeforeItWaitsDoesNot() async {
        let queue = SpanQueue(countMax: 10, batchMax: 4)
        let waiter = Task {
            while !Task.isCancelled { await Task.yield() }
            await queue.untilFull()
        }
        waiter.cancel()
        await waiter.value
        #expect(queue.counts == SpanCounts())
    }

    @Test func aQueueThatIsClosedTakesNoMoreAndLetsEverybodyGo() async {
        let queue = SpanQueue(countMax: 10, batchMax: 4)
        async let waited: Void = queue.untilFull()
        queue.close()
        await waited
        await queue.untilFull()
        end(3, queue)
        #expect(queue.counts == SpanCounts(waiting: 0, dropped: 3))
    }
}

import SiloCore
import SiloStore
import SlateDB
import Testing

@testable import SiloServer

/// A conversation with the machine: what happens, and what it wants done. Stores are numbers, shards letters.
@Suite(.timeLimit(.minutes(10))) struct ShardLifeTests {
    enum Event: Sendable {
        case next, opened, erased
        case isBehind
        case serves(String, at: Int64)
        case fails(StoreError, at: Int64)
        case isStillUsed
        case reset
        case close(ShardEnding)
    }

    struct Conversation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// Each with what it wants done, and how the shard stands afterwards.
        let steps: [(Event, String, String)]
    }

    private static let start: [(Event, String, String)] = [
        (.next, "open", "opening: acquisition in progress"), (.opened, "", "opening: acquisition in progress"),
        (.serves("a", at: 0), "answer tries, answer resets", "serving a"),
    ]
    private static let away = StoreError.unavailable("x")
    private static let awayText = "storage is unavailable: x"
    private static let fencedText = "the shard was opened elsewhere: x"

    static let conversations = [
        Conversation(testDescription: "it opens and is closed", steps: start + [
            (.close(.shutdown), "answer tries, fail resets, wake, release a for good", "closed"), (.next, "end", "closed"),
            (.close(.shutdown), "", "closed"),
        ]),
        Conversation(
            testDescription: "it is opened anew after a failure; the same failure is told once, and pauses grow",
            steps: [
            (.next, "open", "opening: acquisition in progress"),
            (.fails(away, at: 0), "tell, answer tries, fail resets, pause 100", "opening: \(awayText)"),
            (.next, "open", "opening: \(awayText)"),
            (.fails(away, at: 0), "answer tries, fail resets, pause 200", "opening: \(awayText)"),
                (
                    .fails(.corrupt("x"), at: 0), "tell, answer tries, fail resets, pause 1000",
                    "opening: stored data cannot be read: x"
                ),
        ]),
        Conversation(
            testDescription: "a store that was there has to be there again; who served long enough begins with short pauses",
            steps: start + [
                (.fails(away, at: 10_000), "tell, answer tries, fail resets, pause 100", "opening: \(awayText)"),
                (.next, "open what was there", "opening: \(awayText)"),
                (.serves("b", at: 10_100), "answer tries, answer resets", "serving b"),
                (.fails(away, at: 10_200), "tell, answer tries, fail resets, pause 200", "opening: \(awayText)"),
                (.serves("c", at: 10_400), "answer tries, answer resets", "serving c"),
                (.fails(away, at: 20_400), "tell, answer tries, fail resets, pause 100", "opening: \(awayText)"),
            ]),
        Conversation(testDescription: "what another process has is watched, and taken back when that leaves it", steps: start + [
            (.fails(.fenced("x"), at: 0), "tell, answer tries, fail resets, watch 10000", "lost: \(fencedText)"),
            (.isStillUsed, "watch 20000", "lost: \(fencedText)"), (.isStillUsed, "watch 40000", "lost: \(fencedText)"),
            (.isStillUsed, "watch 60000", "lost: \(fencedText)"), (.next, "open what was there", "lost: \(fencedText)"),
            (.serves("b", at: 0), "answer tries, answer resets", "serving b"),
        ]),
        Conversation(testDescription: "while its clock is behind it is read, which is a try that failed", steps: [
            (.next, "open", "opening: acquisition in progress"), (.opened, "", "opening: acquisition in progress"),
            (.isBehind, "answer tries, fail resets", "behind"), (.serves("a", at: 0), "answer tries, answer resets", "serving a"),
        ]),
        Conversation(testDescription: "a reset lets go, erases and opens a store that need not be there", steps: start + [
                (.reset, "release a, wake", "releasing"), (.next, "erase", "releasing"), (.erased, "", "releasing"),
                (.next, "open", "releasing"),
            (.serves("b", at: 0), "answer tries, answer resets", "serving b"),
        ]),
        Conversation(testDescription: "a reset overtakes an opening: what was opened is closed again", steps: [
            (.next, "open", "opening: acquisition in progress"), (.opened, "", "opening: acquisition in progress"),
            (.reset, "wake", "releasing"), (.isBehind, "unwanted", "releasing"), (.serves("a", at: 0), "unwanted", "releasing"),
                (.next, "erase", "releasing"), (.erased, "", "releasing"),
                (.serves("b", at: 0), "answer tries, answer resets", "serving b"),
        ]),
        Conversation(testDescription: "a reset that fails is told, and goes on being tried", steps: start + [
            (.reset, "release a, wake", "releasing"),
            (.fails(away, at: 0), "tell, answer tries, fail resets, pause 100", "opening: \(awayText)"),
            (.next, "erase", "opening: \(awayText)"),
        ]),
        Conversation(testDescription: "a shard that fails while it is let go of is still erased", steps: start + [
            (.reset, "release a, wake", "releasing"), (.reset, "wake", "releasing"),
            (.fails(.fenced("x"), at: 0), "tell, answer tries, fail resets, watch 10000", "lost: \(fencedText)"),
            (.isStillUsed, "something else", "lost: \(fencedText)"), (.next, "erase", "lost: \(fencedText)"),
        ]),
        Conversation(testDescription: "once closed nothing opens it, whatever was under way", steps: [
            (.next, "open", "opening: acquisition in progress"),
                (.close(.moved(nil)), "answer tries, fail resets, wake", "moved"), (.opened, "", "moved"),
                (.isBehind, "unwanted", "moved"),
                (.serves("a", at: 0), "unwanted", "moved"), (.fails(away, at: 0), "", "moved"),
                (.isStillUsed, "something else", "moved"),
            (.reset, "refused", "moved"), (.close(.shutdown), "", "moved"), (.next, "end", "moved"),
        ]),
        Conversation(testDescription: "it may be closed while it is let go of", steps: start + [
            (.reset, "release a, wake", "releasing"), (.close(.shutdown), "answer tries, fail resets, wake", "closed"),
            (.next, "end", "closed"),
        ]),
    ]

    @Test(arguments: conversations) func goes(_ conversation: Conversation) {
        var life = ShardLife<Int, String>()
        for (number, (event, wanted, state)) in conversation.steps.enumerated() {
            #expect(Self.tell(event, to: &life) == wanted, "step \(number)")
            #expect(life.state.text == state, "step \(number)")
            #expect(life.serves == state.hasPrefix("serving"))
        }
    }

    private static func tell(_ event: Event, to life: inout ShardLife<Int, String>) -> String {
        func text(_ actions: [ShardLife<Int, String>.Action]?) -> String {
            actions.map { $0.map(\.text).joined(separator: ", ") } ?? "unwanted"
        }
        switch event {
        case .next:
            switch life.next() {
            case .erase: return "erase"
            case .open(let mustExist): return mustExist ? "open what was there" : "open"
            case .end: return "end"
            }
        case .opened: life.opened()
        case .erased: life.erased()
        case .isBehind: return text(life.isBehind(1, ClockLag(lastWrite: 2, now: 1)))
        case .serves(let shard, let now): return text(life.serves(shard, 1, at: Timestamp(now)))
        case .fails(let error, let now): return text(life.failed(error, at: Timestamp(now)))
        case .isStillUsed: return life.isStillUsed().map { "watch \($0)" } ?? "something else"
        case .reset:
            do throws(StoreError) { return text(try life.reset()) } catch { return "refused" }
        case .close(let ending): return text(life.close(ending))
        }
        return ""
    }
}

extension ShardLife.State {
    fileprivate var text: String {
        switch self {
        case .opening(let why): "opening: \(why)"
        case .behind: "behind"
        case .serving(let shard, _): "serving \(shard)"
        case .releasing: "releasing"
        case .lost(let why): "lost: \(why)"
        case .closed(.shutdown): "closed"
        case .closed(.moved): "moved"
        }
    }
}

extension ShardLife.Action {
    fileprivate var text: String {
        switch self {
        case .answerTries: "answer tries"
        case .answerResets(let failure): failure == nil ? "answer resets" : "fail resets"
        case .wake: "wake"
        case .release(let shard, let ending): "release \(shard)\(ending == nil ? "" : " for good")"
        case .tell: "tell"
        case .pause(let milliseconds): "pause \(milliseconds)"
        case .watch(let milliseconds): "watch \(milliseconds)"
        }
    }
}

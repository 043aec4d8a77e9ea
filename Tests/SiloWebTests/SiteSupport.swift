import Foundation
import HTTPServer
import Protobuf
import SiloAPI
import SiloAccess
import SiloCore
import SiloTesting
import TestSupport

@testable import SiloWeb

/// A site whose server is a counter: it has a page, an action that asks, and one that can be undone.
final class CountingSite: Sendable {
    let clock = ManualClock()
    let server: HTTPServer
    let site: Site
    private let count: Tally
    /// So many tries of the action fail first.
    let failuresAhead: Tally

    var done: Int { count.value }

    /// - Parameter tokens: who may come, by token; nil: this machine.
    /// - Parameter seed: of its chance, as that of a server that was started anew differs.
    /// - Parameter sendTime: how long a client may take to read what a stream wrote.
    /// - Parameter exports: how many go on at once.
    /// - Parameter query: answers statements; nil: none is known.
    /// - Parameter find: what the question of `/do/find` has to find.
    /// - Parameter calls: answers other calls; nil: it leaves this one to the counter.
    init(
        _ tokens: [String: Caller]? = nil, seed: UInt64 = 1, sendTime: Duration = .seconds(60),
        exports: ExportSlots = ExportSlots(),
        query: (@Sendable (SiloV1.QueryRequest) throws(CallFailure) -> SiloV1.QueryResponse)? = nil,
        calls: (@Sendable (_ method: String, _ request: [UInt8]) throws(CallFailure) -> [UInt8]?)? = nil,
        find: @escaping @Sendable () async throws -> (text: HTML, button: String?) = { ("", nil) }
    ) throws {
        let (count, failuresAhead) = (Tally(), Tally())
        (self.count, self.failuresAhead) = (count, failuresAhead)
        let callers = Dictionary(uniqueKeysWithValues: (tokens ?? [:]).map { (TokenHash(of: $0.key.utf8), $0.value) })
        let backend = WebBackend(
            admission: tokens == nil ? .open : .tokens, isEncrypted: false, sessionMilliseconds: 60_000, clock: clock,
            random: SeededRandom(seed: seed),
            caller: { hash throws(SiloError) in
                guard let caller = callers[hash] else { throw .unauthenticated("invalid auth token") }
                return caller
            },
            may: { caller, method in !method.hasSuffix("CancelJob") || caller.roles.contains(.operate) },
            send: { method, bytes, caller, peer throws(CallFailure) in
                if let query, method.hasSuffix("Query") { return try query(try Self.decoded(bytes)).serializedBytes() }
                if let answer = try calls?(method, bytes) { return answer }
                guard method.hasSuffix("CancelJob") else { throw CallFailure(.notFound, "job not found") }
                if failuresAhead.value > 0 {
                    failuresAhead.add(-1)
                    throw CallFailure(.unavailable, "the shard is being opened")
                }
                count.add()
                return []
            },
            note: { _, _, _ in }, figures: { Figures() }
        )
        var contents = Site.Contents()
        contents.pages.append(Page("/counter", menu: "Counter", needs: SiloV1.Silo.getNodeInfo) { visit in
            let add = Self.add.button("Add", [("id", "a&b")], from: visit)
            return Content("Counter", actions: add, "<p id=\"count\">\(count.value)</p>")
        })
        contents.pages.append(Page("/missing", needs: SiloV1.Silo.getJob) { visit in
            _ = try await visit.call(SiloV1.Silo.getJob, SiloV1.GetJobRequest())
            return Content("Never", "")
        })
        contents.topics.append(Self.topic)
        contents.actions = [Self.add, Self.remove(count), Self.find(find)] + JobActions.all + BulkActions.all
        site = Site(backend, contents, exports: exports)
        var routes = HTTPRoutes()
        site.serve(on: &routes)
        var options = HTTPServerOptions(address: "127.0.0.1:0")
        options.sendTime = sendTime
        server = try HTTPServer.start(options, routes)
    }

    static func decoded<Request: Message>(_ bytes: [UInt8]) throws(CallFailure) -> Request {
        do {
            return try bytes.withUnsafeBytes { bytes throws(DecodingError) in try Request(decoding: bytes) }
        } catch {
            throw CallFailure(.invalid, "\(error)")
        }
    }

    static let topic = LiveTopic("counter", needs: SiloV1.Silo.getNodeInfo) { _ in [] }

    private static let add = Action(
        "/do/add", needs: SiloV1.Silo.cancelJob,
        ask: { _, form in
            let id = try form.required("id")
            return .init(title: "Add one?", text: "It will be one more for \(id).", button: "Add one", isFinal: true)
        },
        perform: { visit, form in
            _ = try await visit.call(SiloV1.Silo.cancelJob, SiloV1.CancelJobRequest())
            let id = try form.required("id")
            return .init(notice: Notice(.done, "One more for \(id).", undo: .init(path: "/do/remove", fields: [("id", id)])))
        })

    private static func find(_ find: @escaping @Sendable () async throws -> (text: HTML, button: String?)) -> Action {
        Action(
            "/do/find", needs: SiloV1.Silo.cancelJob,
            ask: { _, _ in
                .init(title: "Find it?", text: "", button: "Find it", finding: .init(meanwhile: "Looking", find: find))
            },
            perform: { _, _ in .init(notice: Notice(.done, "Found.")) })
    }

    private static func remove(_ count: Tally) -> Action {
        Action(
            "/do/remove", needs: SiloV1.Silo.cancelJob,
            ask: { _, _ in .init(title: "Take one away?", text: "", button: "Take it away") },
            perform: { _, _ in
                count.add(-1)
                return .init(notice: Notice(.done, "Taken back."))
            })
    }
}

/// What curl makes of the site, with a jar for its cookies.
struct Curl {
    struct Answer {
        let status: Int
        let location: String
        let text: String

        /// The value of the hidden field of a name.
        func field(_ name: String) -> String {
            let mark = "name=\"\(name)\" value=\""
            // The last, for the form of the page comes after those of its head.
            guard let start = text.range(of: mark, options: .backwards) else { return "" }
            return String(text[start.upperBound...].prefix { $0 != "\"" })
        }
    }
    let root: String
    private let jar: String
    /// It serves for as long as somebody asks it.
    private let site: CountingSite

    init(_ site: CountingSite) {
        self.site = site
        root = "http://127.0.0.1:\(site.server.port)"
        jar = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
    }

    func get(_ path: String, _ arguments: String...) async throws -> Answer { try await ask(path, arguments) }

    func post(_ path: String, _ fields: [(String, String)], origin: String? = nil) async throws -> Answer {
        let data = fields.flatMap { ["--data-urlencode", "\($0.0)=\($0.1)"] }
        return try await ask(path, ["-H", "Origin: \(origin ?? root)"] + (data.isEmpty ? ["-d", ""] : data))
    }

    /// Prints what comes as it comes.
    func watch(_ path: String) throws -> ChildProcess {
        try ChildProcess("/usr/bin/curl", ["-sSN", "--max-time", "400", "-b", jar, "-c", jar, root + path])
    }

    private func ask(_ path: String, _ arguments: [String]) async throws -> Answer {
        let words = ["-sS", "--max-time", "400", "-b", jar, "-c", jar, "-w", "\n%{redirect_url}\n%{http_code}"] + arguments
        let lines = try await ChildProcess.run("/usr/bin/curl", words + [root + path]).output.components(separatedBy: "\n")
        let location = lines.dropLast().last ?? ""
        return Answer(
            status: Int(lines.last ?? "") ?? 0, location: location.replacingOccurrences(of: root, with: ""),
            text: lines.dropLast(2).joined(separator: "\n"))
    }
}

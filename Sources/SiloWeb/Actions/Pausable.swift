import SiloAPI
import SiloCore

/// What a form wants paused or resumed: task groups, of all tenants or of one; a tenant; or the key of a limit.
struct Pausable {
    private let groups: [String]
    private let limit: String?
    let tenant: String?
    private static let groupsMax = 200

    init(_ form: Form) throws(PageFailure) {
        var seen: Set<ExactText> = []
        groups = form.all("group").filter { !$0.isEmpty && seen.insert(ExactText($0)).inserted }
        limit = form["limit"]
        tenant = form["tenant"]?.asTenant
        guard !groups.isEmpty || limit != nil || form["whole"] != nil else {
            throw PageFailure(
                400, "Nothing is chosen", "Choose at least one task group, and do it again.",
                way: ("Go to the task groups", Link("/groups")))
        }
        guard groups.count <= Self.groupsMax else {
            throw PageFailure(400, "Too many are chosen", "At most \(Self.groupsMax) task groups are paused at once.")
        }
    }

    /// Of the form that asks the same again.
    /// - Parameter reasons: why each of its targets was paused; none: that is left open.
    func fields(reasons: [String] = []) -> [(String, String)] {
        var fields = groups.map { ("group", $0) }
        if let limit { fields.append(("limit", limit)) }
        if let tenant { fields.append(("tenant", tenant)) }
        if isWhole { fields.append(("whole", "yes")) }
        return fields + reasons.map { ("reason", $0) }
    }

    /// Only some of its targets, by their place among all; nil: none of them.
    func only(_ some: Set<Int>) -> Pausable? {
        guard !some.isEmpty else { return nil }
        return groups.isEmpty ? self : Pausable(groups: some.sorted().map { groups[$0] }, of: tenant)
    }

    private init(groups: [String], of tenant: String?) {
        (self.groups, self.tenant) = (groups, tenant)
        limit = nil
    }

    private var isWhole: Bool { groups.isEmpty && limit == nil }

    var targets: [SiloV1.PauseTarget] {
        if let limit { return [SiloV1.PauseTarget(.limitKey(limit))] }
        return groups.isEmpty ? [SiloV1.PauseTarget(.wholeTenant(true))] : groups.map { SiloV1.PauseTarget(.taskGroup($0)) }
    }

    /// Groups of all tenants are paused on every shard, all else where the tenant is.
    func shards(_ visit: Visit) async throws -> [String] {
        let homes = try await Homes(visit)
        return !groups.isEmpty && tenant == nil ? homes.all : [try homes.shard(of: tenant)]
    }

    /// Such as `Task groups a and b of tenant x`.
    var title: HTML {
        let whose: HTML = tenant.map { " of tenant \(Name($0).html)" } ?? .empty
        if let limit { return "Limit \(Name(limit).html)\(whose)" }
        guard !groups.isEmpty else { return tenant.map { "Tenant \(Name($0).html)" } ?? "Everything" }
        let shown = groups.prefix(10).enumerated().map { index, group -> HTML in
            let comma: HTML = .when(index > 0, ", ")
            return "\(comma)\(Name(group).html)"
        }
        let rest: HTML = .when(groups.count > 10, " and \(groups.count - 10) more")
        let plural: HTML = .when(groups.count > 1, "s")
        return "Task group\(plural) \(shown)\(rest)\(whose)"
    }

    var isOne: Bool { groups.count < 2 }

    /// How many of its jobs run and wait, where that is known without asking: of task groups of all tenants.
    func counts(_ now: Figures) -> HTML {
        guard !groups.isEmpty, tenant == nil else { return .empty }
        let chosen = Set(groups.map { ExactText($0) })
        let meant = now.groups.filter { chosen.contains(ExactText($0.name)) && !$0.isRest }
        guard meant.count == groups.count || !now.groups.contains(where: \.isRest) else { return .empty }
        let waiting = Quantity.of(meant.reduce(0) { $0 + $1.backlog }, "job waits", "jobs wait")
        let running = Quantity.of(meant.reduce(0) { $0 + $1.jobs.running }, "runs", "run")
        return " Now \(waiting), and \(running)."
    }
}

extension SiloV1.PauseTarget {
    init(_ target: OneOfTarget) {
        self.init()
        self.target = target
    }
}

/// Pausing, and letting go on.
enum PauseActions {
    static let pause: Action = Action("/do/pause", needs: SiloV1.Silo.pause) { visit, form in
        let asked = try Pausable(form)
        return Action.Confirmation(
            title: "Pause this?",
            text: """
                \(asked.title): nothing of it will start until it is resumed, on every server and after restarts too. What runs \
                goes on, and new jobs are taken and wait.\(asked.counts(visit.site.history.now)) It can be resumed at any time.
                """,
            button: "Pause",
            controls: """
                <label class="stack"><span>Why (shown to whoever asks; may be empty)</span>\
                <input name="reason" maxlength="1024" autocomplete="off"></label>
                """)
    } perform: { visit, form in
        let asked = try Pausable(form)
        let reasons = form.all("reason")
        let report = try await PauseReport(asked, visit) { target, request, known throws(CallFailure) in
            // Whoever paused it said why, and may want it to stay so.
            guard known == nil else { return false }
            var pause = SiloV1.PauseRequest()
            (pause.shard, pause.tenant, pause.target) = (request.shard, request.tenant, target)
            pause.reason = reasons.count == asked.targets.count ? reasons[request.index] : reasons.first ?? ""
            return try await !visit.call(SiloV1.Silo.pause, pause).wasPaused
        }
        var text: HTML = .empty
        if let paused = asked.only(report.changed) {
            text += "\(paused.title) \(paused.isOne ? "is" : "are") paused. What runs goes on. "
        }
        if let before = asked.only(report.others.subtracting(report.changed)) {
            text += "\(before.title) \(before.isOne ? "was" : "were") paused before, and \(before.isOne ? "stays" : "stay") so. "
        }
        let undo = asked.only(report.changed.subtracting(report.others)).map { paused in
            Notice.Undo(path: resume.path, fields: paused.fields(), label: "Resume")
        }
        return Action.Outcome(notice: report.notice(text, undo))
    }

    static let resume: Action = Action("/do/resume", needs: SiloV1.Silo.resume) { visit, form in
        let asked = try Pausable(form)
        return Action.Confirmation(
            title: "Resume this?", text: "\(asked.title): what waits may start again.\(asked.counts(visit.site.history.now))",
            button: "Resume")
    } perform: { visit, form in
        let asked = try Pausable(form)
        let report = try await PauseReport(asked, visit) { target, request, _ throws(CallFailure) in
            var resume = SiloV1.ResumeRequest()
            (resume.shard, resume.tenant, resume.target) = (request.shard, request.tenant, target)
            return try await visit.call(SiloV1.Silo.resume, resume).wasPaused
        }
        var text: HTML = .empty
        if let resumed = asked.only(report.changed) { text += "\(resumed.title) \(resumed.isOne ? "goes" : "go") on. " }
        if let others = asked.only(report.others.subtracting(report.changed)) {
            text += "\(others.title): nothing of it was paused, so nothing has changed. "
        }
        let undo = asked.only(report.changed).map { resumed in
            let reasons = report.changed.sorted().map { report.reasons[$0] ?? "" }
            return Notice.Undo(path: pause.path, fields: resumed.fields(reasons: reasons), label: "Pause again")
        }
        return Action.Outcome(notice: report.notice(text, undo))
    }

    static let all = [pause, resume]
}

/// What became of targets on the shards where they are.
private struct PauseReport {
    struct Request {
        let shard: String
        let tenant: String?
        /// Of the target, among all that are asked for.
        let index: Int
    }
    /// Targets that changed on some shard, by their place among all.
    private(set) var changed: Set<Int> = []
    /// Those that had been on some shard what they were to become.
    private(set) var others: Set<Int> = []
    /// Why each was paused before.
    private(set) var reasons: [Int: String] = [:]
    private var failures: [(shard: String, why: CallFailure)] = []

    /// - Parameter change: says whether it changed something, of a target and its pause as it was before.
    /// - Throws: where nothing was done at all.
    init(
        _ asked: Pausable, _ visit: Visit,
        _ change: (SiloV1.PauseTarget, Request, SiloV1.PauseInfo?) async throws(CallFailure) -> Bool
    ) async throws {
        for shard in try await asked.shards(visit) {
            do throws(CallFailure) {
                let pauses = try await Pauses(visit, shard: shard)
                for (index, target) in asked.targets.enumerated() {
                    let known = pauses.of(target, tenant: asked.tenant)
                    let request = Request(shard: shard, tenant: asked.tenant, index: index)
                    if try await change(target, request, known) { changed.insert(index) } else { others.insert(index) }
                    if let known, reasons[index] == nil { reasons[index] = known.reason }
                }
            } catch {
                failures.append((shard, error))
            }
        }
        if changed.isEmpty, others.isEmpty, let (_, why) = failures.first { throw why }
    }

    func notice(_ text: HTML, _ undo: Notice.Undo?) -> Notice {
        let rest = failures.map { shard, why -> HTML in
            let why = Name.visible(String(why.text.prefix(300)))
            return "Not all was done on shard \(Name(shard).html): \(why). Do it again when it serves. "
        }
        return Notice(failures.isEmpty ? .done : .trouble, text + HTML(joining: rest), undo: undo)
    }
}

import SiloAPI

/// What a form wants paused or resumed: task groups, of all tenants or of one; a tenant; or the key of a limit.
struct Pausable {
    private let groups: [String]
    private let limit: String?
    let tenant: String?
    private static let groupsMax = 200

    init(_ form: Form) throws(PageFailure) {
        var seen: Set<String> = []
        groups = form.all("group").filter { !$0.isEmpty && seen.insert($0).inserted }
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
    var fields: [(String, String)] {
        var fields = groups.map { ("group", $0) }
        if let limit { fields.append(("limit", limit)) }
        if let tenant { fields.append(("tenant", tenant)) }
        if isWhole { fields.append(("whole", "yes")) }
        return fields
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
        let meant = now.groups.filter { groups.contains($0.name) }
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
        for shard in try await asked.shards(visit) {
            for target in asked.targets {
                var request = SiloV1.PauseRequest()
                request.shard = shard
                request.tenant = asked.tenant
                request.target = target
                request.reason = form["reason"] ?? ""
                _ = try await visit.call(SiloV1.Silo.pause, request)
            }
        }
        let verb = asked.isOne ? "is" : "are"
        return Action.Outcome(
            notice: Notice(
                .done, "\(asked.title) \(verb) paused. What runs goes on.",
                undo: .init(path: resume.path, fields: asked.fields, label: "Resume")))
    }

    static let resume: Action = Action("/do/resume", needs: SiloV1.Silo.resume) { visit, form in
        let asked = try Pausable(form)
        return Action.Confirmation(
            title: "Resume this?", text: "\(asked.title): what waits may start again.\(asked.counts(visit.site.history.now))",
            button: "Resume")
    } perform: { visit, form in
        let asked = try Pausable(form)
        var count = 0
        for shard in try await asked.shards(visit) {
            for target in asked.targets {
                var request = SiloV1.ResumeRequest()
                request.shard = shard
                request.tenant = asked.tenant
                request.target = target
                if try await visit.call(SiloV1.Silo.resume, request).wasPaused { count += 1 }
            }
        }
        let verb = asked.isOne ? "goes" : "go"
        guard count > 0 else {
            return Action.Outcome(notice: Notice(.done, "\(asked.title): nothing of it was paused, so nothing has changed."))
        }
        return Action.Outcome(
            notice: Notice(
                .done, "\(asked.title) \(verb) on.", undo: .init(path: pause.path, fields: asked.fields, label: "Pause again")))
    }

    static let all = [pause, resume]
}

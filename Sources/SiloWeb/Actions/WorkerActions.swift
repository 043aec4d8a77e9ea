import SiloAPI

/// Giving a worker nothing new, before it is stopped for good.
enum WorkerActions {
    static let quiet: Action = Action("/do/quiet", needs: SiloV1.Silo.quietWorker) { visit, form in
        let id = try form.required("worker")
        return Action.Confirmation(
            title: "Quiet this worker?",
            text: """
                Worker \(Name(id).html) gets nothing new from this server, until it is given work again or the server stops. \
                What it holds goes on. When it holds nothing any more it can be stopped without a job being done twice.
                """,
            button: "Quiet it")
    } perform: { visit, form in
        try await set(visit, form, isQuiet: true)
    }

    static let resume: Action = Action("/do/unquiet", needs: SiloV1.Silo.quietWorker) { visit, form in
        let id = try form.required("worker")
        return Action.Confirmation(
            title: "Give this worker work again?", text: "Worker \(Name(id).html) is given jobs from the next time it asks.",
            button: "Give it work")
    } perform: { visit, form in
        try await set(visit, form, isQuiet: false)
    }

    static let all = [quiet, resume]

    private static func set(_ visit: Visit, _ form: Form, isQuiet: Bool) async throws -> Action.Outcome {
        var request = SiloV1.QuietWorkerRequest()
        request.workerId = try form.required("worker")
        request.resume = !isQuiet
        let leases = try await visit.call(SiloV1.Silo.quietWorker, request).leases
        let name = Name(request.workerId).html
        let text: HTML =
            isQuiet
            ? "Worker \(name) gets nothing new. It still holds \(Quantity.of(leases, "job"))."
            : "Worker \(name) is given work again."
        let undo = Notice.Undo(path: (isQuiet ? resume : quiet).path, fields: [("worker", request.workerId)])
        return Action.Outcome(notice: Notice(.done, text, undo: undo))
    }
}

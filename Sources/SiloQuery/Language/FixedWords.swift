import SiloCore

/// The only texts that a column has: who compares it with another one hardly means what it says.
struct FixedWords: Equatable, Sendable {
    /// Whose they are and what they are of them, for people.
    private let owner: String
    private let property: String
    /// As they are stored and shown.
    private let all: [String]

    private init(_ property: String, of owner: String, _ all: [String]) {
        self.owner = owner
        self.property = property
        self.all = all
    }

    /// What a statement may write, as it is shown; nil: it is none of the words. Those of statuses have further spellings.
    func shown(_ text: String) -> String? {
        if let word = all.first(where: text.hasSameBytes) { return word }
        guard let status = ShownStatus(text) else { return nil }
        return all.first { $0 == "\(status.name)" }
    }

    /// For who wrote this.
    func mistake(_ text: String) -> String {
        let start = String(decoding: text.utf8.prefix(40), as: UTF8.self)
        return "no \(owner) has the \(property) '\(start)'; there are \(all.joined(separator: ", "))"
    }

    /// What rows have of which some are of one column and some of the other; nil: each has words that the other has not.
    static func common(_ one: FixedWords?, _ other: FixedWords?) -> FixedWords? {
        guard let one, let other else { return nil }
        if other.all.allSatisfy(one.all.contains) { return one }
        return one.all.allSatisfy(other.all.contains) ? other : nil
    }

    // MARK: Of each table

    static let jobStatus = FixedWords("status", of: "job", ShownStatus.allCases.map { "\($0.name)" })
    /// A job that waits is counted as one that is scheduled.
    static let storedStatus = FixedWords(
        "status_kind", of: "row of tenant_counts", [.scheduled, .running, .succeeded, .failed, .cancelled].map(name))
    static let outcome = FixedWords("outcome", of: "attempt", [.running, .succeeded, .failed, .cancelled].map(name))
    static let taskVariant = FixedWords("variant_type", of: "task", ["RunAttempt", "CheckRateLimit", "RefreshFloatingLimit"])
    static let queueEntry = FixedWords("entry_type", of: "row of queues", ["holder", "requester"])
    static let queueLimit = FixedWords("limit_type", of: "row of queue_counts", ["fixed", "floating"])
    static let limitKind = FixedWords("limit_type", of: "limit", ["concurrency", "floating", "rate"])

    private static func name(_ status: ShownStatus) -> String { "\(status.name)" }
}

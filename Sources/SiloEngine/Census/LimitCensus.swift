package import SiloCore
import SiloStore

/// The limits that memory knows, those with most of something first: all that somebody waits for, and those that were asked
/// lately. Reads nothing. One that is there all the while is told once, as it was when it was looked at; one that comes or goes
/// meanwhile may be told or not.
package struct LimitCensus: Walk {
    package enum Order: Sendable {
        case held, waiting, refusals
    }
    package enum Kind: Sendable {
        case concurrency, floating, rate
    }
    package struct Entry: Sendable {
        package let tenant: Tenant
        package let key: String
        package let kind: Kind
        /// Nil: no job has said it since memory knows the limit.
        package internal(set) var maximum: UInt64?
        /// Slots, or hits that are used and promised.
        package internal(set) var held: UInt64 = 0
        package internal(set) var waiting: UInt64 = 0
        package internal(set) var refusals: UInt64 = 0
        package internal(set) var isPaused = false
        /// Of a rate limit without room.
        package internal(set) var nextRoom: Timestamp?
        package internal(set) var windowMilliseconds: Int64 = 0
        package internal(set) var isLeaky = false
        /// Of a floating limit: what its maximum was, oldest first, and when it may be asked for anew.
        package internal(set) var history: [MaximumHistory.Entry] = []
        package internal(set) var nextRefresh: Timestamp?
        /// Who waits, of a limit that was asked for by its key; of others the line of whoever is first, if that was asked for.
        package internal(set) var lines: LinesAtLimit?

        package func value(_ order: Order) -> Int64 {
            switch order {
            case .held: Int64(clamping: held)
            case .waiting: Int64(clamping: waiting)
            case .refusals: Int64(clamping: refusals)
            }
        }
        /// Its place among others of the same value.
        package var name: ExactText { ExactText(tenant.name + "\0" + key) }
    }
    /// The same, without a new text for each of very many.
    private struct Name: Comparable {
        let tenant: ExactText
        let key: ExactText

        init(tenant: String, key: String) {
            self.tenant = ExactText(tenant)
            self.key = ExactText(key)
        }

        init(place: String) {
            let parts = place.parts(at: "\0", atMost: 2)
            self.init(tenant: parts[0], key: parts.count > 1 ? parts[1] : "")
        }

        static func < (left: Name, right: Name) -> Bool {
            left.tenant != right.tenant ? left.tenant < right.tenant : left.key < right.key
        }
    }
    let order: Order
    let keyContains: TextSearch
    let key: String?
    let findsFirst: Bool
    let tenants: Set<Tenant>?
    /// Of one tenant only its own are looked at.
    private let only: Tenant?
    private var best: Best<Entry, Name>
    private var place: LimitPlace?

    /// - Parameters:
    ///   - key: this one alone, with its history.
    ///   - findsFirst: tells where whoever is first waits.
    ///   - tenants: whose; nil: everybody's.
    package init(
        _ order: Order, keyContains: String = "", key: String? = nil, findsFirst: Bool = false, after: CensusPlace? = nil,
        countMax: Int, tenants: Set<Tenant>? = nil
    ) {
        self.order = order
        self.keyContains = TextSearch(keyContains)
        only = tenants.flatMap { $0.count == 1 ? $0.first : nil }
        self.key = key
        self.findsFirst = findsFirst
        best = Best(countMax, after: after.map { ($0.value, Name(place: $0.name)) })
        self.tenants = tenants
    }

    package mutating func step(_ view: View, countMax: Int) -> CensusPage<Entry>? {
        var place = place
        let isLast = view.forEachLimit(of: only, after: &place, atMost: countMax) { see($0, at: view.moment) }
        self.place = place
        return isLast ? CensusPage(best) : nil
    }

    private mutating func see(_ limit: Limit, at now: Moment) {
        guard tenants?.contains(limit.id.tenant) ?? true, isMeant(limit.id) else { return }
        let held = limit.inUse(at: now)
        // Memory holds limits for a while that nothing is to be said of.
        guard held > 0 || limit.isNotable else { return }
        let value =
            switch order {
            case .held: held
            case .waiting: limit.lines.waiting
            case .refusals: limit.refusals
            }
        best.see(
            Int64(clamping: value), Name(tenant: limit.id.tenant.name, key: limit.id.text),
            Entry(limit, at: now, isNamed: key != nil, findsFirst: findsFirst))
    }

    private func isMeant(_ id: Limit.ID) -> Bool {
        if let key { return id.text.hasSameBytes(as: key) }
        return keyContains.isEmpty || keyContains.isIn(id.text)
    }
}

extension LimitCensus.Entry {
    fileprivate init(_ limit: Limit, at now: Moment, isNamed: Bool, findsFirst: Bool) {
        tenant = limit.id.tenant
        key = limit.id.text
        switch limit {
        case let slots as SlotLimit:
            kind = slots.floating == nil ? .concurrency : .floating
            maximum = slots.floating.map { UInt64($0.currentMax) } ?? slots.maxSeen.map { UInt64($0) }
            held = slots.held
            isPaused = slots.isPaused
            if isNamed, let floating = slots.floating {
                history = slots.maxima.entries
                if history.isEmpty {
                    history = [.init(at: Timestamp(floating.lastRefreshedAtMs), maximum: floating.currentMax)]
                }
                nextRefresh = now.date(of: floating.refreshFrom)
            }
        case let rate as BucketLimit:
            kind = .rate
            if let seen = rate.rateSeen { describe(rate.bucket, seen, at: now) } else { held = rate.bucket.hits }
        default:
            kind = .concurrency
        }
        waiting = limit.lines.waiting
        refusals = limit.refusals
        if isNamed { lines = LinesAtLimit(limit) } else if findsFirst { lines = LinesAtLimit(firstOf: limit) }
    }

    private mutating func describe(_ bucket: Bucket, _ rate: StorageV1.RateLimit, at now: Moment) {
        var bucket = bucket
        bucket.pass(to: now, rate)
        held = bucket.hits
        maximum = UInt64(max(0, rate.room))
        windowMilliseconds = rate.windowLength(at: now.wall)
        isLeaky = rate.algorithm == Bucket.leakyBucket
        if !bucket.hasRoom(rate) { nextRoom = bucket.dueAt(rate, now: now)?.date(at: now) }
    }
}

/// What the maximum of a floating limit was lately.
package struct MaximumHistory: Sendable {
    package struct Entry: Sendable {
        package let at: Timestamp
        package let maximum: UInt32
    }
    private static let countMax = 48
    package private(set) var entries: [Entry] = []

    /// The maximum is another from now on.
    mutating func note(_ maximum: UInt32, at time: Timestamp) {
        guard entries.last?.maximum != maximum else { return }
        if entries.count == Self.countMax { entries.removeFirst() }
        entries.append(Entry(at: time, maximum: maximum))
    }
}

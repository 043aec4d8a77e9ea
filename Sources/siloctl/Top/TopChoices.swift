/// What whoever sits at the terminal has chosen.
struct TopChoices: Sendable {
    struct Sorting: Sendable {
        var column = 1
        var isReversed = false
    }
    var view = TopView.groups
    var filters: [TopView: String] = [:]
    private var sortings: [TopView: Sorting] = [.shards: Sorting(column: 0), .workers: Sorting(column: 2)]
    /// The first row that is shown.
    private(set) var offset = 0
    private(set) var isPaused = false
    private(set) var showsHelp = false
    /// A filter that is being typed.
    private(set) var typed: String?

    static let filterMax = 64

    var filter: String { typed ?? filters[view] ?? "" }
    var sorting: Sorting { sortings[view] ?? Sorting() }

    /// - Parameters:
    ///   - columns: of the table that is shown.
    ///   - page: rows that there is room for.
    /// - Returns: false: to end.
    mutating func press(_ key: Key, columns: Int, page: Int) -> Bool {
        if typed != nil {
            type(key)
            return true
        }
        if showsHelp, key != .character("q") {
            showsHelp = false
            return true
        }
        switch key {
        case .character("q"): return false
        case .character("?"), .character("h"): showsHelp = true
        case .character(" "): isPaused.toggle()
        case .character("/"): typed = filters[view] ?? ""
        case .character("r"): change { $0.isReversed.toggle() }
        case .character(">"), .right: change { $0.column = ($0.column + 1) % max(1, columns) }
        case .character("<"), .left: change { $0.column = ($0.column + max(1, columns) - 1) % max(1, columns) }
        case .character(let letter): if let view = TopView.allCases.first(where: { $0.key == letter }) { show(view) }
        case .tab: show(view.next)
        case .backTab: show(view.previous)
        case .escape: filters[view] = nil
        case .up: offset -= 1
        case .down: offset += 1
        case .pageUp: offset -= page
        case .pageDown: offset += page
        case .home: offset = 0
        case .end: offset = .max / 2
        case .enter, .backspace: break
        }
        return true
    }

    /// Keeps what is shown within the rows that there are.
    mutating func keepOffset(rows: Int, page: Int) { offset = max(0, min(offset, rows - page)) }

    private mutating func show(_ other: TopView) { (view, offset) = (other, 0) }

    private mutating func change(_ change: (inout Sorting) -> Void) {
        var sorting = sorting
        change(&sorting)
        sortings[view] = sorting
        offset = 0
    }

    private mutating func type(_ key: Key) {
        switch key {
        case .enter: (filters[view], typed) = (typed, nil)
        case .escape: (filters[view], typed) = (nil, nil)
        case .backspace: _ = typed?.popLast()
        case .character(let letter): if (typed?.count ?? 0) < Self.filterMax { typed?.append(letter) }
        default: break
        }
        offset = 0
    }
}

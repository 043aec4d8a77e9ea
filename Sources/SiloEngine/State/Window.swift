import SiloCore
import SiloStore

/// A pending attempt that a window holds: a ready row or a timer row of the store.
final class PendingTask {
    let position: Position
    let record: StorageV1.Task
    /// What it takes in memory, about.
    let bytes: Int

    /// The object, its record and that of its job, without their content.
    private static let fixedBytes = 640

    init(_ position: Position, _ record: StorageV1.Task) {
        self.position = position
        self.record = record
        bytes = Self.fixedBytes + (record.job?.answerBytes ?? record.limits.textBytes)
    }
}

/// Holds windows, which it may be asked to let go.
protocol WindowOwner: AnyObject {
    /// Rows that its windows hold.
    var heldRows: Int { get }
    var heldBytes: Int { get }
    /// Its place among those whose windows may be let go; 0 when it has none.
    var heldSince: Int { get set }
    /// The batch that is being made adds or takes away rows that the windows may not hold.
    var hasUnwrittenRows: Bool { get set }
    func letRowsGo()
}

/// The head of an ordered family of rows, held in memory.
///
/// It holds every stored row before its frontier and none from there on, so that taking the first never misses one.
/// A frontier of nil means that it holds all there are.
struct Window {
    /// Ascending. Those before `head` have been taken.
    private var tasks: [PendingTask] = []
    private var head = 0
    private(set) var frontier: Position?
    /// What its rows take in memory.
    private(set) var bytes = 0

    /// - Parameter frontier: what the store holds is not known from here on.
    init(frontier: Position?) {
        self.frontier = frontier
    }

    var count: Int { tasks.count - head }
    var isEmpty: Bool { head == tasks.count }
    var first: PendingTask? { isEmpty ? nil : tasks[head] }

    func prefix(_ count: Int) -> ArraySlice<PendingTask> { tasks[head...].prefix(count) }

    /// No stored row has a lower order; `UInt64.max` when there is none at all.
    var lowerBound: UInt64 { first?.position.order ?? frontier?.order ?? .max }

    /// Takes note of a row that was stored. Past `capacity` the last is let go, and is read again when its turn comes.
    mutating func insert(_ task: PendingTask, capacity: Int) {
        if let frontier, task.position >= frontier { return }
        if count >= capacity, last.map({ $0.position < task.position }) ?? true {
            frontier = task.position
            return
        }
        tasks.insert(task, at: index(of: task.position))
        bytes += task.bytes
        if count > capacity, let last = tasks.popLast() {
            frontier = last.position
            bytes -= last.bytes
        }
    }

    /// Takes note that a row was deleted.
    mutating func remove(_ position: Position) {
        let index = index(of: position)
        guard index < tasks.count, !(position < tasks[index].position) else { return }
        if index == head { _ = popFirst() } else { bytes -= tasks.remove(at: index).bytes }
    }

    mutating func popFirst() -> PendingTask? {
        guard let first else { return nil }
        bytes -= first.bytes
        head += 1
        if head == tasks.count {
            tasks.removeAll(keepingCapacity: head < 1024)
            head = 0
        } else if head > 256, head * 2 > tasks.count {
            tasks.removeFirst(head)
            head = 0
        }
        return first
    }

    /// Adds rows just read from the frontier on, in order.
    /// - Parameter next: where reading goes on; nil when the store holds no more.
    mutating func load(_ page: [PendingTask], next: Position?) {
        tasks.append(contentsOf: page)
        bytes += page.reduce(0) { $0 + $1.bytes }
        frontier = next
    }

    /// Lets everything go. It is read again when its turn comes.
    mutating func clear() {
        guard let first else { return }
        frontier = first.position
        tasks = []
        head = 0
        bytes = 0
    }

    private var last: PendingTask? { isEmpty ? nil : tasks[tasks.count - 1] }

    /// The index of the first task that is not before `position`.
    private func index(of position: Position) -> Int {
        if let last, last.position < position { return tasks.count }
        return tasks[head...].partition { $0.position < position }
    }
}

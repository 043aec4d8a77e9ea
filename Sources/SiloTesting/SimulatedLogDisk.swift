package import SiloCore
package import SiloStore
import Synchronization

/// A log's folder that outlives the processes which use it, on a disk that keeps what was synced and, of the rest, what chance
/// leaves: sectors in any order and subset, each whole or torn.
package final class SimulatedLogDisk: Sendable {
    package static let sectorBytes = 512

    fileprivate struct File {
        /// As a process reads it.
        var content = Bytes()
        /// As the disk has it.
        var onDisk = Bytes()
        /// Sectors that differ, or may.
        var dirty: Set<Int> = []
        var isNameOnDisk = false
        /// But for its first block: the last one, and the last one that was synced, which after a power loss may be the last.
        var lastWrite = 0..<0
        var lastSynced = 0..<0
    }
    fileprivate struct State {
        var files: [String: File] = [:]
        /// Removed, but perhaps still on the disk.
        var removed: [String: File] = [:]
        var steps = 0
        var mount: Mount?
        var bytesMax = Int.max
        var failsNextSync = false
        var crashAtStep = Int.max
    }
    fileprivate let state = Mutex(State())
    private let random: SeededRandom

    package init(_ random: SeededRandom) {
        self.random = random
    }

    // MARK: What a test does to it

    /// What all files may take up.
    package var bytesMax: Int {
        get { state.withLock { $0.bytesMax } }
        set { state.withLock { $0.bytesMax = newValue } }
    }

    package var bytes: Int { state.withLock { $0.files.values.reduce(0) { $0 + $1.content.count } } }
    package var names: [String] { state.withLock { $0.files.keys.sorted() } }

    /// The next sync fails, once. The system then takes for written what it could not write.
    package func failNextSync() { state.withLock { $0.failsNextSync = true } }

    /// The process dies when it comes to so many further calls.
    package func crash(afterSteps count: Int) { state.withLock { $0.crashAtStep = $0.steps + count } }

    package var steps: Int { state.withLock { $0.steps } }

    /// The folder as a new process has it.
    /// - Parameter onCrash: the process dies in the middle of a call; whatever else it has must die with it.
    package func mount(onCrash: @escaping @Sendable () -> Void = {}) throws(LogDiskError) -> any LogDisk & Sendable {
        let mount = Mount(self, onCrash)
        let isTaken = state.withLock { state in
            if state.mount?.isAlive == true { return true }
            state.mount = mount
            return false
        }
        if isTaken { throw .locked("another store has the log") }
        return mount
    }

    /// The process dies, and with it, unless only the process dies, what was not synced and chance does not leave.
    package func crash(losesPower: Bool) {
        state.withLock { state in
            state.mount?.die()
            state.mount = nil
            state.crashAtStep = .max
            state.failsNextSync = false
            if losesPower { losePower(&state) }
        }
    }

    private func losePower(_ state: inout State) {
        for name in state.files.keys.sorted() {
            guard var file = state.files[name] else { continue }
            guard file.isNameOnDisk || random.chance(50) else {
                state.files[name] = nil
                continue
            }
            settle(&file)
            file.isNameOnDisk = true
            state.files[name] = file
        }
        for name in state.removed.keys.sorted() where random.chance(50) && state.files[name] == nil {
            guard var file = state.removed[name] else { continue }
            settle(&file)
            state.files[name] = file
        }
        state.removed = [:]
    }

    /// Of each sector that was not synced, chance leaves the new one, the old one, or some of both.
    private func settle(_ file: inout File) {
        for sector in file.dirty.sorted() {
            let range = Self.range(of: sector, in: file.content)
            guard !range.isEmpty else { continue }
            let fate = random.below(5)
            if file.onDisk.count < range.upperBound {
                file.onDisk += Bytes(repeating: 0, count: range.upperBound - file.onDisk.count)
            }
            let kept = fate < 2 ? range.count : fate < 4 ? 0 : random.below(range.count)
            let end = range.lowerBound + kept
            file.onDisk.replaceSubrange(range.lowerBound..<end, with: file.content[range.lowerBound..<end])
        }
        file.dirty = []
        file.content = file.onDisk
    }

    fileprivate static func range(of sector: Int, in content: Bytes) -> Range<Int> {
        let start = min(sector * sectorBytes, content.count)
        return start..<min(start + sectorBytes, content.count)
    }

    /// A bit of what is on the disk turns, but not in what was last written to a file.
    /// - Returns: whether there was one.
    package func rot() -> Bool {
        state.withLock { state in
            let names = state.files.keys.sorted().filter { state.files[$0]?.content.isEmpty == false }
            guard !names.isEmpty else { return false }
            let name = names[random.below(names.count)]
            let place = random.below(state.files[name]?.content.count ?? 0)
            // Damage there looks like a tail that was never written.
            guard let file = state.files[name], !file.lastWrite.contains(place), !file.lastSynced.contains(place) else {
                return false
            }
            let bit = UInt8(1) << UInt8(random.below(8))
            state.files[name]?.content[place] ^= bit
            if place < state.files[name]?.onDisk.count ?? 0 { state.files[name]?.onDisk[place] ^= bit }
            return true
        }
    }

    /// Somebody removes every file.
    package func lose() { state.withLock { ($0.files, $0.removed) = ([:], [:]) } }

    // MARK: As a process sees it

    fileprivate final class Mount: LogDisk {
        private let disk: SimulatedLogDisk
        private let onCrash: @Sendable () -> Void
        private let alive = Mutex(true)

        init(_ disk: SimulatedLogDisk, _ onCrash: @escaping @Sendable () -> Void) {
            self.disk = disk
            self.onCrash = onCrash
        }

        var isAlive: Bool { alive.withLock { $0 } }
        func die() { alive.withLock { $0 = false } }

        /// One call, or the crash that comes before it.
        func step<Value: Sendable>(_ body: (inout sending State) -> Result<Value, LogDiskError>) throws(LogDiskError) -> Value {
            guard isAlive else { throw .failed("the process is dead") }
            let (result, crashes): (Result<Value, LogDiskError>, Bool) = disk.state.withLock { state in
                state.steps += 1
                guard state.steps < state.crashAtStep else { return (.failure(.failed("the process dies")), true) }
                return (body(&state), false)
            }
            if crashes {
                die()
                onCrash()
            }
            return try result.get()
        }

        func names() throws(LogDiskError) -> [String] { try step { .success($0.files.keys.sorted()) } }

        func open(_ name: String, creating: Bool) throws(LogDiskError) -> any LogFile {
            try step { (state: inout sending State) -> Result<Void, LogDiskError> in
                guard (state.files[name] == nil) == creating else {
                    return .failure(.failed("\(name) \(creating ? "is there already" : "is not there")"))
                }
                if creating { state.files[name] = File() }
                return .success(())
            }
            return Handle(name, on: self)
        }

        func remove(_ name: String) throws(LogDiskError) {
            try step { (state: inout sending State) -> Result<Void, LogDiskError> in
                if let file = state.files.removeValue(forKey: name), file.isNameOnDisk { state.removed[name] = file }
                return .success(())
            }
        }

        func sync() throws(LogDiskError) {
            try step { (state: inout sending State) -> Result<Void, LogDiskError> in
                state.removed = [:]
                for name in state.files.keys { state.files[name]?.isNameOnDisk = true }
                return .success(())
            }
        }

        func close() { die() }
    }

    private final class Handle: LogFile {
        private let name: String
        private let mount: Mount

        init(_ name: String, on mount: Mount) {
            self.name = name
            self.mount = mount
        }

        func size() throws(LogDiskError) -> Int {
            try mount.step { [name] in .success($0.files[name]?.content.count ?? 0) }
        }

        func read(at offset: Int, _ count: Int) throws(LogDiskError) -> Bytes {
            try mount.step { [name] in .success(Bytes($0.files[name]?.content.dropFirst(offset).prefix(count) ?? [])) }
        }

        func write(_ bytes: Bytes, at offset: Int) throws(LogDiskError) {
            try mount.step { [name] (state: inout sending State) -> Result<Void, LogDiskError> in
                guard var file = state.files.removeValue(forKey: name) else { return .failure(.failed("\(name) is gone")) }
                defer { state.files[name] = file }
                let end = offset + bytes.count
                let growth = max(0, end - file.content.count)
                let used = state.files.values.reduce(file.content.count) { $0 + $1.content.count }
                guard growth == 0 || used + growth <= state.bytesMax else { return .failure(.noSpace("the disk is full")) }
                file.content += Bytes(repeating: 0, count: growth)
                file.content.replaceSubrange(offset..<end, with: bytes)
                file.dirty.formUnion(offset / sectorBytes...max(offset, end - 1) / sectorBytes)
                if offset > 0 { file.lastWrite = offset..<end }
                return .success(())
            }
        }

        func sync() throws(LogDiskError) {
            try mount.step { [name] (state: inout sending State) -> Result<Void, LogDiskError> in
                guard var file = state.files.removeValue(forKey: name) else { return .failure(.failed("\(name) is gone")) }
                defer { state.files[name] = file }
                guard !state.failsNextSync else {
                    // The system says so once, and takes its pages for clean from then on.
                    state.failsNextSync = false
                    file.dirty = []
                    return .failure(.failed("the disk does not take it"))
                }
                if file.onDisk.count < file.content.count {
                    file.onDisk += Bytes(repeating: 0, count: file.content.count - file.onDisk.count)
                }
                for sector in file.dirty {
                    let range = SimulatedLogDisk.range(of: sector, in: file.content)
                    file.onDisk.replaceSubrange(range, with: file.content[range])
                }
                file.dirty = []
                file.lastSynced = file.lastWrite
                return .success(())
            }
        }

        func close() {}
    }
}

/// Runs what blocks as tasks of a simulation, one after another.
package final class SimulatedLogWorker: LogWorker {
    private struct State {
        var bodies: [@Sendable () -> Void] = []
        var isRunning = false
    }
    private let state = Mutex(State())
    private let clock: SimulatedClock
    private let random: SeededRandom
    private let environment: Environment
    private let latency: ClosedRange<Int64>

    /// - Parameter latency: of each piece of work, in microseconds.
    package init(
        in environment: Environment, _ clock: SimulatedClock, _ random: SeededRandom, latency: ClosedRange<Int64> = 50...400
    ) {
        self.environment = environment
        self.clock = clock
        self.random = random
        self.latency = latency
    }

    @discardableResult
    package func run(_ body: @escaping @Sendable () -> Void) -> Bool {
        let begins = state.withLock { state in
            state.bodies.append(body)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        // Ends when there is nothing to do.
        if begins { environment.start { await self.work() } }
        return true
    }

    private func work() async {
        while let body = next() {
            await clock.pause(microseconds: random.number(in: latency))
            body()
        }
    }

    private func next() -> (@Sendable () -> Void)? {
        state.withLock { state in
            guard !state.bodies.isEmpty else {
                state.isRunning = false
                return nil
            }
            return state.bodies.removeFirst()
        }
    }

    package func end() {}
}

import CPerfTools
import Foundation
import Profiling
import SiloCore
import SiloService

/// Takes the profiles that operators ask for, of this process, with gperftools. Only one at a time.
struct ProcessProfiler: Profiler {
    let clock: any Clock

    func profileProcessor(milliseconds: Int64, frequency: Int) async throws -> (profile: [UInt8], stacks: Int) {
        let file = Self.temporaryFile("cpu")
        defer { try? FileManager.default.removeItem(at: file) }
        silo_perftools_hush()
        guard ProfilerStart(file.path) != 0 else {
            throw ProfileError("the profiler does not start; it writes to \(file.path)")
        }
        Self.setTimer(frequency)
        let begun = clock.now
        do {
            try await clock.sleep(milliseconds: milliseconds)
        } catch {
            silo_profiler_stop()
            throw error
        }
        return try await Self.onThread {
            silo_profiler_stop()
            let profile = try CPUProfile(
                of: try Data(contentsOf: file), frequency: frequency, from: begun.date, milliseconds: milliseconds
            )
            return (profile.bytes, profile.stacks)
        }
    }

    func profileHeap(milliseconds: Int64) async throws -> [UInt8] {
        silo_perftools_hush()
        HeapProfilerStart(Self.temporaryFile("heap").path)
        do {
            try await clock.sleep(milliseconds: milliseconds)
        } catch {
            HeapProfilerStop()
            throw error
        }
        return try await Self.onThread {
            defer { HeapProfilerStop() }
            guard let text = GetHeapProfile() else { throw ProfileError("there is no memory for the profile") }
            defer { free(text) }
            return Array(HeapText.converted(String(cString: text)).utf8)
        }
    }

    /// The library reads its own setting once in a process, and takes whatever signals come.
    private static func setTimer(_ frequency: Int) {
        let microseconds = 1_000_000 / max(1, frequency)
        let period = timeval(tv_sec: microseconds / 1_000_000, tv_usec: microseconds % 1_000_000)
        var timer = itimerval(it_interval: period, it_value: period)
        setitimer(__itimer_which_t(ITIMER_PROF.rawValue), &timer, nil)
    }

    private static func temporaryFile(_ kind: String) -> URL {
        FileManager.default.temporaryDirectory.appendingPathComponent("silo-\(kind)-\(Foundation.UUID().uuidString)")
    }

    /// Reading the symbols of a program takes a while, which no task of the server's should wait for.
    private static func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}

extension Timestamp {
    fileprivate var date: Date { Date(timeIntervalSince1970: Double(milliseconds) / 1000) }
}

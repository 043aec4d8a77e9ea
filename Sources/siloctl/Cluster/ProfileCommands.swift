import CommandLineTool
import Foundation
import SiloAPI
import SiloCore

/// `profile`, `heap-profile` and `dump`: what the server that is spoken to does inside.
struct ProfileCommands {
    let arguments: Arguments
    let output: Output

    func processor() async throws {
        var request = SiloV1.CpuProfileRequest()
        request.durationSeconds = try seconds()
        request.frequency = UInt32(try arguments.number("frequency", default: 100, in: 1...1000))
        var path = arguments.text("output", default: "profile-\(output.times.now / 1000).pb.gz")
        if !path.hasSuffix(".pb"), !path.hasSuffix(".pb.gz") { path += ".pb.gz" }
        let file = try OutputFile(path)
        output.say("Profiling the processor for \(request.durationSeconds) s, \(request.frequency) samples a second ...")
        let response = try await file.keeping { try await Server(arguments).call(SiloV1.Silo.cpuProfile, request) }
        let bytes = path.hasSuffix(".gz") ? try Gzip.compress(response.profileData) : response.profileData
        try file.write(bytes)
        try output.print(
            [
                "status": "completed", "output_file": path, "duration_seconds": response.durationSeconds,
                "samples": response.samples, "profile_bytes": response.profileData.count,
            ],
            ["Saved to \(path)"] + Output.fields([
                ("Duration", "\(response.durationSeconds) s"), ("Samples", "\(response.samples) distinct stacks"),
                ("Size", "\(Words.size(UInt64(bytes.count)))"),
            ]) + ["", "Look at it with:", "  pprof -top \(path)", "  pprof -http=: \(path)"]
        )
    }

    func heap() async throws {
        var request = SiloV1.HeapProfileRequest()
        request.durationSeconds = try seconds()
        var path = arguments.text("output", default: "heap-profile-\(output.times.now / 1000).heap")
        if !path.hasSuffix(".heap") { path += ".heap" }
        let file = try OutputFile(path)
        output.say("Profiling the heap for \(request.durationSeconds) s ...")
        let response = try await file.keeping { try await Server(arguments).call(SiloV1.Silo.heapProfile, request) }
        try file.write(response.profileData)
        try output.print(
            [
                "status": "completed", "output_file": path, "duration_seconds": response.durationSeconds,
                "profile_bytes": response.profileData.count,
            ],
            ["Saved to \(path)"] + Output.fields([
                ("Duration", "\(response.durationSeconds) s"), ("Size", "\(Words.size(UInt64(response.profileData.count)))"),
            ]) + ["", "Look at it with the server's program:", "  jeprof --text --show_bytes \(program(of: response)) \(path)"]
        )
    }

    /// The server's program, where this machine has it too: the first file of the memory map that the profile ends with.
    private func program(of response: SiloV1.HeapProfileResponse) -> String {
        let text = String(decoding: response.profileData, as: UTF8.self)
        let map = text[(text.range(of: "MAPPED_LIBRARIES:")?.upperBound ?? text.endIndex)...]
        let lines = map.split(separator: "\n").lazy
        let path = lines.compactMap { line in line.firstIndex(of: "/").map { String(line[$0...]) } }.first
        return path.flatMap { access($0, X_OK) == 0 ? $0 : nil } ?? "PATH-OF-THE-SERVER'S-PROGRAM"
    }

    func dump() async throws {
        let response = try await Server(arguments).call(SiloV1.Silo.dumpTasks, .init())
        try output.print(
            ["task_count": response.taskCount, "dump": response.dump],
            [
                Line("Async Task Dump (\(response.taskCount) tasks)", .heading), "\(String(repeating: "=", count: 40))",
            ] + Output.lines(response.dump.trimmingCharacters(in: .newlines))
        )
    }

    private func seconds() throws -> UInt32 {
        guard !arguments.has("seconds") || !arguments.has("duration") else {
            throw Arguments.Mistake("--seconds and --duration are the same: give one of them")
        }
        return UInt32(try arguments.number(arguments.has("seconds") ? "seconds" : "duration", default: 30, in: 1...300))
    }
}

/// A file that is made before there is anything to write: whoever waits for a profile learns at once that it cannot be saved.
private struct OutputFile {
    private let path: String
    private let descriptor: Int32
    private let isNew: Bool

    /// Only its owner reads it: there may be payloads in it.
    init(_ path: String) throws {
        self.path = path
        isNew = access(path, F_OK) != 0
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("--output: cannot write \(path): \(String(cString: strerror(errno)))") }
    }

    /// Leaves no empty file behind when that fails.
    func keeping<Answer>(_ ask: () async throws -> Answer) async throws -> Answer {
        do { return try await ask() } catch {
            if isNew { unlink(path) }
            throw error
        }
    }

    func write(_ bytes: [UInt8]) throws {
        do {
            ftruncate(descriptor, 0)
            try FileHandle(fileDescriptor: descriptor, closeOnDealloc: true).write(contentsOf: Data(bytes))
        } catch {
            throw Failure("cannot write \(path): \(SystemReason(error)?.description ?? "\(error)")")
        }
    }
}

import Foundation
import Testing

@testable import Profiling

@Suite("Profiles", .timeLimit(.minutes(10)))
struct ProfilingTests {
    /// What gperftools writes: a header of three words after two, stacks, an end, and text that is not read.
    static func samples(_ stacks: [(count: UInt64, addresses: [UInt64])], endsWell: Bool = true) -> Data {
        var words: [UInt64] = [0, 3, 0, 10_000, 0]
        for stack in stacks { words += [stack.count, UInt64(stack.addresses.count)] + stack.addresses }
        if endsWell { words += [0, 1, 0] }
        return words.withUnsafeBytes { Data($0) } + Data("00400000-00500000 r-xp 0 00:00 1 /bin/x\n".utf8)
    }

    @Test("stacks are read as the profiler wrote them")
    func stacks() throws {
        let read = try CPUSamples(Self.samples([(3, [0x10, 0x20]), (1, [0x30])]))
        #expect(read.stacks == [.init(count: 3, addresses: [0x10, 0x20]), .init(count: 1, addresses: [0x30])])
    }

    @Test("what is cut or makes no sense is refused, wherever it is cut")
    func damaged() throws {
        let whole = Self.samples([(3, [0x10, 0x20]), (1, [0x30])])
        // The text begins after the end.
        let length = (5 + 4 + 3 + 3) * 8
        for cut in stride(from: 0, to: length - 8, by: 8) {
            #expect(throws: ProfileError.self) { try CPUSamples(whole.prefix(cut)) }
        }
        #expect(throws: ProfileError.self) { try CPUSamples(Self.samples([(1, Array(repeating: 1, count: 2000))])) }
        #expect(throws: ProfileError.self) { try CPUSamples(Data(repeating: 0xff, count: 256)) }
    }

    @Test("functions of this process are found by their addresses, and named as people write them")
    func symbols() throws {
        var files = MappedFiles.ofThisProcess()
        let library = dlsym(UnsafeMutableRawPointer(bitPattern: 0), "getaddrinfo")
        let address = UInt64(UInt(bitPattern: library)) + 1
        let mapping = try #require(files.index(of: address))
        #expect(files.symbol(at: address, in: mapping)?.contains("getaddrinfo") == true)
        let getter = Demangling.name(of: "$s9Profiling10CPUSamplesV6stacksSayAC5StackVGvg")
        #expect(getter == "Profiling.CPUSamples.stacks.getter : Swift.Array<Profiling.CPUSamples.Stack>")
        #expect(Demangling.name(of: "_ZN7slatedb2db2Db3put17h0123456789abcdefE") == "slatedb::db::Db::put")
        #expect(Demangling.name(of: "main") == "main")
    }

    @Test("a file that is no program, is cut anywhere, or lies about its tables has no functions that were not in it")
    func damagedPrograms() throws {
        let program = try Data(contentsOf: URL(fileURLWithPath: "/bin/true"))
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appendingPathComponent("program")
        var random = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var damaged = program.prefix(Int.random(in: 0...program.count, using: &random))
            for _ in 0..<4 where damaged.count > 64 {
                // Where the tables are, and how many and how large they are.
                damaged[Int.random(in: 32..<64, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            try damaged.write(to: file)
            let table = SymbolTable(ofFile: file.path)
            for offset in [0, 4096, UInt64(damaged.count), .max] { _ = table.name(atFileOffset: offset) }
        }
        #expect(SymbolTable(ofFile: "/proc/self/none").name(atFileOffset: 0) == nil)
    }

    @Test("a heap profile is written as jemalloc's tools read it")
    func heap() {
        let text = """
            heap profile:     12:     3456 [    20:     5000] @ heapprofile
                 1:       24 [     2:       48] @ 0x00001 0x00002
                11:     3432 [    18:     4952] @ 0x00003

            MAPPED_LIBRARIES:
            00400000-00500000 r-xp 0 00:00 1 /bin/x
            """
        #expect(HeapText.converted(text) == """
            heap_v2/1
              t*: 12: 3456 [20: 5000]
            @ 0x00001 0x00002
              t*: 1: 24 [2: 48]
            @ 0x00003
              t*: 11: 3432 [18: 4952]

            MAPPED_LIBRARIES:
            00400000-00500000 r-xp 0 00:00 1 /bin/x
            """)
    }
}

import Foundation
import Protobuf
import SiloAPI
import TestSupport
import Testing

/// Python's protobuf is the second opinion: see roundtrip.py.
@Suite(.enabled(if: Repository.hasPython), .timeLimit(.minutes(10))) struct PythonTests {
    let script = "\(Repository.path)/Tests/ProtobufTests/roundtrip.py"
    let schema = SiloV1.fileName

    @Test func everyMessageOfTheSchemaIsTested() async throws {
        let said = try await python("messages", schema)
        #expect(said.status == 0, "\(said.output)")
        #expect(said.output.split(separator: "\n").map(String.init).sorted() == siloMessages.map { $0.messageName }.sorted())
    }

    @Test(arguments: [
        (SiloV1.fileName, SiloV1.fileDescriptor),
        (GRPCHealthV1.fileName, GRPCHealthV1.fileDescriptor),
        (GRPCReflectionV1.fileName, GRPCReflectionV1.fileDescriptor),
    ])
    func theEmbeddedDescriptorIsThatOfTheSchema(schema: String, descriptor: String) async throws {
        let folder = try TemporaryFolder()
        let data = try #require(Data(base64Encoded: descriptor))
        try data.write(to: URL(fileURLWithPath: "\(folder.path)/descriptor"))
        let judged = try await python("descriptor", schema, "\(folder.path)/descriptor")
        #expect(judged.status == 0, "\(judged.output)")
    }

    /// Whole messages come back byte for byte. Of damaged ones both implementations read the same, or both refuse them.
    @Test(arguments: [1, 2]) func agreesWithPythonOnRandomMessages(seed: Int) async throws {
        let folder = try TemporaryFolder()
        let (cases, answers) = ("\(folder.path)/cases", "\(folder.path)/answers")
        let made = try await python("cases", schema, "\(seed)", "5000", cases)
        #expect(made.status == 0, "\(made.output)")
        try answer(cases: cases, answers: answers)
        let judged = try await python("judge", schema, cases, answers)
        #expect(judged.status == 0, "seed \(seed): \(judged.output)")
    }

    private func python(_ arguments: String...) async throws -> ChildProcess.Ending {
        try await ChildProcess.run(Repository.python, [script] + arguments)
    }

    private func answer(cases: String, answers: String) throws {
        let types = Dictionary(uniqueKeysWithValues: siloMessages.map { ($0.messageName, $0) })
        var rest = [UInt8](try Data(contentsOf: URL(fileURLWithPath: cases)))[...]
        var output = Data()
        while !rest.isEmpty {
            let name = String(decoding: takePart(&rest), as: UTF8.self)
            let bytes = takePart(&rest)
            let type = try #require(types[name.hasPrefix("!") ? String(name.dropFirst()) : name])
            if let encoded = try? type.init(serializedBytes: bytes).serializedBytes() {
                addPart(Array("ok".utf8), to: &output)
                addPart(encoded, to: &output)
            } else {
                addPart(Array("error".utf8), to: &output)
                addPart([], to: &output)
            }
        }
        try output.write(to: URL(fileURLWithPath: answers))
    }

    private func takePart(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
        let size = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
        defer { rest = rest.dropFirst(4 + size) }
        return Array(rest.dropFirst(4).prefix(size))
    }

    private func addPart(_ bytes: [UInt8], to output: inout Data) {
        for shift in stride(from: 0, to: 32, by: 8) { output.append(UInt8(truncatingIfNeeded: bytes.count >> shift)) }
        output.append(contentsOf: bytes)
    }
}

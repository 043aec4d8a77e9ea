import Foundation
import GRPC
import SiloAccess
import SiloCore
import SiloService
import SiloTelemetry
import SiloTesting
import TestSupport
import Testing

@testable import SiloServer

/// Files that are read anew while the server runs, and settings that cannot follow.
@Suite(.timeLimit(.minutes(10))) struct AccessFilesTests {
    private let folder: TemporaryFolder
    private let clock = ManualClock()

    init() throws { folder = try TemporaryFolder() }

    private func makeCertificate() async throws {
        let make = "cd '\(folder.path)' && openssl req -x509 -newkey rsa:2048 -nodes -days 90 -keyout key -out cert "
            + "-subj /CN=localhost 2> log"
        let made = try await ChildProcess.run("/bin/sh", ["-c", make])
        try #require(made.status == 0, "\(made.output)")
    }

    @Test("whether callers need a certificate stays as it is, and renewals go on", arguments: [true, false])
    func clientAuthority(adds: Bool) async throws {
        try await makeCertificate()
        func files(_ asks: Bool) -> TLSFiles {
            TLSFiles(
                certificate: "\(folder.path)/cert", key: "\(folder.path)/key", clientCA: asks ? "\(folder.path)/cert" : nil)
        }
        var settings = NodeSettings(data: "memory:")
        settings.tlsFiles = files(!adds)
        settings.tls = try settings.tlsFiles?.read()
        var options = ServerOptions(address: "127.0.0.1:0")
        options.tls = settings.tls
        let server = Server(options)
        _ = try server.start()
        let renewed = Box<[UInt8]>()
        let access = AccessFiles(
            settings, AccessFiles.Watched(settings), Gate(Access(clock: clock), clock: clock, logger: .silent), server,
            onRenewal: { renewed.add($0.certificateChain) }, clock: clock, logger: .silent
        )

        var changed = settings
        changed.tlsFiles = files(adds)
        let refusals = access.reload(changed)
        #expect(refusals.count == 1 && refusals.first?.keys.contains("tls.client_ca_file") == true)
        #expect(refusals.first?.description.contains("can only be changed by a restart") == true)
        try await makeCertificate()
        // A change counts when two looks have found the same.
        for _ in 0..<2 { access.look() }
        let new = Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/cert")))
        #expect(renewed.all.count == 2 && renewed.all.last == new)
        await server.shutdown(grace: .seconds(5))
    }

    @Test func aNewSecretDoesNotWaitForTheTokensFile() throws {
        let gate = Gate(Access(secret: "old", grants: [], clock: clock), clock: clock, logger: .silent)
        var settings = NodeSettings(data: "memory:")
        settings.authToken = "old"
        settings.tokensFile = "\(folder.path)/absent"
        let files = AccessFiles(
            settings, AccessFiles.Watched(settings), gate, Server(ServerOptions(address: "127.0.0.1:0")), clock: clock,
            logger: .silent)
        settings.authToken = "new"
        #expect(files.reload(settings).isEmpty)
        #expect(try gate.access.caller(.init(authorization: Array("Bearer new".utf8))).roles.contains(.admin))
        #expect(throws: SiloError.unauthenticated("invalid auth token")) {
            try gate.access.caller(.init(authorization: Array("Bearer old".utf8)))
        }
    }

    /// A tokens file with a token for each name, which is the name.
    private func write(_ file: String, _ names: String...) throws {
        let lines = names.map { name in
            Grant(name: name, holder: .token(TokenHash(of: name.utf8)), roles: [.admin]).line + "\n"
        }
        try Data(lines.joined().utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(file)"))
    }

    private func isKnown(_ token: String, _ gate: SiloServer.Gate) -> Bool {
        (try? gate.access.caller(.init(authorization: Array("Bearer \(token)".utf8)))) != nil
    }

    @Test func whatChangesWhileTheServerStartsIsReadAnew() throws {
        var settings = NodeSettings(data: "memory:")
        settings.tokensFile = "\(folder.path)/tokens"
        try write("tokens", "stays", "goes")
        let watched = AccessFiles.Watched(settings)
        let gate = Gate(Access(grants: try settings.grants(.silent), clock: clock), clock: clock, logger: .silent)
        // Shards are opened, which takes long.
        try write("tokens", "stays")
        let files = AccessFiles(
            settings, watched, gate, Server(ServerOptions(address: "127.0.0.1:0")), clock: clock, logger: .silent)
        #expect(isKnown("goes", gate))
        for _ in 0..<2 { files.look() }
        #expect(isKnown("stays", gate) && !isKnown("goes", gate))
    }

    @Test func aFileThatCannotBeUsedDoesNotTakeThePlaceOfAnother() throws {
        var settings = NodeSettings(data: "memory:")
        settings.tokensFile = "\(folder.path)/tokens"
        try write("tokens", "a")
        let gate = Gate(Access(grants: try settings.grants(.silent), clock: clock), clock: clock, logger: .silent)
        let files = AccessFiles(
            settings, AccessFiles.Watched(settings), gate, Server(ServerOptions(address: "127.0.0.1:0")), clock: clock,
            logger: .silent)
        settings.tokensFile = "\(folder.path)/other"
        let refusals = files.reload(settings)
        #expect(refusals.map(\.keys) == [["access.tokens_file"]])
        #expect(refusals.first?.description.contains("\(folder.path)/other") == true)
        try write("tokens", "a", "b")
        for _ in 0..<2 { files.look() }
        #expect(isKnown("b", gate), "that of before goes on, and is looked at")
        try write("other", "c")
        #expect(files.reload(settings).isEmpty)
        #expect(isKnown("c", gate) && !isKnown("a", gate))
    }

    @Test func theSharedSecretCanGoWhereThereAreTokens() throws {
        var settings = NodeSettings(data: "memory:")
        settings.authToken = "shared"
        settings.tokensFile = "\(folder.path)/tokens"
        try write("tokens", "a")
        let access = Access(secret: "shared", grants: try settings.grants(.silent), clock: clock)
        let gate = Gate(access, clock: clock, logger: .silent)
        let files = AccessFiles(
            settings, AccessFiles.Watched(settings), gate, Server(ServerOptions(address: "127.0.0.1:0")), clock: clock,
            logger: .silent)
        settings.authToken = nil
        #expect(files.reload(settings).isEmpty)
        #expect(isKnown("a", gate) && !isKnown("shared", gate))
        settings.authToken = "again"
        #expect(files.reload(settings).isEmpty && isKnown("again", gate))
        // Without tokens it would leave the door open.
        settings.tokensFile = nil
        #expect(files.reload(settings).map(\.keys) == [["access.tokens_file"]])
        #expect(isKnown("a", gate))
    }
}

import CommandLineTool
import Foundation
import TestSupport
import Testing

@testable import SiloConfiguration
@testable import SlateDB

/// What a server finds out when it starts, and `siloctl validate-config` before.
@Suite(.timeLimit(.minutes(10))) struct UsableFilesTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ name: String, _ text: String) throws -> String {
        let path = "\(folder.path)/\(name)"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func certificate(_ name: String) async throws {
        let make = "cd '\(folder.path)' && openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=localhost "
            + "-keyout \(name).key -out \(name).cert 2> log"
        let made = try await ChildProcess.run("/bin/sh", ["-c", make])
        try #require(made.status == 0, "\(made.output)")
    }

    /// All that is wrong, without the path of the file.
    private func mistakes(
        _ text: String?, _ words: [String]? = nil, environment: [String: String] = [:],
        for purpose: LoadedConfiguration.Purpose = .serving
    ) throws -> [String] {
        let path = try text.map { try write("silo.toml", $0) }
        let usage = Usage("silo", "", commands: [.init("", help: "", options: Configuration.options)])
        var arguments: Arguments?
        if let words, case .run(let read) = try Arguments.read(words, usage, version: "") { arguments = read }
        do {
            _ = try LoadedConfiguration(file: path, arguments, environment: environment, for: purpose)
            return []
        } catch let mistakes as LoadedConfiguration.Mistakes {
            return mistakes.lines.map { $0.replacing("\(folder.path)/silo.toml:", with: "") }
        } catch let mistake as Arguments.Mistake {
            return ["command line"] + mistake.description.split(separator: "\n").map(String.init)
        }
    }

    @Test func whatAFileHoldsIsLookedAt() async throws {
        try await certificate("a")
        try await certificate("b")
        let tokens = try write("tokens", "{\"name\":\"a\",\"hash\":\"x\",\"roles\":[\"boss\"]}\nnope\n")
        let text = """
            [database]
            backend = "memory"
            [server]
            auth_token_file = "\(try write("secret", "\n"))"
            [tls]
            cert_file = "\(folder.path)/a.cert"
            key_file = "\(folder.path)/b.key"
            [access]
            tokens_file = "\(tokens)"
            """
        let found = try mistakes(text)
        #expect(found.count == 3, "\(found)")
        #expect(found.contains { $0.hasPrefix("4:19: server.auth_token_file: ") && $0.contains("is empty") }, "\(found)")
        #expect(found.contains("6:13: tls.cert_file: the TLS key is not that of the TLS certificate"), "\(found)")
        let token = found.first { $0.hasPrefix("9:15: access.tokens_file: \(tokens): line 1: ") }
        #expect(token?.contains("line 2: ") == true, "\(found)")
        #expect(try mistakes(text, for: .reloading) == [], "a server that runs goes on with what it has")
        #expect(try mistakes(text.replacing("b.key", with: "a.key").replacing("tokens\"", with: "none\"")).count == 2)
    }

    @Test func tokensThatAreBoundToTenantsNeedTenancy() throws {
        let hash = String(repeating: "ab", count: 32)
        let line = "{\"name\":\"a\",\"hash\":\"sha256:\(hash)\",\"roles\":[\"read\"],\"tenants\":[\"t\"]}\n"
        let tokens = try write("tokens", line)
        let text = "[database]\nbackend = \"memory\"\n[access]\ntokens_file = \"\(tokens)\"\n"
        let found = try mistakes(text)
        #expect(found.count == 1 && found[0].contains("without tenancy"), "\(found)")
        #expect(try mistakes(text + "[tenancy]\nenabled = true\n") == [])
    }

    @Test func whatComesOutOfAPipeIsNotRead() async throws {
        let pipe = "\(folder.path)/pipe"
        try #require(mkfifo(pipe, 0o600) == 0)
        #expect(try mistakes("[database]\nbackend = \"memory\"\n[server]\nauth_token_file = \"\(pipe)\"\n") == [])
    }

    @Test func allMeansAreToldOfAtOnce() throws {
        let text = "[database]\nbackend = \"memory\"\n[limits]\naudit_interval = 5\n[access]\ntokens_file = \"/none/a\"\n"
        let words = ["--listen", "foo", "--max-data", "much", "--shards", "0", "--tls-key", "/none/k", "--log-file", "/none/l"]
        let found = try mistakes(text, words, environment: ["SILO_AUTH_TOKEN": "", "SILO_LOG": "loud"])
        for part in [
            "4:18: limits.audit_interval", "6:15: access.tokens_file: cannot read /none/a", "--listen must be host:port",
            "--max-data must be a size", "--shards must be a whole number", "--tls-cert is missing",
            "--tls-key: cannot read /none/k", "--log-file: cannot write /none/l",
            "SILO_AUTH_TOKEN: the auth token is empty", "SILO_LOG: ",
        ] { #expect(found.contains { $0.hasPrefix(part) }, "\(part): \(found)") }
        #expect(found.count == 10, "\(found)")
    }

    @Test func theCommandLineAloneIsToldAsSuch() throws {
        let found = try mistakes(nil, ["--listen", "foo", "--shards", "0"])
        #expect(found.first == "command line" && found.count == 3, "\(found)")
        let absent = try mistakes("", ["--shards", "0"], environment: [:])
        #expect(absent.contains { $0.hasPrefix("1:1: missing field `database`") } && absent.count == 2, "\(absent)")
    }

    @Test func aSecretComesFromItsFile() throws {
        func read(_ text: String, mode: Int = 0o600) throws -> SecretFile {
            let path = try write("secret", text)
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            return try SecretFile(path)
        }
        #expect(try read("s3cret\n").text == "s3cret")
        #expect(try read("s3cret\r\n").text == "s3cret")
        #expect(try read(" two words \n\n").text == " two words \n")
        #expect(try !read("x", mode: 0o600).isReadByOthers)
        #expect(try read("x", mode: 0o640).isReadByOthers)
        #expect(try read("x", mode: 0o604).isReadByOthers)
        #expect(throws: SecretFile.Mistake.self) { try read("\n") }
        #expect(throws: SecretFile.Mistake.self) { try read(String(repeating: "x", count: 5000)) }
        #expect(throws: SecretFile.Mistake.self) { try SecretFile("\(folder.path)/absent") }
        #expect(throws: SecretFile.Mistake.self) { try SecretFile("/tmp") }
    }

    @Test func theStorageEnginesNamesAreThoseOfItsLibrary() throws {
        #expect(try OpenOptions.settingNames() == Set(SlateDBSettings.forms.keys))
    }

    @Test func theStorageEnginesValuesAreThoseThatItsLibraryTakes() {
        let texts = [
            "", "100ms", "0s", "1d", "1 h", "1h30m", "1h 30m", "1m*10", "2*3", "1+1", "1s +1s", "1s2", "10 20", "1s,1s",
            "+1s", "1s+", "1s*2+1s", "1s 2*3", "-1s", "1.5s", "5", "0x1s", "1_000s", "1e3s", "1us", "1µs", "1μs", "1NS",
            "1Msec", "1Hour", "1hours", "1years", "1mon", "1month", "1mo", "1w", "584y", "9223372036854775807ms",
            "18446744073709551615ns", "never", "  ", " 1s ", "１s", "info", "Info", "iNfo", "trace", "Snappy", "snappy",
            "Zstd", "none", "L0Sst", "AllSst", "all", "true", "4", "4.5", "abc",
        ]
        let raws: [SettingForm.Raw] = texts.map { .text($0) } + [
            .flag(true), .flag(false), .number(0), .number(1), .number(4096), .number(-1), .number(Int(UInt32.max)),
            .number(Int(UInt32.max) + 1), .number(.max), .fraction(2.5), .texts(["a"]), .other("date"),
        ]
        // What is refused here and taken there: see `SlateDBSettings`, and what it finds only when a database is opened.
        let stricter = [
            "compactor_options.scheduler_options": texts, "object_store_cache_options.root_folder": [""],
            "l0_flush_parallelism": ["0"], "max_wal_flushes_before_l0_flush": ["0", "1"],
        ]
        for (name, form) in SlateDBSettings.forms {
            for raw in raws {
                guard let json = raw.json else {
                    #expect(form.value(of: raw) == nil)
                    continue
                }
                var options = OpenOptions()
                options.settings = [name: json]
                let isTaken = (try? options.librarySettings()) != nil
                if form.value(of: raw) != nil {
                    #expect(isTaken, "\(name) = \(json)")
                } else if isTaken {
                    let exceptions = stricter.filter { name.hasPrefix($0.key) }.flatMap(\.value)
                    #expect(exceptions.contains(json.trimmingCharacters(in: ["\""])), "\(name) = \(json)")
                }
            }
        }
    }
}

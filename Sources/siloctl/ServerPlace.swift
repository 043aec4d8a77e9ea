import CommandLineTool
import Foundation
import GRPC
import SiloClient

/// Where the server is and how it is spoken to: by the command line, else by the servers' file, else by the environment.
struct ServerPlace {
    let address: String
    let tls: ClientTLS?
    let token: String?

    static let standardAddress = "http://localhost:7450"

    init(_ arguments: Arguments) throws {
        let entry = try Self.entry(arguments)
        address = arguments.text("address") ?? entry?.address ?? Self.standardAddress
        let authority = try Self.authority(arguments, entry)
        do throws(ServerAddress.Mistake) { tls = try ServerAddress(address).tls(authority) } catch {
            throw Arguments.Mistake("--address: \(error)")
        }
        token = try Self.token(arguments, entry)
    }

    /// The server that `--server` or SILO_SERVER names, or the file's default one. An address is a server of its own.
    static func entry(_ arguments: Arguments) throws -> ServersFile.Entry? {
        let named = arguments.text("server")
        guard arguments.text("address") == nil else {
            guard named == nil else {
                throw Arguments.Mistake("--address and --server exclude each other: give one of them")
            }
            return nil
        }
        let ambient = ProcessInfo.processInfo.environment["SILO_SERVER"].flatMap { $0.isEmpty ? nil : $0 }
        return try ServersFile.standard().entry(named ?? ambient)
    }

    /// Whose jobs: of the command line, or of the server's entry.
    static func tenant(_ arguments: Arguments) throws -> String? { try arguments.text("tenant") ?? entry(arguments)?.tenant }

    /// Whom to trust and who we are; where the first server is spoken to with TLS, so are all others.
    private static func authority(_ arguments: Arguments, _ entry: ServersFile.Entry?) throws -> ClientTLS? {
        func pem(_ option: String, _ ofEntry: String?, _ kind: PEMKind) throws -> [UInt8]? {
            guard let path = arguments.text(option) ?? ofEntry else { return nil }
            let pem = try InputFile.read(path, as: "--\(option)")
            guard kind.isIn(pem) else {
                let pass = kind == .key ? ", without a pass phrase" : ""
                throw Failure("--\(option): \(path) holds no \(kind) in PEM form that can be read\(pass)")
            }
            return pem
        }
        let authority = try pem("tls-ca", entry?.authority, .certificate)
        let certificate = try pem("tls-cert", entry?.certificate, .certificate)
        let key = try pem("tls-key", entry?.key, .key)
        guard (certificate == nil) == (key == nil) else { throw Arguments.Mistake("--tls-cert and --tls-key go together") }
        guard authority != nil || certificate != nil else { return nil }
        return ClientTLS(rootCA: authority, certificateChain: certificate, privateKey: key)
    }

    /// The secret: of a file, the command line or the environment.
    private static func token(_ arguments: Arguments, _ entry: ServersFile.Entry?) throws -> String? {
        let given = arguments.text("auth-token")
        if given != nil, arguments.has("auth-token-file") {
            throw Arguments.Mistake("--auth-token and --auth-token-file exclude each other: give one of them")
        }
        if let given { return given }
        guard let path = arguments.text("auth-token-file") ?? entry?.tokenFile else {
            return ProcessInfo.processInfo.environment["SILO_AUTH_TOKEN"]
        }
        let content = try InputFile.read(path, as: "--auth-token-file")
        let token = String(decoding: content, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw Failure("--auth-token-file: \(path) must hold the secret and nothing else: one line of visible ASCII")
        }
        return token
    }
}

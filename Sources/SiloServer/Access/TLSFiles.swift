import Foundation
public import GRPC

/// Where a server's certificate is kept: files in PEM form, which may be renewed while it runs.
public struct TLSFiles: Equatable, Sendable {
    /// The server's own certificate first.
    public var certificate: String
    public var key: String
    /// Given: callers need a certificate of one of these authorities.
    public var clientCA: String?

    public init(certificate: String, key: String, clientCA: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.clientCA = clientCA
    }

    var paths: [String] { [certificate, key] + (clientCA.map { [$0] } ?? []) }

    /// - Throws: `StartError` when one of them cannot be read.
    public func read() throws -> ServerTLS {
        ServerTLS(
            certificateChain: try WatchedFile.read(certificate), privateKey: try WatchedFile.read(key),
            clientCA: try clientCA.map { try WatchedFile.read($0) }
        )
    }
}

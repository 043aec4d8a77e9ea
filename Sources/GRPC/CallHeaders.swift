/// The headers of a call that has come.
public protocol CallHeaders: Sendable {
    /// The first value of `key`, in lower case; nil when there is none.
    func header(_ key: String) -> [UInt8]?

    /// Whom the certificate of the connection names, which an authority of the server vouches for; empty without one: its subject
    /// as RFC 2253 writes it, such as `CN=billing,O=Acme`, then its alternative names, such as `DNS:billing.example`.
    var certificateNames: [String] { get }

    /// The client's address in the C core's form; empty where there is none.
    var peer: String { get }
}

extension CallHeaders {
    public var certificateNames: [String] { [] }
    public var peer: String { "" }
}

extension Metadata: CallHeaders {
    public func header(_ key: String) -> [UInt8]? { bytes(key) }
}

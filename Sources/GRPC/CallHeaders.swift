/// The headers of a call that has come.
public protocol CallHeaders: Sendable {
    /// The first value of `key`, in lower case; nil when there is none.
    func header(_ key: String) -> [UInt8]?
}

extension Metadata: CallHeaders {
    public func header(_ key: String) -> [UInt8]? { bytes(key) }
}

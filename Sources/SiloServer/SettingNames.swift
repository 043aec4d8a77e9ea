/// What the operator called settings that a node may have to complain of: an option, or a key with its place in a file.
public struct SettingNames: Sendable {
    public var address = "--listen"
    public var advertised = "--advertise"
    public var data = "--data"
    public var log = "--log"
    public var gubernator = "--gubernator"
    public var metrics = "--metrics"
    public var tokensFile = "--tokens-file"
    public var auditLog = "--audit-log"

    public init() {}
}

import Foundation

/// Why something failed, in the system's words; Foundation's own are for programmers.
public struct SystemReason: CustomStringConvertible {
    public let description: String

    /// - Returns: nil for an error that is not Foundation's, and speaks for itself.
    public init?(_ error: any Error) {
        // Every error can be cast to NSError: one that Swift made has the name of its type as domain.
        guard error is CocoaError || error is POSIXError || type(of: error) == NSError.self else { return nil }
        let outer = error as NSError
        let beneath = (outer.userInfo[NSUnderlyingErrorKey] as? any Error).map { $0 as NSError } ?? outer
        let isSystems = beneath.domain == NSPOSIXErrorDomain
        let reason = isSystems ? String(cString: strerror(Int32(beneath.code))) : "error \(beneath.code)"
        let path = outer.userInfo[NSFilePathErrorKey] as? String ?? (outer.userInfo[NSURLErrorKey] as? URL)?.path
        description = (path.map { "\($0): " } ?? "") + reason
    }
}

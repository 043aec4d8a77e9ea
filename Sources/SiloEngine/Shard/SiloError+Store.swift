package import SiloCore
package import SiloStore

extension SiloError {
    /// The shard stopped: its store failed.
    package init(stopped error: StoreError) { self = .unavailable(error.message, cause: Cause(error)) }

    /// A read beside the shard's loop failed.
    package init(reading error: StoreError) {
        if case .corrupt(let text, _) = error { self = .corrupt(text, cause: Cause(error)) } else { self.init(stopped: error) }
    }
}

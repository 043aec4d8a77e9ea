import CGRPC
import Synchronization

/// The certificate that a server shows in the next handshake. It can be renewed while the server runs.
final class ServedCertificate: Sendable {
    private struct State {
        var tls: ServerTLS
        /// The core has not been given it yet.
        var isNew = true
    }
    private let state: Mutex<State>

    /// - Throws: when the core could not use it. One that has expired is served: whether that matters is for its callers to say.
    init(_ tls: ServerTLS) throws(ServerTLS.Mistake) {
        _ = try tls.validity()
        state = Mutex(State(tls: tls))
    }

    /// - Throws: what is wrong with it, also that it has expired; then the old one stays.
    func renew(_ tls: ServerTLS) throws(ServerTLS.Mistake) {
        try tls.checkUsable()
        try state.withLock { state throws(ServerTLS.Mistake) in
            guard (tls.clientCA == nil) == (state.tls.clientCA == nil) else {
                throw ServerTLS.Mistake("whether callers need a certificate can only be changed by a restart")
            }
            state = State(tls: tls)
        }
    }

    /// Credentials for the C core, to be released by the caller; nil when they make no sense.
    func credentials() -> OpaquePointer? {
        let asks = state.withLock { $0.tls.clientCA != nil }
        // Kept for ever: the core does not say when the last handshake that may ask has ended.
        let context = Unmanaged.passRetained(self).toOpaque()
        return cgrpc_renewable_credentials(asks, { context, config in
            guard let context, let config else { return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL }
            return Unmanaged<ServedCertificate>.fromOpaque(context).takeUnretainedValue().fetch(into: config)
        }, context)
    }

    /// Called by the core before each handshake, one at a time.
    private func fetch(into config: UnsafeMutablePointer<OpaquePointer?>) -> grpc_ssl_certificate_config_reload_status {
        let new = state.withLock { state in
            defer { state.isNew = false }
            return state.isNew ? state.tls : nil
        }
        guard let new else { return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED }
        config.pointee = new.certificateChain.lendCString { chain in
            new.privateKey.lendCString { key in
                // The core wants an authority also where it asks callers for nothing, and then does not look at it.
                (new.clientCA ?? new.certificateChain).lendCString { cgrpc_certificate_config($0, key, chain) }
            }
        }
        return config.pointee == nil ? GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL : GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW
    }
}

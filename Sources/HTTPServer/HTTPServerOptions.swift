/// How an HTTP server listens, and what it allows. What goes beyond it is refused or closed.
package struct HTTPServerOptions: Sendable {
    /// `host:port`; port 0 takes any free one.
    package var address: String
    /// Certificate chain and private key, PEM; nil serves in plain text.
    package var tls: (certificateChain: [UInt8], privateKey: [UInt8])?
    /// Connections at once. More wait in the kernel.
    package var connectionsMax = 256
    /// The same from one address. More are closed at once.
    package var connectionsPerAddressMax = 64
    /// Request line and headers; longer ones are answered with 414 or 431.
    package var headerBytesMax = 32 << 10
    /// How long a connection may take to bring a whole request, from its beginning or the end of the last one.
    package var requestTime = Duration.seconds(30)
    /// How long a handler may take to begin an answer; then the client hears 503.
    package var handlerTime = Duration.seconds(60)
    /// How long a client may take to read an answer; of a stream, what one `write` gave.
    package var sendTime = Duration.seconds(60)

    package init(address: String) { self.address = address }
}

/// Why a server did not start.
package struct HTTPListenError: Error, CustomStringConvertible {
    package let address: String
    package let reason: String

    package var description: String { "cannot listen on \(address): \(reason)" }
}

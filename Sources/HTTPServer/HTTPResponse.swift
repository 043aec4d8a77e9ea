/// What a client is answered.
package struct HTTPResponse: Sendable {
    package enum Body: Sendable {
        case bytes([UInt8])
        /// Written while it is sent; the connection carries on until the closure returns. When it throws, or the client has left,
        /// the connection is closed.
        case stream(@Sendable (HTTPBodyWriter) async throws -> Void)
    }

    package var status: Int
    package var headers: [(name: String, value: String)]
    package var body: Body

    package init(status: Int = 200, headers: [(name: String, value: String)] = [], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Plain text, for people.
    package static func text(_ text: String, status: Int = 200) -> HTTPResponse {
        bytes(Array(text.utf8), type: "text/plain; charset=utf-8", status: status)
    }

    package static func bytes(_ bytes: [UInt8], type: String, status: Int = 200) -> HTTPResponse {
        HTTPResponse(status: status, headers: [("Content-Type", type)], body: .bytes(bytes))
    }

    /// What says that the server was asked for what it does not have, does not do, or cannot do now.
    static func refusal(_ status: Int, _ text: String) -> HTTPResponse { .text("\(text)\n", status: status) }
}

/// Where the body of a streamed answer goes.
package struct HTTPBodyWriter: Sendable {
    let exchange: Exchange

    /// Returns when the client's connection has taken the bytes, so that nothing piles up for one who reads slowly.
    /// - Throws: `HTTPStreamEnded` when the client has left, read nothing for too long, or the server stops.
    package func write(_ bytes: [UInt8]) async throws(HTTPStreamEnded) { try await exchange.write(bytes) }
}

/// Nobody reads the rest of a streamed answer.
package struct HTTPStreamEnded: Error {
    package init() {}
}

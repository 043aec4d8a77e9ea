import GRPC
import Protobuf
import SiloAPI
import Synchronization

/// A few channels to one server, used in turn.
final class Connection: Sendable {
    private let channels: [Channel]
    private let headers: Metadata
    private let turn = Atomic(0)

    /// - Parameter address: `host:port`, or a URL of one.
    init(_ address: String, channels count: Int = 1, authToken: String? = nil) {
        var target = address
        for scheme in ["http://", "https://"] where target.hasPrefix(scheme) { target.removeFirst(scheme.count) }
        channels = (0..<count).map { _ in Channel(target: target) }
        var headers = Metadata()
        if let authToken { headers.append("authorization", "Bearer \(authToken)") }
        self.headers = headers
    }

    func close() { for channel in channels { channel.close() } }

    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request,
        completion: @escaping @Sendable (Result<Response, Failure>) -> Void
    ) {
        let index = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        let channel = channels[Int(bitPattern: UInt(bitPattern: index) % UInt(channels.count))]
        channel.unary(method.path, request.serializedBytes(), metadata: headers) { result in
            switch result {
            case .failure(let status): completion(.failure(Failure("\(method.path): \(status)")))
            case .success(let bytes):
                completion(Result { try Response(serializedBytes: bytes) }.mapError { Failure("\(method.path): \($0)") })
            }
        }
    }

    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request
    ) async throws(Failure) -> Response {
        let result = await withCheckedContinuation { continuation in
            call(method, request) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }
}

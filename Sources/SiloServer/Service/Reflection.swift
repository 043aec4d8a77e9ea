import Foundation
import GRPC
import Protobuf
import SiloAPI
import SiloCore

/// `grpc.reflection.v1.ServerReflection`, and the same by its older name v1alpha: tells tools what this server can be asked.
struct Reflection: Sendable {
    private struct File: Sendable {
        let name: String
        let symbols: Set<String>
        let services: [String]
        let descriptor: Bytes

        init(_ name: String, _ symbols: Set<String>, _ services: [String], _ descriptor: String) {
            self.name = name
            self.symbols = symbols
            self.services = services
            self.descriptor = Data(base64Encoded: descriptor).map { Bytes($0) } ?? []
        }
    }

    /// Anybody may ask, with no token; see `Health`.
    private let limit = CallLimit(total: 64, perPeer: 16)
    private let idleMax: Duration

    /// - Parameter idleMax: how long a stream may stay without a request, or without reading an answer.
    init(idleMax: Duration = .seconds(60)) {
        self.idleMax = idleMax
    }

    private let files = [
        File(SiloV1.fileName, SiloV1.symbols, [SiloV1.Silo.name], SiloV1.fileDescriptor),
        File(GRPCHealthV1.fileName, GRPCHealthV1.symbols, [GRPCHealthV1.Health.name], GRPCHealthV1.fileDescriptor),
        File(
            GRPCReflectionV1.fileName, GRPCReflectionV1.symbols, [GRPCReflectionV1.ServerReflection.name],
            GRPCReflectionV1.fileDescriptor
        ),
        File(
            GRPCReflectionV1Alpha.fileName, GRPCReflectionV1Alpha.symbols, [GRPCReflectionV1Alpha.ServerReflection.name],
            GRPCReflectionV1Alpha.fileDescriptor
        ),
    ]

    func register(on server: Server) {
        // Of both names the messages are the same, byte by byte.
        for path in [
            GRPCReflectionV1.ServerReflection.serverReflectionInfo.path,
            GRPCReflectionV1Alpha.ServerReflection.serverReflectionInfo.path,
        ] {
            server.registerStream(path, limit: limit) { stream in
                // Bound to the stream: it ends with it.
                Task { await serve(stream) }
            }
        }
    }

    private func serve(_ stream: ServerStream) async {
        do throws(Status) {
            while try await serveOne(stream) {}
            stream.finish(trailers: Metadata())
        } catch {
            stream.fail(error)
        }
    }

    /// Answers the next request; false when there is none any more.
    private func serveOne(_ stream: ServerStream) async throws(Status) -> Bool {
        // Rings once, or is cancelled when the request is here.
        let alarm = Task {
            try await Task.sleep(for: idleMax)
            stream.abort(Status(.deadlineExceeded, "the stream was idle for \(idleMax)"))
        }
        defer { alarm.cancel() }
        guard let bytes = await stream.receive() else { return false }
        let request: GRPCReflectionV1.ServerReflectionRequest
        do {
            request = try .init(serializedBytes: bytes)
        } catch {
            throw Status(.invalidArgument, "the request is no valid ServerReflectionRequest: \(error)")
        }
        try await stream.send(answer(request).serializedBytes())
        return true
    }

    private func answer(_ request: GRPCReflectionV1.ServerReflectionRequest) -> GRPCReflectionV1.ServerReflectionResponse {
        var response = GRPCReflectionV1.ServerReflectionResponse()
        response.validHost = request.host
        response.originalRequest = request
        switch request.messageRequest {
        case .listServices:
            var list = GRPCReflectionV1.ListServiceResponse()
            list.service = files.flatMap(\.services).map { name in
                var service = GRPCReflectionV1.ServiceResponse()
                service.name = name
                return service
            }
            response.messageResponse = .listServicesResponse(list)
        case .fileByFilename(let name):
            response.messageResponse = Self.found(files.first { $0.name == name }, name)
        case .fileContainingSymbol(let symbol):
            response.messageResponse = Self.found(files.first { $0.symbols.contains(symbol) }, symbol)
        case .fileContainingExtension, .allExtensionNumbersOfType, nil:
            response.messageResponse = Self.refusal(.notFound, "there are no extensions here")
        }
        return response
    }

    private static func found(_ file: File?, _ name: String) -> GRPCReflectionV1.ServerReflectionResponse.OneOfMessageResponse {
        guard let file else { return refusal(.notFound, "\(name) is not known here") }
        var response = GRPCReflectionV1.FileDescriptorResponse()
        response.fileDescriptorProto = [file.descriptor]
        return .fileDescriptorResponse(response)
    }

    private static func refusal(
        _ code: Status.Code, _ text: String
    ) -> GRPCReflectionV1.ServerReflectionResponse.OneOfMessageResponse {
        var error = GRPCReflectionV1.ErrorResponse()
        error.errorCode = code.rawValue
        error.errorMessage = text
        return .errorResponse(error)
    }
}

import CGRPC

extension String {
    init(slice: inout grpc_slice) {
        let bytes = UnsafeBufferPointer(start: cgrpc_slice_bytes(&slice), count: cgrpc_slice_count(&slice))
        self.init(decoding: bytes, as: UTF8.self)
    }
}

extension [UInt8] {
    init(slice: UnsafePointer<grpc_slice>) {
        self.init(UnsafeBufferPointer(start: cgrpc_slice_bytes(slice), count: cgrpc_slice_count(slice)))
    }

    /// A copy of a received message, which stays the caller's.
    init(message: UnsafeMutablePointer<grpc_byte_buffer>) {
        self.init(unsafeUninitializedCapacity: grpc_byte_buffer_length(message)) { target, count in
            guard let start = target.baseAddress else { return }
            count = cgrpc_message_copy(message, start, target.count)
        }
    }

    /// A message to send, owned by the caller.
    func message() -> UnsafeMutablePointer<grpc_byte_buffer> {
        withUnsafeBytes { cgrpc_message($0.baseAddress, $0.count) }
    }
}

import CGRPC
import Glibc

/// Channel arguments on their way to the C core, which copies them.
struct Arguments {
    private enum Value {
        case integer(Int32)
        case string(String)
    }

    private var values: [(key: String, value: Value)] = []

    /// What servers and channels share.
    init(maxMessageBytes: Int) {
        self[GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH] = Int32(clamping: maxMessageBytes)
        self[GRPC_ARG_MAX_SEND_MESSAGE_LENGTH] = Int32(clamping: maxMessageBytes)
        // A stream may have 2 MiB on its way to us that nobody has read. Left to itself the core guesses at a window from
        // the line's speed, with pings, and lets a reader that stands still pile up tens of MiB.
        self[GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES] = 2 << 20
        self[GRPC_ARG_HTTP2_BDP_PROBE] = 0
        // Each of these costs every call something and serves nobody here.
        self[GRPC_ARG_ENABLE_CHANNELZ] = 0
        self[GRPC_ARG_ENABLE_CENSUS] = 0
        self[GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION] = 0
    }

    subscript(key: String) -> Int32? {
        get { nil }
        set { if let newValue { values.append((key, .integer(newValue))) } }
    }

    mutating func set(_ key: String, _ text: String) { values.append((key, .string(text))) }

    /// Lends the arguments in C form.
    /// - Parameter external: where the core writes its handler of connections that it did not accept itself.
    func lend<R>(
        memoryQuota: OpaquePointer? = nil, external: UnsafeMutablePointer<UnsafeMutableRawPointer?>? = nil,
        _ body: (inout grpc_channel_args) throws -> R
    ) rethrows -> R {
        var owned: [UnsafeMutablePointer<CChar>] = []
        defer { owned.forEach { free($0) } }
        func copy(_ text: String) -> UnsafeMutablePointer<CChar>? {
            guard let copy = strdup(text) else { return nil }
            owned.append(copy)
            return copy
        }
        var list: [grpc_arg] = []
        for (key, value) in values {
            guard let key = copy(key) else { continue }
            switch value {
            case .integer(let number): list.append(cgrpc_arg_integer(key, number))
            case .string(let text): if let text = copy(text) { list.append(cgrpc_arg_string(key, text)) }
            }
        }
        if let memoryQuota { list.append(cgrpc_arg_quota(memoryQuota)) }
        if let external { list.append(cgrpc_arg_external(external)) }
        return try list.withUnsafeMutableBufferPointer { list in
            var args = grpc_channel_args(num_args: list.count, args: list.baseAddress)
            return try body(&args)
        }
    }
}

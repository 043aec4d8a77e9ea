/// Raw bytes: keys, record encodings, payloads.
public typealias Bytes = [UInt8]

/// What a handler has written of a streamed answer and the client's connection has not taken: one write at a time.
struct ResponseStream {
    private var bytes: [UInt8] = []
    private var taken = 0
    private var writer: CheckedContinuation<Bool, Never>?
    private var end: Int?

    // What the library wants to hear of the end of an answer: MHD_CONTENT_READER_END_OF_STREAM and _END_WITH_ERROR.
    static let whole = -1
    static let broken = -2

    /// Takes what `writer` wrote, which hears when it is gone. False when the answer has ended, or the last write is not gone.
    mutating func give(_ bytes: [UInt8], _ writer: CheckedContinuation<Bool, Never>) -> Bool {
        guard end == nil, self.writer == nil else { return false }
        self.bytes = bytes
        taken = 0
        self.writer = writer
        return true
    }

    /// Fills `buffer` as far as it goes.
    /// - Returns: how much there was, or how the answer has ended, and who wrote it when it is gone; nil: there is nothing yet.
    mutating func take(into buffer: UnsafeMutableRawBufferPointer) -> (Int, CheckedContinuation<Bool, Never>?)? {
        guard writer != nil else { return end.map { ($0, nil) } }
        let count = min(buffer.count, bytes.count - taken)
        bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[taken..<taken + count])) }
        taken += count
        guard taken == bytes.count else { return (count, nil) }
        defer { forget() }
        return (count, writer)
    }

    /// Nothing more comes.
    /// - Returns: who wrote what was not taken.
    mutating func end(isWhole: Bool) -> CheckedContinuation<Bool, Never>? {
        defer { forget() }
        if end == nil { end = isWhole ? Self.whole : Self.broken }
        return writer
    }

    private mutating func forget() {
        bytes = []
        writer = nil
    }
}

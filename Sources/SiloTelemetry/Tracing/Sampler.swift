/// Decides which traces are recorded. The same trace is decided alike everywhere.
public indirect enum Sampler: Sendable, Equatable {
    case always, never
    /// Of so many of all, 0 to 1.
    case ratio(Double)
    /// As the caller decided; of a trace that begins here as another sampler says.
    case byParent(root: Sampler)

    /// Whether a span is recorded.
    /// - Parameters:
    ///   - low: the last eight bytes of the trace's name, which are of chance.
    ///   - parent: nil: it begins the trace.
    func records(_ low: UInt64, parent: TraceContext?) -> Bool {
        switch self {
        case .always: true
        case .never: false
        case .ratio(let ratio): ratio >= 1 || low >> 1 < UInt64(max(0, ratio) * 0x1p63)
        case .byParent(let root): parent?.isSampled ?? root.records(low, parent: nil)
        }
    }
}

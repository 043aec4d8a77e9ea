public import Foundation
import Protobuf

/// Where a process spent its processor time.
public struct CPUProfile {
    /// In the format of pprof, a protobuf, not compressed.
    public let bytes: [UInt8]
    /// Distinct ones.
    public let stacks: Int

    /// Takes some tenths of a second of processor time: not for a thread that others wait for.
    /// - Parameters:
    ///   - samples: what gperftools' profiler wrote of this process.
    ///   - frequency: how many it took in a second of processor time.
    public init(of samples: Data, frequency: Int, from begin: Date, milliseconds: Int64) throws {
        let samples = try CPUSamples(samples)
        stacks = samples.stacks.count
        let period = Int64(1_000_000_000 / max(1, frequency))
        let builder = PprofBuilder(.ofThisProcess())
        bytes = builder.profile(of: samples, periodNanoseconds: period, from: begin, milliseconds: milliseconds).serializedBytes()
    }
}

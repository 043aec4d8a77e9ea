import Foundation

/// Makes a profile as pprof reads it of stacks of addresses: every address once, with the function that it lies in.
struct PprofBuilder {
    private var files: MappedFiles
    private var profile = PerftoolsProfiles.Profile()
    private var texts: [String: Int64] = ["": 0]
    private var locations: [UInt64: UInt64] = [:]
    private var functions: [String: UInt64] = [:]

    init(_ files: MappedFiles) {
        self.files = files
        profile.stringTable = [""]
    }

    consuming func profile(
        of samples: CPUSamples, periodNanoseconds: Int64, from begin: Date, milliseconds: Int64
    ) -> PerftoolsProfiles.Profile {
        profile.sampleType = [type("samples", "count"), type("cpu", "nanoseconds")]
        profile.periodType = type("cpu", "nanoseconds")
        profile.period = periodNanoseconds
        profile.timeNanos = Int64(begin.timeIntervalSince1970 * 1e9)
        profile.durationNanos = milliseconds * 1_000_000
        for (index, mapping) in files.mappings.enumerated() {
            var entry = PerftoolsProfiles.Mapping()
            entry.id = UInt64(index + 1)
            entry.memoryStart = mapping.start
            entry.memoryLimit = mapping.end
            entry.fileOffset = mapping.fileOffset
            entry.filename = text(mapping.path)
            entry.hasFunctions = true
            profile.mapping.append(entry)
        }
        for stack in samples.stacks {
            var sample = PerftoolsProfiles.Sample()
            sample.value = [stack.count, stack.count.multipliedReportingOverflow(by: periodNanoseconds).partialValue]
            sample.locationId = stack.addresses.enumerated().map { index, address in
                // Of a caller the profiler has where it goes on, which may be the next function already.
                location(of: index == 0 || address == 0 ? address : address - 1)
            }
            profile.sample.append(sample)
        }
        return profile
    }

    private mutating func location(of address: UInt64) -> UInt64 {
        if let known = locations[address] { return known }
        var location = PerftoolsProfiles.Location()
        location.id = UInt64(locations.count + 1)
        location.address = address
        if let mapping = files.index(of: address) {
            location.mappingId = UInt64(mapping + 1)
            if let symbol = files.symbol(at: address, in: mapping) {
                var line = PerftoolsProfiles.Line()
                line.functionId = function(symbol)
                location.line = [line]
            }
        }
        profile.location.append(location)
        locations[address] = location.id
        return location.id
    }

    private mutating func function(_ symbol: String) -> UInt64 {
        if let known = functions[symbol] { return known }
        var function = PerftoolsProfiles.Function()
        function.id = UInt64(functions.count + 1)
        function.name = text(Demangling.name(of: symbol))
        function.systemName = text(symbol)
        profile.function.append(function)
        functions[symbol] = function.id
        return function.id
    }

    private mutating func type(_ type: String, _ unit: String) -> PerftoolsProfiles.ValueType {
        var result = PerftoolsProfiles.ValueType()
        result.type = text(type)
        result.unit = text(unit)
        return result
    }

    private mutating func text(_ text: String) -> Int64 {
        if let known = texts[text] { return known }
        let index = Int64(profile.stringTable.count)
        profile.stringTable.append(text)
        texts[text] = index
        return index
    }
}

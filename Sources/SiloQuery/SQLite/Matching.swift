import CSQLite

/// Patterns and parts of texts. LIKE tells upper from lower case; ILIKE does not, where letters are ASCII.
enum Matching {
    /// Of a pattern, in bytes.
    private static let patternBytesMax = 8192
    /// Bytes compared between two looks at whether the statement must end.
    private static let stepsBetweenLooks = 1 << 20

    static let like: ScalarFunctions.Body = { context, count, values in match(context, count, values, ignoresCase: false) }
    static let ilike: ScalarFunctions.Body = { context, count, values in match(context, count, values, ignoresCase: true) }

    static let startsWith: ScalarFunctions.Body = { context, _, values in
        compare(context, values) { text, part in text.count >= part.count && text.prefix(part.count).elementsEqual(part) }
    }

    static let endsWith: ScalarFunctions.Body = { context, _, values in
        compare(context, values) { text, part in text.count >= part.count && text.suffix(part.count).elementsEqual(part) }
    }

    static let contains: ScalarFunctions.Body = { context, _, values in
        // The pattern of a part that stands anywhere, with nothing in it that is special.
        let run = ScalarFunctions.run(context)
        let result = CellResult(context: context)
        guard let text = ScalarFunctions.bytes(values?[0]), let part = ScalarFunctions.bytes(values?[1]) else {
            return result.null()
        }
        guard part.count <= patternBytesMax else {
            return result.error("what is looked for has more than \(patternBytesMax) bytes")
        }
        let pattern: [Step] = [.any] + part.map { .byte($0) } + [.any]
        report(matches(text, pattern, ignoresCase: false, run), run, result)
    }

    private static func compare(
        _ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool
    ) {
        let result = CellResult(context: context)
        guard let text = ScalarFunctions.bytes(values?[0]), let part = ScalarFunctions.bytes(values?[1]) else {
            return result.null()
        }
        result.integer(body(text, part) ? 1 : 0)
    }

    private enum Step: Equatable {
        case byte(UInt8)
        /// One character.
        case one
        /// Any number of characters.
        case any
    }

    private static func match(
        _ context: OpaquePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?, ignoresCase: Bool
    ) {
        let run = ScalarFunctions.run(context)
        let result = CellResult(context: context)
        guard let pattern = ScalarFunctions.bytes(values?[0]), let text = ScalarFunctions.bytes(values?[1]) else {
            return result.null()
        }
        guard pattern.count <= patternBytesMax else { return result.error("a pattern has more than \(patternBytesMax) bytes") }
        var escape: UInt8?
        if count == 3 {
            guard let mark = ScalarFunctions.bytes(values?[2]) else { return result.null() }
            guard mark.count == 1 else { return result.error("ESCAPE takes one ASCII character") }
            escape = mark[0]
        }
        report(matches(text, steps(pattern, escape, ignoresCase), ignoresCase: ignoresCase, run), run, result)
    }

    private static func report(_ matches: Bool?, _ run: StatementRun?, _ result: CellResult) {
        if let matches { return result.integer(matches ? 1 : 0) }
        run?.failure = run?.control.end
        result.error("the statement has ended")
    }

    private static func steps(_ pattern: UnsafeRawBufferPointer, _ escape: UInt8?, _ ignoresCase: Bool) -> [Step] {
        var steps: [Step] = []
        var isEscaped = false
        for byte in pattern {
            if !isEscaped, byte == escape {
                isEscaped = true
                continue
            }
            switch byte {
            case UInt8(ascii: "%") where !isEscaped: if steps.last != .any { steps.append(.any) }
            case UInt8(ascii: "_") where !isEscaped: steps.append(.one)
            default: steps.append(.byte(ignoresCase ? byte.lowered : byte))
            }
            isEscaped = false
        }
        return steps
    }

    /// Goes back to the last `%` only, so that it takes no longer than the text times the pattern.
    /// - Returns: nil when the statement must end before that is known.
    private static func matches(
        _ text: UnsafeRawBufferPointer, _ steps: [Step], ignoresCase: Bool, _ run: StatementRun?
    ) -> Bool? {
        var position = 0
        var step = 0
        var retry: (step: Int, position: Int)?
        var left = stepsBetweenLooks
        while position < text.count {
            left -= 1
            if left == 0 {
                if run?.control.end != nil { return nil }
                left = stepsBetweenLooks
            }
            if step < steps.count {
                switch steps[step] {
                case .any:
                    step += 1
                    if step == steps.count { return true }
                    retry = (step, position)
                    continue
                case .one:
                    position = text.nextCharacter(after: position)
                    step += 1
                    continue
                case .byte(let byte):
                    if byte == (ignoresCase ? text[position].lowered : text[position]) {
                        position += 1
                        step += 1
                        continue
                    }
                }
            }
            guard let last = retry else { return false }
            position = text.nextCharacter(after: last.position)
            step = last.step
            retry = (step, position)
        }
        while step < steps.count, steps[step] == .any { step += 1 }
        return step == steps.count
    }
}

extension UInt8 {
    fileprivate var lowered: UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self }
}

extension UnsafeRawBufferPointer {
    fileprivate func nextCharacter(after position: Int) -> Int {
        var next = position + 1
        while next < count, self[next] & 0xc0 == 0x80 { next += 1 }
        return next
    }
}

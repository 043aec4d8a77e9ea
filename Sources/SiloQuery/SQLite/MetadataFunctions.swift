import CSQLite

/// Functions of maps and lists of texts, which travel as blobs: see `TextPairs`.
enum MetadataFunctions {
    typealias Body = ScalarFunctions.Body

    /// Whether a map has a key with a value; both come as one text.
    static let has: Body = { context, _, values in
        test(context, values) { own, asked in own.elementsEqual(asked.utf8) }
    }

    static let hasPrefix: Body = { context, _, values in
        test(context, values) { own, asked in own.starts(with: asked.utf8) }
    }

    /// The value of a key, or NULL.
    static let value: Body = { context, _, values in
        let result = CellResult(context: context)
        guard let map = ScalarFunctions.bytes(values?[0]), let key = ScalarFunctions.bytes(values?[1]),
            let value = TextPairs.value(of: key, in: map)
        else { return result.null() }
        result.text(value)
    }

    /// A list of the value of a key, or of one NULL.
    static let element: Body = { context, _, values in
        let result = CellResult(context: context)
        guard let map = ScalarFunctions.bytes(values?[0]), let key = ScalarFunctions.bytes(values?[1]) else {
            return result.null()
        }
        result.blob(TextPairs.blob([TextPairs.value(of: key, in: map).map { Array($0) }]))
    }

    static let anyValue: Body = { context, _, values in
        let result = CellResult(context: context)
        guard let list = ScalarFunctions.bytes(values?[0]), let first = TextPairs.texts(list).lazy.compactMap({ $0 }).first
        else { return result.null() }
        result.text(first)
    }

    static let contains: Body = { context, _, values in
        let result = CellResult(context: context)
        guard let list = ScalarFunctions.bytes(values?[0]), let text = ScalarFunctions.bytes(values?[1]) else {
            return result.null()
        }
        result.integer(TextPairs.texts(list).contains { $0?.elementsEqual(text) ?? false } ? 1 : 0)
    }

    static let keys: Body = { context, _, values in every(context, values, from: 0) }
    static let values: Body = { context, _, values in every(context, values, from: 1) }

    static let cardinality: Body = { context, _, values in
        let result = CellResult(context: context)
        guard let map = ScalarFunctions.bytes(values?[0]) else { return result.null() }
        result.integer(Int64(TextPairs.texts(map).count / 2))
    }

    static let mapText: Body = { context, _, values in shown(context, values, TextPairs.mapText) }
    static let listText: Body = { context, _, values in shown(context, values, TextPairs.listText) }

    private static func test(
        _ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?,
        _ body: (UnsafeRawBufferPointer, String) -> Bool
    ) {
        let result = CellResult(context: context)
        guard let map = ScalarFunctions.bytes(values?[0]),
            let pair = ScalarFunctions.text(values?[1]).flatMap({ MetadataPair($0) })
        else { return result.null() }
        var key = pair.key
        let own = key.withUTF8 { TextPairs.value(of: UnsafeRawBufferPointer($0), in: map) }
        guard let own else { return result.null() }
        result.integer(body(own, pair.value) ? 1 : 0)
    }

    private static func every(_ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?, from start: Int) {
        let result = CellResult(context: context)
        guard let map = ScalarFunctions.bytes(values?[0]) else { return result.null() }
        let texts = TextPairs.texts(map)
        result.blob(TextPairs.blob(stride(from: start, to: texts.count, by: 2).map { texts[$0].map { Array($0) } }))
    }

    private static func shown(
        _ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?, _ body: (UnsafeRawBufferPointer) -> [UInt8]
    ) {
        let result = CellResult(context: context)
        guard let bytes = ScalarFunctions.bytes(values?[0]) else { return result.null() }
        body(bytes).withUnsafeBytes { result.text($0) }
    }
}

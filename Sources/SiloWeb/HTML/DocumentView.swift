import SiloAPI

/// What a job carries or came to, as whoever looks wants it: as JSON that can be folded, as MessagePack has it, or in bytes.
struct DocumentView {
    enum Form: String, CaseIterable {
        case json, msgpack, hex

        var title: String {
            switch self {
            case .json: "JSON"
            case .msgpack: "MessagePack"
            case .hex: "Hex"
            }
        }
    }
    private static let hexBytesMax = 4096
    private static let readBytesMax = 8 << 20
    let id: String
    let title: String
    let bytes: [UInt8]
    let form: Form

    init(_ id: String, _ title: String, _ message: SiloV1.SerializedBytes?, _ form: Form) {
        self.id = id
        self.title = title
        if case .msgpack(let bytes)? = message?.encoding { self.bytes = bytes } else { bytes = [] }
        self.form = form
    }

    /// - Parameter link: to the same page with another form.
    func html(_ link: (Form) -> Link) -> HTML {
        guard !bytes.isEmpty else {
            return "<section class=\"card\" id=\"\(id)\"><h2>\(title) <small>none</small></h2></section>"
        }
        let value = bytes.count > Self.readBytesMax ? nil : try? MessagePack(bytes)
        let tabs = Form.allCases.map { other -> HTML in
            let mark: HTML = .when(other == form, " aria-current=\"true\"")
            return "<a href=\"\(link(other))#\(id)\"\(mark)>\(other.title)</a>"
        }
        let copy: HTML = "<button type=\"button\" class=\"button quiet copy\" data-copy=\"\(id)-text\">Copy</button>"
        return """
            <section class="card document" id="\(id)"><div class="section-head">\
            <h2>\(title) <small>\(Quantity.bytes(bytes.count))</small></h2>\
            <div class="buttons">\(copy)\
            <nav class="tabs" aria-label="Form of \(title)">\(tabs)</nav></div></div>\
            \(content(value))</section>
            """
    }

    private func content(_ value: MessagePack?) -> HTML {
        guard form != .hex, let value else {
            let why: HTML = .when(form != .hex, .hint("This is no MessagePack, or too much to be read: here are its bytes."))
            return "\(why)\(hex)"
        }
        if form == .msgpack {
            var outline = MessagePackOutline()
            let lines = outline.text(value)
            let cut: HTML = .when(outline.isCut, Self.cutHint)
            return "\(block("\(lines)"))\(cut)"
        }
        var tree = JSONTree()
        let html = tree.html(value)
        let cut: HTML = .when(tree.isCut, Self.cutHint)
        return """
            <div class="tree" id="\(id)-text" tabindex="0" role="region" aria-label="\(title)">\(html)</div>\(cut)
            """
    }

    private var hex: HTML {
        let cut: HTML = .when(
            bytes.count > Self.hexBytesMax,
            .hint("The first \(Quantity.bytes(Self.hexBytesMax)) of \(Quantity.bytes(bytes.count))."))
        return "\(block("\(Hex.dump(bytes.prefix(Self.hexBytesMax)))"))\(cut)"
    }

    private func block(_ text: HTML) -> HTML {
        "<pre class=\"tree\" id=\"\(id)-text\" tabindex=\"0\" aria-label=\"\(title)\">\(text)</pre>"
    }

    private static let cutHint: HTML = """
        <p class="hint">Too long to show whole: what is left out is marked by …. All of it: <code>siloctl job get</code></p>
        """
}

/// A value as MessagePack has it: each with its type, one a line.
struct MessagePackOutline {
    private var left = 24_000
    private(set) var isCut = false
    private static let textMax = 1000

    mutating func text(_ value: MessagePack) -> String {
        var lines = ""
        add(value, "", 0, to: &lines)
        return lines
    }

    private mutating func add(_ value: MessagePack, _ name: String, _ depth: Int, to lines: inout String) {
        guard left > 0 else {
            if !isCut { lines += "…\n" }
            isCut = true
            return
        }
        let (type, text) = described(value)
        let line = String(repeating: "  ", count: depth) + name + type + (text.isEmpty ? "" : " " + text) + "\n"
        left -= line.count
        lines += line
        switch value {
        case .array(let values):
            for (index, value) in values.enumerated() where left > 0 || !isCut {
                add(value, "[\(index)] ", depth + 1, to: &lines)
            }
        case .map(let pairs):
            for (key, value) in pairs where left > 0 || !isCut { add(value, described(key).1 + ": ", depth + 1, to: &lines) }
        default: break
        }
    }

    private mutating func described(_ value: MessagePack) -> (type: String, text: String) {
        switch value {
        case .null: return ("nil", "")
        case .bool(let value): return ("bool", String(value))
        case .int(let number): return ("int", String(number))
        case .uint(let number): return ("uint", String(number))
        case .double(let number): return ("float", "\(number)")
        case .text(let text): return ("str(\(text.utf8.count))", "\"" + cut(text) + "\"")
        case .bytes(let bytes): return ("bin(\(bytes.count))", cut(Hex.digits(bytes.prefix(Self.textMax))))
        case .array(let values): return ("array(\(values.count))", "")
        case .map(let pairs): return ("map(\(pairs.count))", "")
        case .other(let type, let bytes): return ("ext(\(type), \(bytes.count))", cut(Hex.digits(bytes.prefix(Self.textMax))))
        }
    }

    private mutating func cut(_ text: String) -> String {
        let shown = Name.visible(String(text.prefix(Self.textMax)))
        guard text.count > Self.textMax else { return shown }
        isCut = true
        return shown + "…"
    }
}

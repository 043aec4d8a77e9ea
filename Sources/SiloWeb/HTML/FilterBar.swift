/// The form above a list that says what of it is shown. It is sent by `GET`, so that the address shows the same to a colleague.
struct FilterBar {
    /// Of the page.
    let path: String
    let controls: [HTML]
    /// Where nothing is filtered; nil: nothing is now.
    let clear: Link?

    var html: HTML {
        let clear: HTML = clear.map { "<a class=\"button quiet\" href=\"\($0)\">Clear</a>" } ?? .empty
        return """
            <form class="filters card" action="\(Link(path))" aria-label="Filter">\(controls)<div class="buttons">\
            <button class="button primary">Show</button>\(clear)</div></form>
            """
    }

    /// One that shows those whose name has a text in it.
    /// - Parameter kept: what else the address says.
    static func byName(_ path: String, _ wanted: String, _ label: String, keeping kept: [(String, String?)] = []) -> FilterBar {
        let rest = kept.compactMap { name, value in value.map { hidden(name, $0) } }
        return FilterBar(
            path: path, controls: rest + [search("name", label, wanted)], clear: wanted.isEmpty ? nil : Link(path, kept))
    }

    static func search(_ name: String, _ title: String, _ value: String) -> HTML {
        """
        <label><span>\(title)</span><input type="search" name="\(name)" value="\(value)" maxlength="256" autocomplete="off" \
        spellcheck="false"></label>
        """
    }

    static func checkbox(_ name: String, _ title: String, _ isOn: Bool) -> HTML {
        """
        <label class="check"><input type="checkbox" name="\(name)" value="1"\(HTML.when(isOn, " checked"))> \
        <span>\(title)</span></label>
        """
    }

    static func field(_ name: String, _ title: String, _ value: String?, example: String = "") -> HTML {
        """
        <label><span>\(title)</span><input name="\(name)" value="\(value ?? "")" maxlength="1024" placeholder="\(example)" \
        autocomplete="off" spellcheck="false"></label>
        """
    }

    /// What a job failed with, or that it failed with nothing.
    static func code(_ filter: JobFilterForm) -> [HTML] {
        let none: [HTML] = filter.code == "" ? [checkbox(JobFilterForm.noCodeField, "Without a code", true)] : []
        return [field("code", "Error code", filter.code)] + none
    }

    /// How far back.
    static func since(_ title: String, _ chosen: JobFilterForm.Since?) -> HTML {
        let all = [nil] + JobFilterForm.Since.allCases.map { Optional($0) }
        let options = all.map { span -> HTML in
            let mark: HTML = .when(span == chosen, " selected")
            return "<option value=\"\(span?.rawValue ?? "")\"\(mark)>\(span?.title ?? "any time")</option>"
        }
        return "<label><span>\(title)</span><select name=\"since\">\(options)</select></label>"
    }

    /// From when to when, in a zone that every viewer knows.
    static func times(_ filter: JobFilterForm) -> [HTML] {
        [("from", "From, UTC", filter.from), ("before", "Before, UTC", filter.before)].map { name, title, time in
            let text = time.map { LocalTime.text($0) } ?? ""
            // What the control cannot show stays as it is.
            guard let text else { return hidden(name, time.map { String($0) } ?? "") }
            return """
                <label><span>\(title)</span><input type="datetime-local" name="\(name)" value="\(text)" step="any"></label>
                """
        }
    }

    static func hidden(_ name: String, _ value: String) -> HTML { "<input type=\"hidden\" name=\"\(name)\" value=\"\(value)\">" }
}

extension HTML {
    /// A line of small print.
    static func hint(_ text: HTML) -> HTML { "<p class=\"hint\">\(text)</p>" }
    static func link(_ link: Link, _ text: HTML) -> HTML { "<a href=\"\(link)\">\(text)</a>" }
}

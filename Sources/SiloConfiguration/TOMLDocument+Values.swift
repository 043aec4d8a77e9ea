import Foundation

extension TOMLDocument.Value {
    /// The value, with references to the environment replaced.
    func raw(in environment: [String: String]) -> SettingForm.Raw {
        switch type {
        case "string": return .text(Substitution(text, in: environment).text)
        case "integer": return Int(text).map(SettingForm.Raw.number) ?? .other(type)
        case "float": return Double(text).map(SettingForm.Raw.fraction) ?? .other(type)
        case "boolean": return .flag(text == "true")
        case "array":
            let texts = (items ?? []).compactMap { $0.type == "string" ? Substitution($0.text, in: environment).text : nil }
            return texts.count == items?.count ? .texts(texts) : .other(type)
        default: return .other(type)
        }
    }

    /// As the file has it.
    var shown: String {
        switch type {
        case "string": "\"\(text)\""
        case "array": "an array"
        case "table", "date": "a \(type)"
        default: text
        }
    }
}

extension SettingForm.Raw {
    /// The value in JSON; nil for what no setting of the storage engine is.
    var json: String? {
        switch self {
        case .text(let text): Self.json(text)
        case .number(let number): "\(number)"
        case .flag(let flag): "\(flag)"
        case .fraction, .texts, .table, .other: nil
        }
    }

    private static func json(_ text: String) -> String? {
        let options: JSONSerialization.WritingOptions = [.fragmentsAllowed, .withoutEscapingSlashes]
        guard let data = try? JSONSerialization.data(withJSONObject: text, options: options) else { return nil }
        return String(decoding: data, as: UTF8.self)
    }
}

extension SettingForm {
    /// What a text with a reference to the environment stands for: where no text is wanted, the number or the word in it.
    func raw(_ text: String) -> Raw {
        switch self {
        case .flag: ["true": .flag(true), "false": .flag(false)][text] ?? .text(text)
        case .number, .duration, .size: Int(text).map(Raw.number) ?? .text(text)
        case .fraction: Double(text).map(Raw.fraction) ?? .text(text)
        case .text, .checked, .word, .texts, .table: .text(text)
        }
    }
}

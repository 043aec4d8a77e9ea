/// Something that an operator can set: one row of the table, with the type that the program reads it in.
package struct Setting<Value: Sendable>: AnySetting {
    package let entry: SettingEntry
    let read: @Sendable (SettingValue?) -> Value

    /// A setting with a default.
    package init(
        _ key: String, _ form: SettingForm, default value: Value, _ traits: SettingTrait..., help: String
    ) where Value: SettingConvertible {
        entry = SettingEntry(key, form, default: value.settingValue, traits, help: help)
        read = { $0.flatMap(Value.init(settingValue:)) ?? value }
    }

    /// A setting that may be left out.
    /// - Parameter absent: what holds without it, for people to read.
    package init<Wrapped: SettingConvertible>(
        _ key: String, _ form: SettingForm, absent: String = "none", _ traits: SettingTrait..., help: String
    ) where Value == Wrapped? {
        entry = SettingEntry(key, form, absent: absent, traits, help: help)
        read = { $0.flatMap(Wrapped.init(settingValue:)) }
    }
}

/// A setting of any type.
protocol AnySetting: Sendable {
    var entry: SettingEntry { get }
}

/// The row of the table that every part is made from: the command line, the file, what is printed, and the documents.
package struct SettingEntry: Sendable {
    /// Section and key, such as `server.grpc_addr`.
    package let key: String
    package let form: SettingForm
    /// Nil: it may be left out.
    package let defaultValue: SettingValue?
    /// What holds without a value, for people to read.
    package let absent: String
    package let help: String
    /// The option of the command line; nil: it is only in the file.
    package private(set) var option: SettingOption?
    /// The environment variable that it is read from, too.
    package private(set) var variable: String?
    /// Its value is shown to nobody.
    package private(set) var isSecret = false
    /// It can change while the server runs.
    package private(set) var isReloadable = false
    /// Why it has no effect; nil: it has.
    package private(set) var unused: String?

    init(
        _ key: String, _ form: SettingForm, default value: SettingValue? = nil, absent: String = "", _ traits: [SettingTrait],
        help: String
    ) {
        self.key = key
        self.form = form
        defaultValue = value
        self.absent = absent
        self.help = help
        for trait in traits {
            switch trait {
            case .option(let option): self.option = option
            case .variable(let name): variable = name
            case .secret: isSecret = true
            case .reloadable: isReloadable = true
            case .unused(let why): unused = why
            }
        }
    }

    /// The section, and the key in it.
    package var section: String { key.split(separator: ".").dropLast().joined(separator: ".") }
    package var name: String { key.split(separator: ".").last.map(String.init) ?? key }
}

/// What is special about a setting.
package enum SettingTrait: Sendable {
    case option(SettingOption)
    case variable(String)
    case secret
    case reloadable
    case unused(String)

    /// An option `--name`.
    /// - Parameters:
    ///   - placeholder: names its value; nil: a switch.
    ///   - unit: what a bare number is in, in milliseconds or bytes.
    ///   - help: what it does, where that is not what the file's key does.
    static func option(
        _ name: String, _ letter: Character? = nil, _ placeholder: String? = nil, unit: Int? = nil, help: String? = nil
    ) -> Self {
        .option(SettingOption(name: name, letter: letter, placeholder: placeholder, unit: unit, help: help))
    }
}

/// How a setting is given on the command line.
package struct SettingOption: Sendable {
    package let name: String
    let letter: Character?
    let placeholder: String?
    let unit: Int?
    let help: String?
}

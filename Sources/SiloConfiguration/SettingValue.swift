/// A value as the table keeps it, whatever its type in the program.
package enum SettingValue: Sendable, Equatable {
    case text(String)
    case flag(Bool)
    /// A count, a number of milliseconds or a number of bytes.
    case number(Int)
    case fraction(Double)
    case texts([String])
    /// Names with dots, and their values in JSON.
    case table([String: String])
}

/// What a setting can be read as.
package protocol SettingConvertible: Sendable {
    init?(settingValue: SettingValue)
    var settingValue: SettingValue { get }
}

extension String: SettingConvertible {
    package init?(settingValue: SettingValue) {
        guard case .text(let text) = settingValue else { return nil }
        self = text
    }
    package var settingValue: SettingValue { .text(self) }
}

extension Bool: SettingConvertible {
    package init?(settingValue: SettingValue) {
        guard case .flag(let flag) = settingValue else { return nil }
        self = flag
    }
    package var settingValue: SettingValue { .flag(self) }
}

/// A count, or bytes.
extension Int: SettingConvertible {
    package init?(settingValue: SettingValue) {
        guard case .number(let number) = settingValue else { return nil }
        self = number
    }
    package var settingValue: SettingValue { .number(self) }
}

extension Double: SettingConvertible {
    package init?(settingValue: SettingValue) {
        guard case .fraction(let fraction) = settingValue else { return nil }
        self = fraction
    }
    package var settingValue: SettingValue { .fraction(self) }
}

/// Whole milliseconds.
extension Duration: SettingConvertible {
    package init?(settingValue: SettingValue) {
        guard case .number(let milliseconds) = settingValue else { return nil }
        self = .milliseconds(milliseconds)
    }
    package var settingValue: SettingValue { .number(wholeMilliseconds) }

    /// Rounded down; the bounds of the settings keep it far from the ends of the type.
    package var wholeMilliseconds: Int {
        Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}

extension [String]: SettingConvertible {
    package init?(settingValue: SettingValue) {
        guard case .texts(let texts) = settingValue else { return nil }
        self = texts
    }
    package var settingValue: SettingValue { .texts(self) }
}

extension [String: String]: SettingConvertible {
    package init?(settingValue: SettingValue) {
        guard case .table(let table) = settingValue else { return nil }
        self = table
    }
    package var settingValue: SettingValue { .table(self) }
}

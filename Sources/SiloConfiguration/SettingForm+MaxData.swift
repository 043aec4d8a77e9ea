extension SettingForm {
    /// How much data there may be.
    static let maxData = Self.checked(
        wanted: "a size such as \"200GiB\", a part of the disk such as \"90%\", auto or off"
    ) { DataLimit($0) != nil }
}

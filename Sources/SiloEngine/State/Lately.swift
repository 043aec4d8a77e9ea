import SiloCore

/// How often something happened in the last minute, about: counted by whole minutes of steady time, of which the one before
/// counts as far as it still lies within the last 60 seconds.
struct Lately {
    private static let length: Int64 = 60_000
    private var minute: Int64 = 0
    private var inMinute: UInt32 = 0
    private var before: UInt32 = 0

    mutating func count(at steady: Timestamp) {
        pass(to: steady.milliseconds / Self.length)
        inMinute &+= 1
    }

    func value(at steady: Timestamp) -> Int64 {
        guard inMinute > 0 || before > 0 else { return 0 }
        var passed = self
        passed.pass(to: steady.milliseconds / Self.length)
        let share = Double(Self.length - steady.milliseconds % Self.length) / Double(Self.length)
        return Int64((Double(passed.before) * share).rounded()) + Int64(passed.inMinute)
    }

    private mutating func pass(to minute: Int64) {
        guard minute > self.minute else { return }
        before = minute == self.minute + 1 ? inMinute : 0
        inMinute = 0
        self.minute = minute
    }
}

public import SiloCore

/// A period of the calendar in UTC, by the number that stands for it in a rate limit's duration.
public enum CalendarPeriod: Int64, CaseIterable, Sendable {
    case minute, hour, day, week, month, year

    private static let dayMilliseconds: Int64 = 86_400_000

    /// When the period that `moment` is in began. Weeks begin on Monday.
    public func start(of moment: Timestamp) -> Timestamp {
        let time = moment.milliseconds
        switch self {
        case .minute: return Timestamp(Self.floor(time, 60_000))
        case .hour: return Timestamp(Self.floor(time, 3_600_000))
        case .day: return Timestamp(Self.floor(time, Self.dayMilliseconds))
        case .week:
            // The epoch was a Thursday.
            let shift = 3 * Self.dayMilliseconds
            return Timestamp(Self.floor(time + shift, 7 * Self.dayMilliseconds) - shift)
        case .month, .year:
            let date = Self.date(of: time)
            return Timestamp(Self.day(date.year, self == .month ? date.month : 1) * Self.dayMilliseconds)
        }
    }

    /// When the next period begins.
    public func end(after moment: Timestamp) -> Timestamp {
        let begin = start(of: moment)
        switch self {
        case .minute: return begin + 60_000
        case .hour: return begin + 3_600_000
        case .day: return begin + Self.dayMilliseconds
        case .week: return begin + 7 * Self.dayMilliseconds
        case .month, .year:
            let date = Self.date(of: begin.milliseconds)
            let (year, month) = self == .year || date.month == 12 ? (date.year + 1, 1) : (date.year, date.month + 1)
            return Timestamp(Self.day(year, month) * Self.dayMilliseconds)
        }
    }

    private static func floor(_ time: Int64, _ unit: Int64) -> Int64 {
        let rest = time % unit
        return time - (rest < 0 ? rest + unit : rest)
    }

    /// Days from the epoch to the first of a month: the civil calendar counted in years that begin in March.
    private static func day(_ year: Int64, _ month: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = floor(year, 400) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    private static func date(of time: Int64) -> (year: Int64, month: Int64) {
        let days = floor(time, dayMilliseconds) / dayMilliseconds + 719_468
        let era = floor(days, 146_097) / 146_097
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month)
    }
}

/// Why bytes are not a message.
public enum DecodingError: Error, Equatable, CustomStringConvertible {
    /// The input ends inside a field.
    case truncated
    /// A variable-length integer is longer than ten bytes.
    case malformedInteger
    /// A field number of 0, or a wire type that does not exist.
    case malformedTag
    /// A string is not UTF-8.
    case invalidText
    /// A group ends that was not begun, or the other way round.
    case unbalancedGroup
    /// Messages are nested more than `Reader.depthMax` deep.
    case tooDeep
    /// There are more nested messages than the reader allows.
    case tooMany

    public var description: String {
        switch self {
        case .truncated: "the message ends inside a field"
        case .malformedInteger: "an integer is longer than ten bytes"
        case .malformedTag: "a field has an impossible number or wire type"
        case .invalidText: "a string is not valid UTF-8"
        case .unbalancedGroup: "a group is not balanced"
        case .tooMany: "there are too many nested messages"
        case .tooDeep: "messages are nested more than \(Reader.depthMax) deep"
        }
    }
}

/// What keeps a profile from being made.
public struct ProfileError: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

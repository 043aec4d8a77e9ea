package import SiloCore

/// Whether there is room for more data. What frees room is never asked.
package protocol DataRoom: Sendable {
    /// Refuses new jobs, and says what to do.
    func check() throws(SiloError)
}

/// There always is.
package struct EndlessRoom: DataRoom {
    package init() {}
    package func check() throws(SiloError) {}
}

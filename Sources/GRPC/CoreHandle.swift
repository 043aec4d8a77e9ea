/// A pointer to a call or channel of the C core.
///
/// `@unchecked Sendable`: the core lets any thread use them; who may release one is said where it is kept.
struct CoreHandle: @unchecked Sendable {
    let pointer: OpaquePointer
}

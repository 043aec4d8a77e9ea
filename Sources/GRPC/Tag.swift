import CGRPC

/// What travels through the C core with an operation and comes back when it is complete.
///
/// The owner is retained while the operation runs: `arm` takes the reference, and the function that `Tag.complete`
/// calls, or `disarm` when the operation could not start, gives it back.
enum Tag {
    typealias Function = @convention(c) (UnsafeMutableRawPointer, Bool) -> Void

    static func arm(_ tag: inout cgrpc_tag, _ owner: AnyObject, _ function: @escaping Function) {
        cgrpc_tag_arm(&tag, Unmanaged.passRetained(owner).toOpaque(), function)
    }

    static func disarm(_ tag: inout cgrpc_tag) {
        guard let owner = cgrpc_tag_disarm(&tag) else { return }
        Unmanaged<AnyObject>.fromOpaque(owner).release()
    }

    /// Called on a thread of the queue, once per operation.
    static func complete(_ tag: UnsafeMutableRawPointer, ok: Bool) {
        let tag = tag.assumingMemoryBound(to: cgrpc_tag.self)
        // Before the function, which may free the tag or arm it again.
        guard let owner = cgrpc_tag_disarm(tag), let function = tag.pointee.complete else { return }
        function(owner, ok)
    }
}

/// The object behind a tag's owner, with the reference that `Tag.arm` took.
func takeOwner<Owner: AnyObject>(_ owner: UnsafeMutableRawPointer, as type: Owner.Type = Owner.self) -> Owner {
    Unmanaged<Owner>.fromOpaque(owner).takeRetainedValue()
}

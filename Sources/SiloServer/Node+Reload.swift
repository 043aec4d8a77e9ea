import GRPC
import SiloEngine
import SiloTelemetry
import Synchronization

/// Settings that could not be changed while the server runs: they stay as they were.
package struct RefusedSettings: Sendable, CustomStringConvertible {
    package let keys: [String]
    /// Which, and why.
    package let description: String
}

extension Node {
    /// Changes what can change while the server runs, a line for each part, and reads the files again that the settings name.
    /// - Returns: what could not be changed.
    package func reload(_ settings: NodeSettings) async -> [RefusedSettings] {
        if let filter = settings.logFilter { logger.control.configure(filter) }
        server.limitCalls(settings.concurrentCallsMax)
        drainTime.withLock { $0 = settings.drain }
        return core.reload(settings) + (await onOwnThread { [accessFiles] in accessFiles.reload(settings) })
    }

    /// Writes down for auditors that settings were read anew.
    /// - Parameters:
    ///   - changed: keys of those that are in force now, and were not before.
    ///   - error: what kept all of them from being taken; nil: nothing did.
    package func noteReload(changed: [String], error: String? = nil) {
        accessFiles.noteReload(changed: changed, error: error)
    }
}

extension NodeCore {
    func reload(_ settings: NodeSettings) -> [RefusedSettings] {
        for host in shards.hosts { host.change(settings.engine.changeable) }
        room?.set(settings.maxData)
        guard settings.engine.auditMilliseconds != nil, shards.hosts.contains(where: { !$0.isAudited }) else { return [] }
        let key = "limits.audit_interval"
        return [RefusedSettings(keys: [key], description: "\(key) can only be turned on by a restart")]
    }
}

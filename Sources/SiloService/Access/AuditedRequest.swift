package import SiloAPI
import SiloCore
import SiloStore

/// A request of an administrative call: what it is about, for the audit log. No payloads, no reasons.
package protocol AuditedRequest {
    var auditFields: [(String, String)] { get }
}

/// Fields that were given.
private func named(_ fields: KeyValuePairs<String, String?>) -> [(String, String)] {
    fields.compactMap { name, value in value.flatMap { $0.isEmpty ? nil : (name, shortened($0)) } }
}

/// By its bytes: a request that was refused may name what it likes, and a line of the audit log has a bound.
private func shortened(_ text: String) -> String {
    text.utf8.count > 1024 ? String(decoding: text.utf8.prefix(1024), as: UTF8.self) : text
}

extension SiloV1.CancelJobRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "job": id, "shard": shard]) }
}
extension SiloV1.RestartJobRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "job": id, "shard": shard]) }
}
extension SiloV1.ExpediteJobRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "job": id, "shard": shard]) }
}
extension SiloV1.DeleteJobRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "job": id, "shard": shard]) }
}
extension SiloV1.LeaseTaskRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "job": id, "shard": shard]) }
}
extension SiloV1.DropTenantHoldersRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "shard": shard]) }
}
extension SiloV1.DropLimitHoldersRequest: AuditedRequest {
    package var auditFields: [(String, String)] {
        named(["tenant": tenant, "limit_key": limitKey, "shard": shard])
    }
}
extension SiloV1.ImportJobsRequest: AuditedRequest {
    package var auditFields: [(String, String)] {
        let tenants = Set(jobs.compactMap { ExactText($0.tenant) }).sorted()
        return named(["tenant": tenants.prefix(8).map(\.text).joined(separator: ","), "jobs": "\(jobs.count)"])
    }
}
extension SiloV1.PauseRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "target": target?.audited, "shard": shard]) }
}
extension SiloV1.ResumeRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "target": target?.audited, "shard": shard]) }
}
extension SiloV1.CompactShardRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["shard": shard]) }
}
extension SiloV1.FlushShardRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["shard": shard]) }
}
extension SiloV1.GetShardStorageInfoRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["shard": shard]) }
}
extension SiloV1.CpuProfileRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["seconds": "\(durationSeconds)"]) }
}
extension SiloV1.HeapProfileRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["seconds": "\(durationSeconds)"]) }
}
extension SiloV1.ResetShardsRequest: AuditedRequest {
    package var auditFields: [(String, String)] { [] }
}
extension SiloV1.SetLogFilterRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["filter": filter]) }
}
extension SiloV1.DropTenantRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "shard": shard]) }
}
extension SiloV1.GetTenantDropRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant, "shard": shard]) }
}
extension SiloV1.StartBulkActionRequest: AuditedRequest {
    package var auditFields: [(String, String)] {
        named([
            "tenant": tenant, "action": id, "kind": StorageV1.BulkVerb(kind)?.word, "condition": condition,
            "dry_run": dryRun ? "true" : nil, "shard": shard,
        ])
    }
}
extension SiloV1.GetBulkActionRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["action": id, "shard": shard]) }
}
extension SiloV1.ListBulkActionsRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["shard": shard]) }
}
extension SiloV1.CancelBulkActionRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["action": id, "shard": shard]) }
}
extension SiloV1.QuietWorkerRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["worker": workerId, "resume": resume ? "true" : nil]) }
}
extension SiloV1.DumpTasksRequest: AuditedRequest {
    package var auditFields: [(String, String)] { [] }
}
extension SiloV1.GetConfigurationRequest: AuditedRequest {
    package var auditFields: [(String, String)] { [] }
}
extension SiloV1.ListAuditEntriesRequest: AuditedRequest {
    package var auditFields: [(String, String)] { named(["tenant": tenant]) }
}

extension SiloV1.PauseTarget {
    fileprivate var audited: String? {
        switch target {
        case .wholeTenant: "whole tenant"
        case .taskGroup(let group): "task group \(group)"
        case .limitKey(let key): "limit \(key)"
        case nil: nil
        }
    }
}

/// A request of several jobs: each counts for whoever is kept to so many requests a second.
package protocol RequestOfMany {
    var entryCount: Int { get }
}

extension SiloV1.EnqueueBatchRequest: RequestOfMany {
    package var entryCount: Int { jobs.count }
}
extension SiloV1.ImportJobsRequest: RequestOfMany {
    package var entryCount: Int { jobs.count }
}
extension SiloV1.ReportOutcomesRequest: RequestOfMany {
    package var entryCount: Int { outcomes.count }
}

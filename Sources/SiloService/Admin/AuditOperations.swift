package import SiloAPI
package import SiloCore
import SiloTelemetry

/// What administrators ask of the audit log.
package struct AuditOperations: Sendable {
    /// Nil: nothing is written down.
    let log: AuditLog?
    private let reader = AuditReader()

    init(log: AuditLog?) { self.log = log }

    private static let textBytesMax = 1024
    /// Calls that only read: whoever looks at a page, such as this log, would see themselves above all.
    private static let readings: Set = [
        "ListAuditEntries", "GetConfiguration", "GetShardStorageInfo", "GetBulkAction", "ListBulkActions", "GetTenantDrop",
    ]

    package func listAuditEntries(
        _ request: SiloV1.ListAuditEntriesRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.ListAuditEntriesResponse {
        let search = try Self.search(request)
        var response = SiloV1.ListAuditEntriesResponse()
        guard let place = log?.currentPlace else { return response }
        response.path = place.description
        guard case .file(let path) = place else {
            response.place = .stream
            return response
        }
        response.place = .file
        let page: AuditPage
        do throws(AuditReader.Failure) { page = try await reader.page(search, of: path) } catch {
            switch error {
            case .busy: throw .exhausted("the audit log is read by others; ask again")
            case .gone:
                throw .invalidArgument("cursor: its file was rotated away or cut meanwhile; begin with the newest entries")
            case .unreadable(let why): throw .failed("the audit log cannot be read: \(why)")
            }
        }
        response.entries = page.entries.map { SiloV1.AuditEntry($0) }
        response.nextCursor = page.next?.text ?? ""
        response.reachedMs = page.reached
        response.unreadableLines = UInt64(page.unreadableLines)
        response.packedFiles = UInt64(page.packedFiles)
        response.closedFiles = UInt64(page.closedFiles)
        return response
    }

    private static func search(_ request: SiloV1.ListAuditEntriesRequest) throws(SiloError) -> AuditSearch {
        var search = AuditSearch()
        func text(_ text: String, _ field: String) throws(SiloError) -> String? {
            try Bounds.checkText(text, textBytesMax, field)
            return text.isEmpty ? nil : text
        }
        search.who = try text(request.who, "who")
        search.call = try text(request.call, "call")
        search.tenant = try text(request.tenant, "tenant")
        search.outcome = try text(request.outcome, "outcome")
        search.isFailed = request.onlyFailed
        if !request.withReadings, request.call.isEmpty { search.leavingOut = readings }
        search.from = request.fromMs
        search.before = request.beforeMs
        search.entriesMax = Bounds.page(request.limit)
        if !request.cursor.isEmpty {
            search.place = AuditSearch.Place(request.cursor)
            guard search.place != nil else { throw .outOfBounds(field: "cursor", bound: "is none of this list") }
        }
        return search
    }
}

extension SiloV1.AuditEntry {
    fileprivate init(_ entry: SiloTelemetry.AuditEntry) {
        self.init()
        timeMs = entry.milliseconds
        for field in entry.fields {
            switch field.name {
            case "time": continue
            case "who": who = field.value
            case "by": by = field.value
            case "peer": peer = field.value
            case "call": call = field.value
            case "outcome": outcome = field.value
            case "error": error = field.value
            default:
                var other = SiloV1.AuditField()
                (other.name, other.value) = (field.name, field.value)
                fields.append(other)
            }
        }
    }
}

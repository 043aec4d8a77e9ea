import Foundation
import Synchronization

/// Reads an audit log that is written meanwhile, on threads of its own: so many pages at once.
package final class AuditReader: Sendable {
    package enum Failure: Error {
        /// Too many pages are being read.
        case busy
        /// The place to go on at is gone: begin anew.
        case gone
        case unreadable(String)
    }
    private let reading = Mutex(0)
    private static let readingMax = 4

    package init() {}

    package func page(_ search: AuditSearch, of path: String) async throws(Failure) -> AuditPage {
        let isFree = reading.withLock { count in
            guard count < Self.readingMax else { return false }
            count += 1
            return true
        }
        guard isFree else { throw .busy }
        let result: Result<AuditPage, Failure> = await withCheckedContinuation { continuation in
            // It ends when it has read the page, which has a bound.
            Thread.detachNewThread {
                let result = Self.read(search, path)
                self.reading.withLock { $0 -= 1 }
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    private static func read(_ search: AuditSearch, _ path: String) -> Result<AuditPage, Failure> {
        var finder = AuditFinder(search)
        do {
            return .success(try finder.page(of: path))
        } catch is AuditFinder.Gone {
            return .failure(.gone)
        } catch is BackwardLines.Vanished {
            return .failure(.gone)
        } catch {
            return .failure(.unreadable("\(error)"))
        }
    }
}

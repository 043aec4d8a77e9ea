import HTTPServer
import Protobuf

/// A file that is made for a visitor: where it is, who may have it, and what is in it.
struct Download: Sendable {
    /// Such as `/sql/export.csv`.
    let path: String
    /// Who may not call this method may not have it.
    let needs: String
    /// Of a form that asks for it by POST, because it is too long for an address; 0: there is none.
    let formBytesMax: Int
    let answer: @Sendable (Visit) async throws -> HTTPResponse

    init<Request: Message, Answer: Message>(
        _ path: String, needs method: Method<Request, Answer>, formBytesMax: Int = 0,
        _ answer: @escaping @Sendable (Visit) async throws -> HTTPResponse
    ) {
        self.path = path
        needs = method.path
        self.formBytesMax = formBytesMax
        self.answer = answer
    }
}

extension HTTPResponse {
    /// A file that the browser saves, which is written while it is sent.
    /// - Parameter name: of letters, digits, `-` and `.`.
    static func file(
        _ name: String, type: String, _ write: @escaping @Sendable (HTTPBodyWriter) async throws -> Void
    ) -> HTTPResponse {
        let own: [(name: String, value: String)] = [
            ("Content-Type", type), ("Content-Disposition", "attachment; filename=\"\(name)\""),
        ]
        return HTTPResponse(headers: Security.headers + own, body: .stream(write))
    }
}

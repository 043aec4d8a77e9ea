import CSQLite

/// A database of one statement: nothing in it but the tables of its shards, and nothing that reaches a file.
final class Connection {
    private let handle: OpaquePointer
    private let run: StatementRun
    private let tables: [VirtualTable]

    private static let configured = csqlite_configure()
    /// Steps of SQLite's machine between two looks at whether the statement must end: some microseconds.
    private static let stepsBetweenLooks: Int32 = 500

    init(for run: StatementRun, _ tables: [VirtualTable]) throws(QueryError) {
        guard Self.configured == SQLITE_OK else { throw .execution("SQLite cannot be set up: code \(Self.configured)") }
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX
        let code = sqlite3_open_v2(":memory:", &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            sqlite3_close(handle)
            throw run.error(code, "the statement's database cannot be opened")
        }
        self.handle = handle
        self.run = run
        self.tables = tables
        do {
            try configure()
        } catch {
            sqlite3_close(handle)
            throw error
        }
    }

    private func configure() throws(QueryError) {
        try check(csqlite_defend(handle))
        // What is sorted stays in memory.
        try check(sqlite3_exec(handle, "PRAGMA temp_store = MEMORY", nil, nil, nil))
        sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, run.limits.valueBytesMax)
        sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
        sqlite3_limit(handle, SQLITE_LIMIT_WORKER_THREADS, 0)
        sqlite3_progress_handler(
            handle, Self.stepsBetweenLooks,
            { context in
                guard let context else { return 1 }
                return Unmanaged<StatementRun>.fromOpaque(context).takeUnretainedValue().control.end == nil ? 0 : 1
            }, Unmanaged.passUnretained(run).toOpaque())
        for table in tables { try check(table.register(on: handle)) }
        try check(ScalarFunctions.register(on: handle, for: run))
        try check(sqlite3_set_authorizer(handle, Self.authorize, Unmanaged.passUnretained(run).toOpaque()))
    }

    private static let authorize:
        @convention(c) (
            UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?, UnsafePointer<CChar>?, UnsafePointer<CChar>?,
            UnsafePointer<CChar>?
        ) -> Int32 = { context, action, _, _, _, _ in
            switch action {
            case SQLITE_SELECT, SQLITE_READ, SQLITE_FUNCTION, SQLITE_RECURSIVE: SQLITE_OK
            // SQLite notes a table in its own schema when it first sees it.
            case SQLITE_UPDATE: isDeclaring(context) ? SQLITE_OK : SQLITE_DENY
            default: SQLITE_DENY
            }
        }

    private static func isDeclaring(_ context: UnsafeMutableRawPointer?) -> Bool {
        context.map { Unmanaged<StatementRun>.fromOpaque($0).takeUnretainedValue().isDeclaring } ?? false
    }

    /// Prepares the one statement that `sql` is.
    func prepare(_ sql: String) throws(QueryError) -> PreparedStatement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
        guard code == SQLITE_OK else {
            if let end = run.failure ?? run.control.end { throw end }
            if code & 0xff == SQLITE_NOMEM { throw .memory(run.limits.memoryBytesMax) }
            throw .syntax(Self.isTooDeep(message) ? Self.tooDeep : message)
        }
        guard let statement, sqlite3_stmt_readonly(statement) != 0 else {
            sqlite3_finalize(statement)
            throw .syntax("the statement is empty, or changes something")
        }
        return PreparedStatement(statement, run) { [handle] in String(cString: sqlite3_errmsg(handle)) }
    }

    func close() { sqlite3_close(handle) }

    /// Its stack of 100 places is compiled in.
    private static func isTooDeep(_ message: String) -> Bool {
        message == "parser stack overflow" || message.hasPrefix("Expression tree is too large")
    }

    static let tooDeep =
        "it is nested too deep: about 15 selects, or 18 to 47 expressions, may stand within one another; write IN (…) for "
        + "alternatives, and WITH for parts"

    private var message: String { String(cString: sqlite3_errmsg(handle)) }

    private func check(_ code: Int32) throws(QueryError) {
        guard code == SQLITE_OK else { throw run.error(code, message) }
    }
}

/// A statement that SQLite has understood.
final class PreparedStatement {
    let handle: OpaquePointer
    private let run: StatementRun
    private let message: () -> String

    fileprivate init(_ handle: OpaquePointer, _ run: StatementRun, message: @escaping () -> String) {
        self.handle = handle
        self.run = run
        self.message = message
    }

    func bind(_ number: Int, _ value: Parameter) throws(QueryError) {
        let place = sqlite3_bind_parameter_index(handle, "$\(number)")
        let code: Int32 =
            switch value {
            case .null: sqlite3_bind_null(handle, place)
            case .boolean(let value): sqlite3_bind_int(handle, place, value ? 1 : 0)
            case .integer(let value): sqlite3_bind_int64(handle, place, value)
            case .unsigned(let value):
                Int64(exactly: value).map { sqlite3_bind_int64(handle, place, $0) }
                    ?? sqlite3_bind_double(handle, place, Double(value))
            case .real(let value): sqlite3_bind_double(handle, place, value)
            case .text(let text): sqlite3_bind_text(handle, place, text, Int32(clamping: text.utf8.count), csqlite_transient())
            case .blob(let bytes): sqlite3_bind_blob(handle, place, bytes, Int32(clamping: bytes.count), csqlite_transient())
            }
        guard code == SQLITE_OK else { throw run.error(code, message()) }
    }

    /// Goes on to the next row; false: there is none.
    func step() throws(QueryError) -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code: throw run.error(code, message())
        }
    }

    func close() { sqlite3_finalize(handle) }
}

import CSQLite

/// What SQLite calls of every table. These only convert, call and report.
enum TableModule {
    nonisolated(unsafe) static var module: sqlite3_module = {
        var module = sqlite3_module()
        module.iVersion = 1
        module.xConnect = { connection, table, _, _, result, _ in TableModule.connect(connection, table, result) }
        module.xDisconnect = { table in
            UnsafeMutableRawPointer(table)?.deallocate()
            return SQLITE_OK
        }
        module.xBestIndex = { table, info in TableModule.bestIndex(table, info) }
        module.xOpen = { table, result in TableModule.open(table, result) }
        module.xClose = { cursor in TableModule.close(cursor) }
        module.xFilter = { cursor, plan, _, count, values in TableModule.filter(cursor, Int(plan), Int(count), values) }
        module.xNext = { cursor in TableModule.attempt(cursor) { cursor throws(QueryError) in try cursor.next() } }
        module.xEof = { cursor in TableModule.cursor(cursor)?.isAtEnd == false ? 0 : 1 }
        module.xColumn = { cursor, context, number in
            TableModule.attempt(cursor) { cursor throws(QueryError) in
                try cursor.column(Int(number), CellResult(context: context))
            }
        }
        module.xRowid = { _, result in
            result?.pointee = 0
            return SQLITE_OK
        }
        module.xFindFunction = { _, count, name, function, _ in TableModule.findFunction(count, name, function) }
        return module
    }()

    private static func connect(
        _ connection: OpaquePointer?, _ context: UnsafeMutableRawPointer?,
        _ result: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab>?>?
    ) -> Int32 {
        guard let context else { return SQLITE_ERROR }
        let table = Unmanaged<VirtualTable>.fromOpaque(context).takeUnretainedValue()
        table.run.isDeclaring = true
        let code = sqlite3_declare_vtab(connection, table.schema)
        table.run.isDeclaring = false
        guard code == SQLITE_OK else { return code }
        let memory = UnsafeMutablePointer<csqlite_table>.allocate(capacity: 1)
        memory.initialize(to: csqlite_table())
        memory.pointee.table = context
        result?.pointee = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: sqlite3_vtab.self)
        return SQLITE_OK
    }

    private static func table(_ table: UnsafeMutablePointer<sqlite3_vtab>?) -> VirtualTable? {
        UnsafeMutableRawPointer(table)?.assumingMemoryBound(to: csqlite_table.self).pointee.table.map {
            Unmanaged<VirtualTable>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private static func cursor(_ cursor: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> TableCursor? {
        UnsafeMutableRawPointer(cursor)?.assumingMemoryBound(to: csqlite_cursor.self).pointee.cursor.map {
            Unmanaged<TableCursor>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private static func open(
        _ table: UnsafeMutablePointer<sqlite3_vtab>?, _ result: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab_cursor>?>?
    ) -> Int32 {
        guard let table = self.table(table) else { return SQLITE_ERROR }
        let memory = UnsafeMutablePointer<csqlite_cursor>.allocate(capacity: 1)
        memory.initialize(to: csqlite_cursor())
        let cursor = table.cursor()
        cursor.lists = HeldRows(table.run.budget)
        memory.pointee.cursor = Unmanaged.passRetained(cursor).toOpaque()
        result?.pointee = UnsafeMutableRawPointer(memory).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
        return SQLITE_OK
    }

    private static func close(_ cursor: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> Int32 {
        let memory = UnsafeMutableRawPointer(cursor)?.assumingMemoryBound(to: csqlite_cursor.self)
        if let object = memory?.pointee.cursor { Unmanaged<TableCursor>.fromOpaque(object).release() }
        memory?.deallocate()
        return SQLITE_OK
    }

    private static func attempt(
        _ pointer: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ body: (TableCursor) throws(QueryError) -> Void
    ) -> Int32 {
        guard let cursor = cursor(pointer) else { return SQLITE_ERROR }
        do throws(QueryError) {
            try body(cursor)
            return SQLITE_OK
        } catch {
            return report(error, pointer?.pointee.pVtab)
        }
    }

    private static func report(_ error: QueryError, _ table: UnsafeMutablePointer<sqlite3_vtab>?) -> Int32 {
        self.table(table)?.run.failure = error
        return SQLITE_ERROR
    }

    private static func filter(
        _ pointer: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ number: Int, _ count: Int,
        _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 {
        guard let table = table(pointer?.pointee.pVtab), let plan = table.plan(number), let lists = cursor(pointer)?.lists
        else { return SQLITE_ERROR }
        lists.clear()
        var found: [Constraint: [SQLiteValue]] = [:]
        var wanted: Int?
        var offset = 0
        for (index, argument) in plan.arguments.enumerated() where index < count {
            switch argument {
            case .limit:
                let limit = sqlite3_value_int64(values?[index])
                if limit >= 0 { wanted = Int(limit) }
            case .offset: offset = Int(max(0, sqlite3_value_int64(values?[index])))
            case .constraint(let constraint):
                guard let all = Self.values(values?[index], lists) else { return SQLITE_NOMEM }
                found[constraint] = all
            }
        }
        let all = wanted.map { $0.addingReportingOverflow(offset) }
        let arguments = ScanArguments(
            values: found, rowsWanted: all.map { $0.overflow ? .max : $0.partialValue }, rowsSkipped: plan.skipsRows ? offset : 0,
            audience: table.run.query.tenants)
        return attempt(pointer) { cursor throws(QueryError) in try cursor.filter(plan, arguments) }
    }

    /// The value of an argument, or all values of an IN; nil: they are more than a statement may hold, and it has ended.
    private static func values(_ argument: OpaquePointer?, _ lists: HeldRows) -> [SQLiteValue]? {
        var value: OpaquePointer?
        var code = sqlite3_vtab_in_first(argument, &value)
        guard code == SQLITE_OK || code == SQLITE_DONE else { return [SQLiteValue(argument)] }
        var values: [SQLiteValue] = []
        while code == SQLITE_OK, let one = value {
            let one = SQLiteValue(one)
            guard (try? lists.take(one.bytes)) != nil else { return nil }
            values.append(one)
            code = sqlite3_vtab_in_next(argument, &value)
        }
        return values
    }

    private static func findFunction(
        _ count: Int32, _ name: UnsafePointer<CChar>?,
        _ function: UnsafeMutablePointer<
            (@convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void)?
        >?
    ) -> Int32 {
        guard count == 2, let name else { return 0 }
        switch String(cString: name) {
        case "silo_has":
            function?.pointee = MetadataFunctions.has
            return SQLITE_INDEX_CONSTRAINT_FUNCTION
        case "silo_prefix":
            function?.pointee = MetadataFunctions.hasPrefix
            return SQLITE_INDEX_CONSTRAINT_FUNCTION + 1
        default: return 0
        }
    }
}

// MARK: Which scans there are

extension TableModule {
    private static func bestIndex(
        _ pointer: UnsafeMutablePointer<sqlite3_vtab>?, _ info: UnsafeMutablePointer<sqlite3_index_info>?
    ) -> Int32 {
        guard let table = table(pointer), let info else { return SQLITE_ERROR }
        var arguments: [ScanPlan.Argument] = []
        var taken: [(Constraint, value: String?)] = []
        var places: [(Int, Constraint)] = []
        var checkedAgain: Set<Int> = []
        var isComplete = true
        var offset: Int?
        for index in 0..<Int(info.pointee.nConstraint) {
            let offered = info.pointee.aConstraint[index]
            guard offered.usable != 0, let argument = argument(offered), !arguments.contains(argument), table.accepts(argument)
            else {
                checkedAgain.insert(Int(offered.iColumn))
                isComplete = false
                continue
            }
            if argument == .offset { offset = index }
            if case .constraint(let constraint) = argument {
                if sqlite3_vtab_in(info, Int32(index), -1) != 0 { sqlite3_vtab_in(info, Int32(index), 1) }
                taken.append((constraint, value: constant(info, index)))
                places.append((index, constraint))
            }
            arguments.append(argument)
            info.pointee.aConstraintUsage[index].argvIndex = Int32(arguments.count)
        }
        let exact = table.exact(Set(taken.map(\.0)))
        for (index, constraint) in places {
            if exact.contains(constraint) {
                info.pointee.aConstraintUsage[index].omit = 1
            } else {
                checkedAgain.insert(constraint.column)
                isComplete = false
            }
        }
        let isOrdered = info.pointee.nOrderBy > 0 && table.isOrdered(by: order(info), taken)
        info.pointee.orderByConsumed = isOrdered ? 1 : 0
        let skipsRows = table.skipsRows && isComplete && (isOrdered || info.pointee.nOrderBy == 0)
        if let offset, skipsRows { info.pointee.aConstraintUsage[offset].omit = 1 }
        let rows = max(1, table.rows(Set(taken.map(\.0))))
        info.pointee.estimatedRows = Int64(rows)
        info.pointee.estimatedCost = rows * 10
        info.pointee.idxNum = Int32(
            clamping: table.keep(
                ScanPlan(
                    arguments, columnsUsed: info.pointee.colUsed, isOrdered: isOrdered, exactCount: exact.count,
                    checkedAgain: checkedAgain, skipsRows: skipsRows)))
        return SQLITE_OK
    }

    private static func argument(_ offered: sqlite3_index_constraint) -> ScanPlan.Argument? {
        let comparison: Constraint.Comparison
        switch Int32(offered.op) {
        case SQLITE_INDEX_CONSTRAINT_EQ: comparison = .equal
        case SQLITE_INDEX_CONSTRAINT_LT: comparison = .less
        case SQLITE_INDEX_CONSTRAINT_LE: comparison = .lessOrEqual
        case SQLITE_INDEX_CONSTRAINT_GT: comparison = .greater
        case SQLITE_INDEX_CONSTRAINT_GE: comparison = .greaterOrEqual
        case SQLITE_INDEX_CONSTRAINT_FUNCTION: comparison = .has
        case SQLITE_INDEX_CONSTRAINT_FUNCTION + 1: comparison = .hasPrefix
        case SQLITE_INDEX_CONSTRAINT_LIKE: comparison = .like
        case SQLITE_INDEX_CONSTRAINT_LIMIT: return .limit
        case SQLITE_INDEX_CONSTRAINT_OFFSET: return .offset
        default: return nil
        }
        return .constraint(Constraint(Int(offered.iColumn), comparison))
    }

    private static func constant(_ info: UnsafeMutablePointer<sqlite3_index_info>, _ index: Int) -> String? {
        var value: OpaquePointer?
        guard sqlite3_vtab_rhs_value(info, Int32(index), &value) == SQLITE_OK else { return nil }
        return SQLiteValue(value).text
    }

    private static func order(_ info: UnsafeMutablePointer<sqlite3_index_info>) -> [(column: Int, descends: Bool)] {
        (0..<Int(info.pointee.nOrderBy)).map {
            (Int(info.pointee.aOrderBy[$0].iColumn), info.pointee.aOrderBy[$0].desc != 0)
        }
    }
}

extension VirtualTable {
    fileprivate func accepts(_ argument: ScanPlan.Argument) -> Bool {
        if case .constraint(let constraint) = argument { accepts(constraint) } else { true }
    }
}

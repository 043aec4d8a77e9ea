/// What may stand after WHERE, by itself.
package enum Condition {
    /// - Throws: `.syntax` for a text that is not one condition on a job, such as one with selects, aggregates or parameters of
    ///   its own. Names and types are not looked at.
    package static func check(_ text: String) throws(QueryError) {
        let condition = try Parser.condition(text)
        if condition.hasSelect { throw .syntax("a condition has no selects of its own") }
        if condition.hasAggregate { throw .syntax("a condition is about one job: it has no aggregates and windows") }
        if condition.hasParameter { throw .syntax("a condition has no parameters: write their values") }
    }
}

extension Expression {
    fileprivate var hasAggregate: Bool {
        if case .call(let call) = self, call.isAggregate || call.window != nil { return true }
        return children.contains(where: \.hasAggregate)
    }

    fileprivate var hasParameter: Bool {
        if case .parameter = self { return true }
        return children.contains(where: \.hasParameter)
    }
}

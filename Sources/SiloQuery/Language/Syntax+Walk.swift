extension Expression {
    /// What it is made of, without the selects within it.
    var children: [Expression] {
        switch self {
        case .literal, .parameter, .column, .exists, .subquery: []
        case .unary(_, let operand), .isNull(let operand, _), .cast(let operand, _), .inSelect(let operand, _, _): [operand]
        case .binary(_, let left, let right), .element(let left, let right): [left, right]
        case .between(let operand, let low, let high, _): [operand, low, high]
        case .inList(let operand, let items, _): [operand] + items
        case .like(let operand, let pattern, let escape, _, _): [operand, pattern] + (escape.map { [$0] } ?? [])
        case .call(let call): call.children
        case .choice(let operand, let arms, let otherwise):
            [operand, otherwise].compactMap { $0 } + arms.flatMap { [$0.when, $0.then] }
        }
    }

    var hasSelect: Bool {
        switch self {
        case .exists, .subquery, .inSelect: true
        default: children.contains(where: \.hasSelect)
        }
    }

    /// It is, or holds, an aggregate of its own select.
    var isAggregated: Bool {
        if case .call(let call) = self, call.isAggregate, call.window == nil { return true }
        return children.contains(where: \.isAggregated)
    }

    /// The parts of a condition that must all hold.
    var conjuncts: [Expression] { parts(of: "AND") }
    /// The parts of a condition of which one must hold.
    var disjuncts: [Expression] { parts(of: "OR") }

    private func parts(of name: String) -> [Expression] {
        guard case .binary(name, let left, let right) = self else { return [self] }
        return left.parts(of: name) + right.parts(of: name)
    }
}

extension Call {
    var children: [Expression] {
        arguments + (filter.map { [$0] } ?? []) + (window?.partition ?? []) + (window?.order.map(\.expression) ?? [])
    }

    var isAggregate: Bool { Functions.aggregates.contains(name) && (arguments.count <= 1 || name == "string_agg") }
}

import SiloCore
import Testing

@testable import SiloService

@Suite(.timeLimit(.minutes(10))) struct BatchPlanTests {
    /// Takes even numbers, ten times as large.
    private static func plan(_ batch: [Int]) -> BatchPlan<Int> {
        BatchPlan(batch) { number throws(SiloError) in
            guard number.isMultiple(of: 2) else { throw .outOfBounds(field: "\(number)", bound: "is odd") }
            return number * 10
        }
    }

    private static func odd(_ number: Int) -> SiloError { .outOfBounds(field: "\(number)", bound: "is odd") }

    @Test("answers stand in the order of the batch, wherever it was refused", arguments: [
        ([], []), ([2, 4], [2, 4]), ([1, 3], [1, 3]), ([1, 2, 3, 4], [1, 2, 3, 4]), ([2, 4, 5], [2, 4, 5]), ([7, 2], [7, 2]),
    ] as [([Int], [Int])])
    func merges(_ batch: [Int], _ expected: [Int]) {
        let plan = Self.plan(batch)
        #expect(plan.accepted == batch.filter { $0.isMultiple(of: 2) }.map { $0 * 10 })
        let merged = plan.order.merge(plan.accepted.map { Result<Int, SiloError>.success($0 / 10) })
        #expect(merged == expected.map { $0.isMultiple(of: 2) ? .success($0) : .failure(Self.odd($0)) })
    }

    @Test func whatTheShardRefusesStandsInItsPlace() {
        let merged = Self.plan([1, 2, 4]).order.merge([Result<Int, SiloError>.failure(.jobNotFound), .success(4)])
        #expect(merged == [.failure(Self.odd(1)), .failure(.jobNotFound), .success(4)])
    }

    @Test func aBatchThatIsAllOrNothingNamesItsFirstBadEntry() throws {
        #expect(try Self.plan([2, 4]).all(of: "jobs") == [20, 40])
        #expect(throws: SiloError.inBatch(entry: "jobs[1]", Self.odd(3))) { try Self.plan([2, 3, 4, 5]).all(of: "jobs") }
    }
}

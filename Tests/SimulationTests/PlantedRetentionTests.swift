import Protobuf
import SiloCore
import SiloStore
import Testing

/// Bugs of retention and of dropping tenants, planted in what is written: the simulation finds each.
@Suite(.timeLimit(.minutes(20))) struct PlantedRetentionTests {
    enum Bug: CaseIterable, Sendable {
        case failedRowIsLeft, keptRowIsLeft, metadataIsLeft, attemptIsLeft, statusIsLeft, queueIsLeft, periodIsNeverWritten
        case markOfDropIsLost, markOfDropIsLeft, rowsSayNoAttempts

        @Sendable func mangle(_ write: Write) -> Write? {
            guard write.key.count > 2 else { return write }
            let isDeleted = write.value == nil
            switch (self, write.key[2]) {
            case (.failedRowIsLeft, 0x45), (.keptRowIsLeft, 0x47), (.metadataIsLeft, 0x43), (.attemptIsLeft, 0x42),
                (.statusIsLeft, 0x41), (.queueIsLeft, 0x02), (.markOfDropIsLeft, 0x04):
                return isDeleted ? nil : write
            case (.periodIsNeverWritten, 0x46), (.markOfDropIsLost, 0x04): return isDeleted ? write : nil
            case (.rowsSayNoAttempts, 0x44):
                guard let value = write.value, var record = try? StorageV1.FinishedJob(serializedBytes: value) else {
                    return write
                }
                record.attempts = 0
                return Write(key: write.key, value: record.serializedBytes(), isNew: write.isNew)
            default: return write
            }
        }
    }

    @Test(arguments: Bug.allCases)
    func isFound(_ bug: Bug) async {
        for seed in UInt64(1)...200 {
            do {
                try await Simulation(seed: seed, planted: bug.mangle).run(steps: 60)
            } catch {
                return
            }
        }
        Issue.record("\(bug) was not found by 200 seeds")
    }
}

import Foundation
import GRPC
import Testing

@testable import SiloServer

/// What a server makes of the machine it runs on, and of what the operator gives it.
@Suite(.timeLimit(.minutes(10))) struct EdgeTests {
    @Test func whoListensEverywhereChoosesAnAddressThatOthersCanCall() {
        let named = MachineNames(name: "queue-1.example", isNameUseful: true, addresses: ["10.0.0.5"])
        let numbered = MachineNames(name: "localhost", isNameUseful: false, addresses: ["10.0.0.5", "fd00::5"])
        let six = MachineNames(name: "localhost", isNameUseful: false, addresses: ["fd00::5"])
        let alone = MachineNames(name: "localhost", isNameUseful: false, addresses: [])
        func chosen(_ listening: String, _ machine: MachineNames, given: String? = nil) -> AdvertisedAddress {
            AdvertisedAddress(listening: listening, given: given, machine: machine)
        }
        for everywhere in ["0.0.0.0:7450", "[::]:7450"] {
            #expect(chosen(everywhere, named).text == "queue-1.example:7450")
            #expect(chosen(everywhere, named).isGuess)
            #expect(chosen(everywhere, numbered).text == "10.0.0.5:7450")
            #expect(chosen(everywhere, six).text == "[fd00::5]:7450")
            #expect(chosen(everywhere, six).host == "fd00::5")
            #expect(chosen(everywhere, alone).text == "127.0.0.1:7450")
            #expect(chosen(everywhere, named, given: "silo:80").text == "silo:80")
            #expect(!chosen(everywhere, named, given: "silo:80").isGuess)
        }
        #expect(chosen("10.1.1.1:7450", named).text == "10.1.1.1:7450")
        #expect(!chosen("10.1.1.1:7450", named).isGuess)
        #expect(chosen("unix:/run/silo", named).text == "unix:/run/silo")
    }

    @Test(arguments: [("127.0.0.1:1", true), ("[::1]:1", true), ("localhost:1", true), ("unix:/x", true), ("0.0.0.0:1", false),
        ("[::]:1", false), ("192.0.2.7:1", false)])
    func anAddressIsOfThisMachineAlone(_ address: String, _ isLocal: Bool) {
        #expect(AdvertisedAddress.isLocal(address) == isLocal)
    }

    @Test func theSmallestLimitOfTheControlGroupsCounts() {
        func limit(_ files: [String: String]) -> Int { MachineMemory.groupLimit { files[$0] } }
        #expect(limit([:]) == .max)
        #expect(limit(["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n"]) == .max)
        #expect(limit([
            "/proc/self/cgroup": "0::/a.slice/b.scope\n", "/sys/fs/cgroup/a.slice/memory.max": "1000\n",
            "/sys/fs/cgroup/a.slice/b.scope/memory.max": "2000\n",
        ]) == 1000)
        #expect(limit([
            "/proc/self/cgroup": "5:cpu,memory:/docker/x\n1:name=systemd:/\n",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes": "3000\n",
        ]) == 3000)
        #expect(MachineMemory.bytes > 64 << 20)
    }
}

import Protobuf

/// What this runtime makes of one test: proto3 in the binary format. All else is skipped.
func result(of request: Conformance.ConformanceRequest) -> Conformance.ConformanceResponse.OneOfResult {
    // The suite asks first for the tests that are expected to fail. There are none.
    if request.messageType == Conformance.FailureSet.messageName {
        return .protobufPayload(Conformance.FailureSet().serializedBytes())
    }
    guard request.messageType == TestMessages.TestAllTypesProto3.messageName else {
        return .skipped("the generator knows proto3 only")
    }
    guard case .protobufPayload(let payload) = request.payload, request.requestedOutputFormat == .protobuf else {
        return .skipped("this runtime knows the binary format only")
    }
    do {
        return .protobufPayload(try TestMessages.TestAllTypesProto3(serializedBytes: payload).serializedBytes())
    } catch {
        return .parseError(error.description)
    }
}

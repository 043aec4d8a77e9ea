// GRPCTests

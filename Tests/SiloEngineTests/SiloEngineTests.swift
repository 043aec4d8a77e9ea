// SiloEngineTests

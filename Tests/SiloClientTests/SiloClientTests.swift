// SiloClientTests

// SiloTesting

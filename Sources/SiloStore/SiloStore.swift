// SiloStore

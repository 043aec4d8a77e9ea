// SiloEngine

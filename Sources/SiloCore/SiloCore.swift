// SiloCore

// SiloAPI

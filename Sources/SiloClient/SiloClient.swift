// SiloClient

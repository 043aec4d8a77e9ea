// SiloServer

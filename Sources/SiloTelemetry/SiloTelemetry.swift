// SiloTelemetry

import CommandLineTool
import GRPC
import SiloConfiguration
import SiloEngine
import SiloServer
import SiloService
import SiloTelemetry

extension NodeSettings {
    /// What a server is told. Of the files that the configuration names, that of the secret is read.
    /// - Parameter warn: takes what is questionable and no mistake: a text, and the file that it is about.
    init(_ configuration: Configuration, warn: (String, String) -> Void) throws {
        self.init(data: configuration.dataPlace ?? DataLocation.standardFolder)
        address = configuration[Settings.server.address]
        advertisedAddress = configuration[Settings.coordination.advertisedAddress]
        nodeID = configuration[Settings.coordination.nodeID]
        fullCompactionMilliseconds = configuration[Settings.database.fullCompaction].map { Int64($0.wholeMilliseconds) }
        shardCount = configuration[Settings.coordination.shardCount]
        tenancy = configuration[Settings.tenancy.isEnabled]
        isDevelopment = configuration[Settings.server.isDevelopment]
        concurrentCallsMax = configuration[Settings.server.callsMax]
        drain = configuration[Settings.server.drainTimeout]
        authToken = try Self.authToken(configuration, warn: warn)
        tokensFile = configuration[Settings.access.tokensFile]
        auditLog = configuration[Settings.access.auditLog].map { AuditPlace($0) }
        if let certificate = configuration[Settings.tls.certificateFile], let key = configuration[Settings.tls.keyFile] {
            tlsFiles = TLSFiles(certificate: certificate, key: key, clientCA: configuration[Settings.tls.clientCAFile])
        }
        gubernator = Self.gubernator(configuration)
        queries = QuerySettings(
            statementTimeoutMilliseconds: Int64(configuration[Settings.server.statementTimeout].wholeMilliseconds),
            concurrentStatementsMax: configuration[Settings.server.statementsMax],
            slowQueryMilliseconds: Int64(configuration[Settings.server.slowQueryLog].wholeMilliseconds),
            resultBytesMax: configuration[Settings.server.resultBytesMax]
        )
        version = Program.version
        builtFrom = Dictionary(uniqueKeysWithValues: BuildInfo.parts.map { ($0.name, $0.version) })
        let metrics = configuration[Settings.metrics.address]
        metricsAddress = configuration[Settings.metrics.isEnabled] && metrics != "none" ? metrics : nil
        hasWebPage = configuration[Settings.webUI.isEnabled]
        webSessionMilliseconds = Int64(configuration[Settings.webUI.sessionLifetime].wholeMilliseconds)
        logFolder = configuration.logFolder
        cacheBytes = UInt64(configuration[Settings.database.cacheBytes])
        blockCacheBytes = configuration[Settings.database.blockCacheBytes].map(UInt64.init)
        metadataCacheBytes = configuration[Settings.database.metadataCacheBytes].map(UInt64.init)
        overlayBytes = configuration[Settings.database.overlayBytes]
        storage = configuration[Settings.database.slatedb]
        engine.retention = Retention(
            succeededMilliseconds: configuration[Settings.database.completedRetention].map { Int64($0.wholeMilliseconds) },
            failedMilliseconds: configuration[Settings.database.terminalRetention].map { Int64($0.wholeMilliseconds) }
        )
        maxData = Self.maxData(configuration)
        let standardGap = Duration.milliseconds(data.contains("://") && logFolder == nil ? 20 : 0)
        engine.flushGapMilliseconds = Int64((configuration[Settings.database.flushGap] ?? standardGap).wholeMilliseconds)
        let audit = configuration[Settings.limits.auditInterval].wholeMilliseconds
        engine.auditMilliseconds = audit == 0 ? nil : Int64(audit)
        names = SettingNames(configuration)
    }

    /// How much data there may be.
    private static func maxData(_ configuration: Configuration) -> MaxData {
        switch DataLimit(configuration[Settings.database.maxData]) {
        case .bytes(let bytes): .bytes(bytes)
        case .percent(let percent): .percent(percent)
        case .off: .off
        // A configuration that was loaded has nothing else.
        case .standard, nil: .standard
        }
    }

    /// The secret that callers must show; nil lets everybody in.
    private static func authToken(_ configuration: Configuration, warn: (String, String) -> Void) throws -> String? {
        let inPlace = Settings.server.authToken
        let inFile = Settings.server.authTokenFile
        // Of two, the one that overrides the other.
        if let path = configuration[inFile], configuration.source(of: inPlace) < configuration.source(of: inFile) {
            let secret: SecretFile
            do throws(SecretFile.Mistake) { secret = try SecretFile(path) } catch {
                throw StartError("\(configuration.place(of: inFile)): \(error)")
            }
            if secret.isReadByOthers { warn("other users of this machine can read the auth token: chmod 600", path) }
            return secret.text
        }
        return configuration[inPlace]
    }

    /// The rate limiter; nil without one. It takes 0 for 1.
    private static func gubernator(_ configuration: Configuration) -> GubernatorSettings? {
        let section = Settings.gubernator
        guard let address = configuration[section.address] else { return nil }
        var settings = GubernatorSettings(address: address)
        settings.coalesceMilliseconds = configuration[section.coalesce].wholeMilliseconds
        settings.batchMax = configuration[section.batchMax]
        settings.connectTimeoutMilliseconds = configuration[section.connectTimeout].wholeMilliseconds
        settings.requestTimeoutMilliseconds = configuration[section.requestTimeout].wholeMilliseconds
        return settings
    }
}

extension SettingNames {
    /// As the operator gave them.
    fileprivate init(_ configuration: Configuration) {
        self.init()
        address = configuration.place(of: Settings.server.address)
        advertised = configuration.place(of: Settings.coordination.advertisedAddress)
        data = configuration.place(of: Settings.database.path)
        log = configuration.place(of: Settings.database.logPath)
        gubernator = configuration.place(of: Settings.gubernator.address)
        metrics = configuration.place(of: Settings.metrics.address)
        tokensFile = configuration.place(of: Settings.access.tokensFile)
        auditLog = configuration.place(of: Settings.access.auditLog)
    }
}

package import SiloAPI
package import SiloCore

/// Knows what is set on this node, and by which means.
package protocol ConfigurationSource: Sendable {
    /// Without the values of secrets.
    var shown: SiloV1.GetConfigurationResponse { get }
}

/// What administrators ask of the settings.
package struct ConfigurationOperations: Sendable {
    /// Nil: nobody knows.
    let source: (any ConfigurationSource)?

    package func getConfiguration(
        _ request: SiloV1.GetConfigurationRequest, _ context: RequestContext, _ reply: any Reply<SiloV1.GetConfigurationResponse>
    ) throws(SiloError) {
        guard let source else { throw .unsupported("this server does not know its settings") }
        reply.send(source.shown)
    }
}

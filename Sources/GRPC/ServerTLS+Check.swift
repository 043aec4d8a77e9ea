import CCrypto
import Glibc

extension ServerTLS {
    /// Why a certificate cannot be served.
    public struct Mistake: Error, Equatable, Sendable, CustomStringConvertible {
        public let description: String
        package init(_ text: String) { description = text }
    }

    /// From when until when a certificate is good, in seconds since the Unix epoch.
    public struct Validity: Equatable, Sendable {
        public let from: Int
        public let until: Int
    }

    /// How long the server's own certificate is good.
    /// - Throws: when it or the key cannot be read, or the key is that of another certificate.
    public func validity() throws(Mistake) -> Validity {
        guard let certificate = certificateChain.withPEM({ PEM_read_bio_X509($0, nil, nil, nil) }) else {
            throw Mistake("the TLS certificate cannot be read: it must be in PEM form")
        }
        defer { X509_free(certificate) }
        // An empty pass phrase, instead of a question on the terminal.
        let read = privateKey.withPEM { PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in 0 }, nil) }
        guard let key = read else { throw Mistake("the TLS key cannot be read: it must be in PEM form, without a pass phrase") }
        defer { EVP_PKEY_free(key) }
        guard X509_check_private_key(certificate, key) == 1 else {
            throw Mistake("the TLS key is not that of the TLS certificate")
        }
        if let clientCA {
            guard let authority = clientCA.withPEM({ PEM_read_bio_X509($0, nil, nil, nil) }) else {
                throw Mistake("the certificate of the callers' authority cannot be read: it must be in PEM form")
            }
            X509_free(authority)
        }
        return Validity(
            from: Self.seconds(X509_get0_notBefore(certificate)), until: Self.seconds(X509_get0_notAfter(certificate))
        )
    }

    /// When the first of the certificates ends that are served, in seconds since the Unix epoch; nil: none can be read.
    public var firstEnd: Int? { Self.firstEnd(certificateChain) }

    /// The same of the authorities of callers.
    public var firstClientEnd: Int? { clientCA.flatMap(Self.firstEnd) }

    private static func firstEnd(_ pem: [UInt8]) -> Int? {
        pem.withPEM { source in
            var first: Int?
            while let certificate = PEM_read_bio_X509(source, nil, nil, nil) {
                let end = seconds(X509_get0_notAfter(certificate))
                first = min(first ?? end, end)
                X509_free(certificate)
            }
            // That there is no further one is an error of the library, which it keeps for whoever asks next.
            ERR_clear_error()
            return first
        }
    }

    /// - Throws: when the certificate cannot be served, has expired, or is not good yet.
    public func checkUsable() throws(Mistake) {
        let validity = try validity()
        let now = Int(time(nil))
        guard validity.until > now else { throw Mistake("the TLS certificate expired \(now - validity.until) s ago") }
        guard validity.from <= now else { throw Mistake("the TLS certificate is not good for another \(validity.from - now) s") }
    }

    /// In seconds since the Unix epoch.
    private static func seconds(_ date: UnsafePointer<ASN1_TIME>?) -> Int {
        var parts = tm()
        return ASN1_TIME_to_tm(date, &parts) == 1 ? timegm(&parts) : 0
    }
}

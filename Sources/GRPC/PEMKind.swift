import CCrypto
import Glibc

/// What a file of TLS holds.
public enum PEMKind: Sendable {
    case certificate
    case key

    /// Whether it can be read in PEM form; a key without a pass phrase. Of several certificates the first counts.
    public func isIn(_ pem: [UInt8]) -> Bool {
        switch self {
        case .certificate: pem.withPEM { PEM_read_bio_X509($0, nil, nil, nil).map { X509_free($0) } } != nil
        case .key: pem.withPEM { PEM_read_bio_PrivateKey($0, nil, { _, _, _, _ in 0 }, nil).map { EVP_PKEY_free($0) } } != nil
        }
    }
}

extension [UInt8] {
    /// Lends the bytes as OpenSSL reads them.
    func withPEM<R>(_ read: (OpaquePointer) -> R?) -> R? {
        withUnsafeBytes { bytes in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(source) }
            return read(source)
        }
    }
}

import CCrypto

extension ServerTLS {
    /// Whether the server's own certificate names `host`, a DNS name or an IP address; nil when it cannot be read.
    public func names(_ host: String) -> Bool? {
        certificateChain.withUnsafeBytes { bytes in
            guard let source = BIO_new_mem_buf(bytes.baseAddress, Int32(clamping: bytes.count)) else { return nil }
            defer { BIO_free(source) }
            guard let certificate = PEM_read_bio_X509(source, nil, nil, nil) else { return nil }
            defer { X509_free(certificate) }
            // https://docs.openssl.org/3.0/man3/X509_check_host/; 1 is yes.
            if X509_check_ip_asc(certificate, host, 0) == 1 { return true }
            return X509_check_host(certificate, host, host.utf8.count, 0, nil) == 1
        }
    }
}

//! The TLS side of a client: which roots are trusted, and what a failed handshake is called.
//! Apart because it is configuration, made once and shared by all clients.
use std::io;
use std::sync::Arc;

use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::error::TlsError;

/// A configuration that trusts the public web's roots and the certificates of `extra_roots_pem`, offers HTTP/1.1
/// only, and shows no client certificate.
///
/// # Errors
/// `extra_roots_pem` is not PEM, holds no certificate, or one that cannot be a root.
pub fn tls_config(extra_roots_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, TlsError> {
    offering(b"http/1.1", extra_roots_pem)
}

/// The same, for HTTP/2 only.
///
/// # Errors
/// The same.
pub fn http2_tls_config(extra_roots_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, TlsError> {
    offering(b"h2", extra_roots_pem)
}

fn offering(protocol: &[u8], extra_roots_pem: Option<&[u8]>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_roots_pem {
        let mut added = 0_usize;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            roots.add(certificate.map_err(|_| TlsError::Pem)?).map_err(|_| TlsError::Certificate)?;
            added += 1;
        }
        if added == 0 {
            return Err(TlsError::NoCertificate);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Protocol)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

/// Names a failed handshake without quoting the peer.
pub(super) fn handshake_failure(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        return "the connection broke in the handshake";
    };
    match error {
        rustls::Error::InvalidCertificate(certificate) => certificate_failure(certificate),
        rustls::Error::AlertReceived(_) => "the upstream refused the handshake",
        rustls::Error::InvalidMessage(_) => "the upstream does not speak TLS",
        rustls::Error::PeerIncompatible(_) => "no TLS version or cipher in common",
        _ => "the handshake failed",
    }
}

fn certificate_failure(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::UnknownIssuer => "the certificate's issuer is not trusted",
        CertificateError::Revoked => "the certificate is revoked",
        _ => "the certificate is not acceptable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pem: &[u8], expected: TlsError) {
        assert_eq!(tls_config(Some(pem)).map(|_| ()), Err(expected));
    }

    #[test]
    fn extra_roots_must_be_certificates() {
        check(b"", TlsError::NoCertificate);
        check(b"not pem at all", TlsError::NoCertificate);
        check(b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", TlsError::Pem);
        check(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", TlsError::Certificate);
    }

    #[test]
    fn only_http11_is_offered() {
        let config = tls_config(None).unwrap();
        assert_eq!(config.alpn_protocols, vec![b"http/1.1".to_vec()]);
        assert_eq!(http2_tls_config(None).unwrap().alpn_protocols, vec![b"h2".to_vec()]);
        assert!(config.enable_sni);
    }
}

//! The TLS side of a client: which roots are trusted, and what a failed handshake is called.
//! Apart because it is configuration, made once and shared by all clients.
use std::io;
use std::sync::Arc;

use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
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
    let Some(error) = inner(error) else {
        return "the connection broke in the handshake";
    };
    match error {
        rustls::Error::InvalidCertificate(certificate) => certificate_failure(certificate),
        rustls::Error::AlertReceived(alert) => alert_failure(*alert),
        rustls::Error::InvalidMessage(_) => "the upstream does not speak TLS",
        rustls::Error::PeerIncompatible(_) => "no TLS version or cipher in common",
        _ => "the handshake failed",
    }
}

fn inner(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|error| error.downcast_ref())
}

/// The alert by which the other side ended a connection.
pub(super) fn alert(error: &io::Error) -> Option<AlertDescription> {
    match inner(error)? {
        rustls::Error::AlertReceived(alert) => Some(*alert),
        _ => None,
    }
}

/// Whether an alert says that the other side did not accept who we are: its handshake did not come to an end.
pub(super) fn refuses_client(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::HandshakeFailure
    )
}

/// What an alert in a handshake says.
pub(super) fn alert_failure(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::ProtocolVersion => "no TLS version in common: it has to speak 1.2 or 1.3",
        AlertDescription::InsufficientSecurity => "no TLS version or cipher in common",
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the upstream asks for a client certificate, and the gateway has none"
        }
        AlertDescription::UnrecognisedName => "the upstream does not know the name that it was asked for",
        _ => "the upstream refused the handshake",
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
        CertificateError::BadEncoding => "the certificate is malformed",
        CertificateError::BadSignature => {
            "a signature does not hold: it is forged, or its RSA key has fewer than 2048 bits"
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. } => {
            "the certificate is signed by an algorithm that is not accepted, such as SHA-1"
        }
        CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "a signature is of another algorithm than its key"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not for servers (extended key usage)"
        }
        CertificateError::UnhandledCriticalExtension => {
            "the certificate has a critical extension that is not known here"
        }
        CertificateError::Other(other) => other.0.downcast_ref().map_or(UNACCEPTABLE, rarer_failure),
        _ => UNACCEPTABLE,
    }
}

const UNACCEPTABLE: &str = "the certificate is not acceptable";

/// What rustls has no word of its own for.
fn rarer_failure(error: &webpki::Error) -> &'static str {
    use webpki::Error;
    match error {
        Error::CaUsedAsEndEntity => {
            "the certificate is an authority's own (CA:TRUE): the server needs one that an authority signed"
        }
        Error::EndEntityUsedAsCa => "the certificate is signed by one that is no authority's (CA:FALSE)",
        Error::UnsupportedCertVersion => "the certificate is not of version 3 of X.509",
        Error::NameConstraintViolation => "the certificate's authority may not vouch for this name",
        Error::PathLenConstraintViolated => "the certificate's chain is longer than its authority allows",
        Error::EmptyEkuExtension => "the certificate is not for servers (extended key usage)",
        _ => UNACCEPTABLE,
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
    fn each_cause_has_its_own_words() {
        let other = |error| CertificateError::Other(rustls::OtherError(Arc::new(error)));
        let algorithm = CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: Vec::new(),
            supported_algorithms: Vec::new(),
        };
        let causes = [
            (other(webpki::Error::CaUsedAsEndEntity), "CA:TRUE"),
            (other(webpki::Error::EndEntityUsedAsCa), "CA:FALSE"),
            (other(webpki::Error::UnsupportedCertVersion), "version 3"),
            (CertificateError::InvalidPurpose, "not for servers"),
            (CertificateError::BadSignature, "2048 bits"),
            (algorithm, "SHA-1"),
        ];
        for (error, said) in causes {
            let text = handshake_failure(&io::Error::other(rustls::Error::InvalidCertificate(error)));
            assert!(text.contains(said), "{text}");
        }
        for (alert, said) in [
            (AlertDescription::ProtocolVersion, "1.2 or 1.3"),
            (AlertDescription::CertificateRequired, "client certificate"),
            (AlertDescription::InternalError, "refused"),
        ] {
            let text = handshake_failure(&io::Error::other(rustls::Error::AlertReceived(alert)));
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn only_http11_is_offered() {
        let config = tls_config(None).unwrap();
        assert_eq!(config.alpn_protocols, vec![b"http/1.1".to_vec()]);
        assert_eq!(http2_tls_config(None).unwrap().alpn_protocols, vec![b"h2".to_vec()]);
        assert!(config.enable_sni);
    }
}

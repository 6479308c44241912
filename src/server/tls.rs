//! TLS towards agents: a certificate, its key, and perhaps a CA whose certificates clients must show.

use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, server::WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The contents of the files that a TLS listener names, in PEM.
#[derive(Clone)]
pub struct TlsFiles {
    pub cert: Vec<u8>,
    pub key: Vec<u8>,
    pub client_ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsFiles")
    }
}

/// Why a listener cannot speak TLS. Never holds what the files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTls {
    #[error("the certificate file holds no PEM certificate")]
    Certificate,
    #[error("the client_ca file holds no usable PEM certificate")]
    ClientCa,
    #[error("the key file holds no PEM private key")]
    Key,
    #[error("the certificate and the key do not belong together")]
    Mismatch,
}

/// An acceptor for these files, with HTTP/2 and HTTP/1.1.
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, BadTls> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&files.cert)
        .collect::<Result<_, _>>()
        .map_err(|_| BadTls::Certificate)?;
    if chain.is_empty() {
        return Err(BadTls::Certificate);
    }
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| BadTls::Key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|_| BadTls::Mismatch)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| BadTls::ClientCa)?;
                roots.add(certificate).map_err(|_| BadTls::ClientCa)?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|_| BadTls::ClientCa)?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|_| BadTls::Mismatch)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

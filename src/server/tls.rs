//! TLS towards agents: a certificate, its key, and perhaps a CA whose certificates clients must show. All of it can be
//! replaced while connections are open: new ones get the new certificate, and clients of old ones are looked at anew.

use super::{Validity, uris};
use crate::{clock, identity::certificate::Certificate};
use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio_rustls::TlsAcceptor;

/// A client's certificate is looked at so often while its connection lasts: it can end, and its CA can go.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The contents of the files that a TLS listener names, in PEM.
#[derive(Clone, PartialEq, Eq)]
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

/// How a listener speaks TLS at the moment. Clones are the same listener's.
#[derive(Debug, Clone)]
pub struct Tls(Arc<ArcSwap<Terms>>);

#[derive(Debug)]
struct Terms {
    config: Arc<ServerConfig>,
    /// Who looks at clients' certificates.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    /// When the certificate is good, where it can be told.
    validity: Option<Validity>,
}

impl Tls {
    /// TLS with these files, with HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    /// When a file does not hold what it should.
    pub fn new(files: &TlsFiles) -> Result<Self, BadTls> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(terms(files)?))))
    }

    /// Goes on with these files.
    ///
    /// # Errors
    /// When a file does not hold what it should: the listener goes on as it was.
    pub fn replace(&self, files: &TlsFiles) -> Result<(), BadTls> {
        self.0.store(Arc::new(terms(files)?));
        Ok(())
    }

    /// When the certificate that is shown now is good, where that can be told.
    pub fn validity(&self) -> Option<Validity> {
        self.0.load().validity
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.load().config))
    }
}

fn terms(files: &TlsFiles) -> Result<Terms, BadTls> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&files.cert)
        .collect::<Result<_, _>>()
        .map_err(|_| BadTls::Certificate)?;
    let validity = Validity::of(chain.first().ok_or(BadTls::Certificate)?);
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| BadTls::Key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = files.client_ca.as_deref().map(verifier).transpose()?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| BadTls::Mismatch)?;
    let builder = match &clients {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|_| BadTls::Mismatch)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Terms { config: Arc::new(config), clients, validity })
}

fn verifier(pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, BadTls> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| BadTls::ClientCa)?;
        roots.add(certificate).map_err(|_| BadTls::ClientCa)?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map(|verifier| verifier as Arc<dyn ClientCertVerifier>)
        .map_err(|_| BadTls::ClientCa)
}

/// The client at the other end of a connection, by its certificate.
#[derive(Debug)]
pub(super) struct Peer {
    chain: Vec<CertificateDer<'static>>,
    name: Option<Arc<str>>,
    tls: Tls,
    /// When it was looked at last, under which terms, and whether it was good.
    looked: Mutex<Option<(Instant, Arc<Terms>, bool)>>,
}

impl Peer {
    /// The client of a connection; `None` if it was asked for no certificate.
    pub(super) fn of(chain: Option<&[CertificateDer<'_>]>, tls: &Tls) -> Option<Self> {
        let chain: Vec<CertificateDer<'static>> =
            chain?.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let name = name_of(chain.first()?);
        Some(Self { chain, name, tls: tls.clone(), looked: Mutex::new(None) })
    }

    /// Its certificate as it stands now. What a handshake found good is looked at again: a resumed session is as old as
    /// its ticket, and a connection can outlive the certificate.
    pub(super) fn certificate(&self) -> Certificate {
        let now = clock::now();
        let terms = self.tls.0.load_full();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let known = looked.as_ref().filter(|(at, under, _)| {
            now.saturating_duration_since(*at) < LOOK_EVERY && Arc::ptr_eq(under, &terms)
        });
        let good = match known {
            Some((_, _, good)) => *good,
            None => {
                let good = self.is_good(&terms);
                *looked = Some((now, terms, good));
                good
            }
        };
        if good { Certificate::Good(self.name.clone()) } else { Certificate::Lapsed }
    }

    fn is_good(&self, terms: &Terms) -> bool {
        let since = clock::wall().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (Some(verifier), Some((leaf, others))) = (&terms.clients, self.chain.split_first()) else {
            return false;
        };
        verifier.verify_client_cert(leaf, others, UnixTime::since_unix_epoch(since)).is_ok()
    }
}

/// The one URI name of a certificate. One that bears two is nobody's, even where only one of them can be read.
fn name_of(leaf: &CertificateDer<'_>) -> Option<Arc<str>> {
    if uris::count(leaf) != Some(1) {
        return None;
    }
    webpki::EndEntityCert::try_from(leaf).ok()?.valid_uri_names().next().map(Arc::from)
}

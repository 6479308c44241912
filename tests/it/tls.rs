//! A client of TLS that trusts one certificate.

use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::{net::TcpStream, sync::Arc};

/// A connection to `localhost`, and what is read and written on it.
pub(crate) fn connect(
    port: u16,
    pem: &str,
    alpn: &[u8],
) -> (TcpStream, StreamOwned<ClientConnection, TcpStream>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    (socket.try_clone().unwrap(), StreamOwned::new(connection, socket))
}

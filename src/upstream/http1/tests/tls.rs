//! TLS: who is trusted, and what a cut connection means.
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::super::{ConnectFailure, Proxies, tls_config};
use super::*;

/// A server's configuration for `names`, and the PEM of the authority that vouches for it.
fn authority(called: &str, names: &[&str]) -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, called);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], secret)
        .unwrap();
    (Arc::new(config), ca.pem())
}

async fn listen_tls(pem: &str) -> (TcpListener, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (origin, _) = Origin::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    (listener, Client::new(origin, PATIENT, Some(tls_config(Some(pem.as_bytes())).unwrap())))
}

async fn accept_tls(listener: &TcpListener, config: Arc<ServerConfig>) -> Peer<TlsStream<TcpStream>> {
    let (stream, _) = listener.accept().await.unwrap();
    Peer { stream: TlsAcceptor::from(config).accept(stream).await.unwrap(), read: Vec::new() }
}

#[tokio::test]
async fn a_trusted_upstream_answers_and_its_connection_is_used_again() {
    let (config, pem) = authority("itself", &["127.0.0.1"]);
    let (listener, client) = listen_tls(&pem).await;
    let server = tokio::spawn(async move {
        let mut peer = accept_tls(&listener, config).await;
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ] {
            peer.request().await;
            peer.put_apart(answer.as_bytes().chunks(5)).await;
        }
        peer
    });
    for _ in 0..2 {
        assert_eq!(post(&client).await, (StatusCode::OK, Ok(Bytes::from_static(b"ok"))));
        assert_eq!(client.idle_connections(), 1);
    }
    server.await.unwrap();
}

async fn refused(names: &[&str], trusted: Trusted) -> SendErrorKind {
    let (config, pem) = authority("itself", names);
    let pem = match trusted {
        Trusted::Itself => pem,
        Trusted::Another => authority("another", names).1,
    };
    let (listener, client) = listen_tls(&pem).await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        assert!(TlsAcceptor::from(config).accept(stream).await.is_err());
    });
    let error = send(&client, &Method::POST, "{}").await.unwrap_err();
    assert!(!error.may_have_been_processed());
    server.await.unwrap();
    error.kind
}

enum Trusted {
    Itself,
    Another,
}

#[tokio::test]
async fn an_upstream_that_is_not_who_it_should_be_gets_nothing() {
    let wrong_host = refused(&["other.example"], Trusted::Itself).await;
    assert_eq!(wrong_host, SendErrorKind::Tls("the certificate is for another name"));
    let unknown = refused(&["127.0.0.1"], Trusted::Another).await;
    assert_eq!(unknown, SendErrorKind::Tls("the certificate's issuer is not trusted"));
}

#[tokio::test]
async fn https_needs_tls_on_both_sides() {
    let (_, pem) = authority("itself", &["127.0.0.1"]);
    let (listener, client) = listen_tls(&pem).await;
    let without = Client::new(client.origin().clone(), PATIENT, None);
    let kind = send(&without, &Method::GET, "").await.unwrap_err().kind;
    assert_eq!(kind, SendErrorKind::Tls("no TLS configuration was given"));
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        peer.put("HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer.closed().await;
    });
    let kind = send(&client, &Method::GET, "").await.unwrap_err().kind;
    assert_eq!(kind, SendErrorKind::Tls("the upstream does not speak TLS"));
    server.await.unwrap();
}

#[tokio::test]
async fn the_handshake_counts_as_connecting() {
    let (_, pem) = authority("itself", &["127.0.0.1"]);
    let (listener, client) = listen_tls(&pem).await;
    let timeouts = Timeouts { connect: Duration::from_millis(50), ..PATIENT };
    let client =
        Client::new(client.origin().clone(), timeouts, Some(tls_config(Some(pem.as_bytes())).unwrap()));
    let error = send(&client, &Method::GET, "").await.unwrap_err();
    assert_eq!(error.kind, SendErrorKind::Connect(ConnectFailure::TlsTimeout));
    assert!(!error.may_have_been_processed());
    drop(listener);
}

/// Versions that a server speaks which asks for a client's certificate.
async fn asked_for_a_certificate(versions: &[&'static rustls::SupportedProtocolVersion]) -> SendErrorKind {
    let (key, names) = (KeyPair::generate().unwrap(), vec!["127.0.0.1".to_owned()]);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![leaf.der().clone()], secret)
        .unwrap();
    let (listener, client) = listen_tls(&ca.pem()).await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let accepted = TlsAcceptor::from(Arc::new(config)).accept(stream).into_fallible().await;
        let Err((_, mut stream)) = accepted else { panic!("a client without a certificate came in") };
        // What was sent is read, or closing would reset the connection and the alert might not arrive.
        drop(stream.read_to_end(&mut Vec::new()).await);
    });
    let error = send(&client, &Method::POST, "{}").await.unwrap_err();
    assert!(!error.may_have_been_processed(), "{error}");
    server.await.unwrap();
    error.kind
}

#[tokio::test]
async fn an_upstream_that_asks_for_a_certificate_refused_the_handshake() {
    let last = asked_for_a_certificate(&[&rustls::version::TLS13]).await;
    assert_eq!(
        last,
        SendErrorKind::Tls("the upstream asks for a client certificate, and the gateway has none")
    );
    let prior = asked_for_a_certificate(&[&rustls::version::TLS12]).await;
    assert!(matches!(prior, SendErrorKind::Tls(_)), "{prior}");
}

#[tokio::test]
async fn a_name_that_there_is_not_was_not_found() {
    let (origin, _) = Origin::parse("http://nobody.invalid").unwrap();
    let error = send(&Client::new(origin, PATIENT, None), &Method::GET, "").await.unwrap_err();
    let SendErrorKind::Connect(ConnectFailure::Resolve(why)) = error.kind else { panic!("{error}") };
    assert!(why.starts_with("the name "), "{why}");
    let told = |text: &str| ConnectFailure::of_name(&std::io::Error::other(text)).to_string();
    assert_eq!(
        told("failed to lookup address information: Name or service not known"),
        "the name was not found"
    );
    assert_eq!(told("failed to lookup address information: Name does not resolve"), "the name was not found");
    let later = "failed to lookup address information: Temporary failure in name resolution";
    assert!(told(later).contains("the name server fails"));
}

/// The body of an answer that ends with the connection; `ending` says how the server ends it.
async fn ended(ending: Ending) -> Result<Bytes, BodyError> {
    let (config, pem) = authority("itself", &["127.0.0.1"]);
    let (listener, client) = listen_tls(&pem).await;
    let server = tokio::spawn(async move {
        let mut peer = accept_tls(&listener, config).await;
        peer.request().await;
        peer.put("HTTP/1.1 200 OK\r\n\r\nall").await;
        match ending {
            Ending::CloseNotify => peer.stream.shutdown().await.unwrap(),
            Ending::Cut => peer.stream.get_mut().0.shutdown().await.unwrap(),
        }
        peer.closed().await;
    });
    let (_, body) = post(&client).await;
    server.await.unwrap();
    body
}

enum Ending {
    CloseNotify,
    Cut,
}

#[tokio::test]
async fn a_body_that_ends_by_close_needs_the_closing_alert() {
    assert_eq!(ended(Ending::CloseNotify).await, Ok(Bytes::from_static(b"all")));
    assert_eq!(ended(Ending::Cut).await, Err(BodyError::Truncated));
}

#[tokio::test]
async fn a_refusal_during_the_upload_is_the_answer() {
    let (config, pem) = authority("itself", &["127.0.0.1"]);
    let (listener, client) = listen_tls(&pem).await;
    let server = tokio::spawn(async move {
        let mut peer = accept_tls(&listener, config).await;
        peer.stream.read_buf(&mut peer.read).await.unwrap();
        peer.put("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig").await;
        peer.closed().await;
    });
    let answer = send(&client, &Method::POST, vec![b'x'; 32 << 20]).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.collect(9).await), (413, Ok(Bytes::from_static(b"big"))));
    server.await.unwrap();
}

/// A proxy that answers CONNECT so, and then passes bytes on to `port`. Gives what it was asked.
async fn proxy(listener: TcpListener, answer: &'static str, port: u16) -> String {
    let mut client = accept(&listener).await;
    let asked = client.request().await;
    client.put(answer).await;
    if answer.contains(" 200 ") {
        let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        drop(tokio::io::copy_bidirectional(&mut client.stream, &mut server).await);
    }
    asked
}

async fn through_proxy(answer: &'static str) -> (Result<StatusCode, SendErrorKind>, String) {
    let (config, pem) = authority("itself", &["127.0.0.1"]);
    let (listener, client) = listen_tls(&pem).await;
    let server = tokio::spawn({
        let served = answer.contains(" 200 ");
        async move {
            if served {
                let mut peer = accept_tls(&listener, config).await;
                peer.request().await;
                peer.put("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await;
            }
        }
    });
    let proxies = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:pass@{}", proxies.local_addr().unwrap());
    let read = Proxies::read(|name| (name == "HTTPS_PROXY").then(|| url.clone().into())).unwrap();
    let (elsewhere, _) = Origin::parse("https://elsewhere.example").unwrap();
    let port = client.origin().port();
    let proxying = tokio::spawn(proxy(proxies, answer, port));
    let client = client.through(read.of(&elsewhere).cloned());
    let result = send(&client, &Method::POST, "{}").await;
    let result = match result {
        Ok(answer) => {
            let status = answer.status;
            assert_eq!(answer.body.collect(16).await.unwrap(), "ok");
            Ok(status)
        }
        Err(error) => Err(error.kind),
    };
    drop(client);
    server.await.unwrap();
    (result, proxying.await.unwrap().replace(&port.to_string(), "PORT"))
}

#[tokio::test]
async fn a_tunnel_is_as_good_as_a_connection() {
    let (result, asked) = through_proxy("HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n").await;
    assert_eq!(result, Ok(StatusCode::OK));
    // Source of the credential: `printf 'user:pass' | base64`.
    let expected = "CONNECT 127.0.0.1:PORT HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\nproxy-authorization: Basic dXNlcjpwYXNz\r\n\r\n";
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_so() {
    for (answer, why) in [
        ("HTTP/1.1 407 Who are you\r\n\r\n", "it asks for a credential, or another one"),
        ("HTTP/1.1 403 No\r\n\r\n", "it refuses to connect there"),
        ("HTTP/1.1 502 No\r\n\r\n", "it cannot connect there"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "it does not answer as a proxy does"),
    ] {
        let (result, _) = through_proxy(answer).await;
        assert_eq!(result, Err(SendErrorKind::Connect(ConnectFailure::Proxy(why))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_told_so() {
    let (_, pem) = authority("itself", &["127.0.0.1"]);
    for (closes, expected) in [
        (true, ConnectFailure::Proxy("it closed the connection without an answer to CONNECT")),
        (false, ConnectFailure::ProxySilent),
    ] {
        let proxies = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", proxies.local_addr().unwrap());
        let read = Proxies::read(|name| (name == "HTTPS_PROXY").then(|| url.clone().into())).unwrap();
        let (elsewhere, _) = Origin::parse("https://elsewhere.example").unwrap();
        let timeouts = Timeouts { connect: Duration::from_millis(200), ..PATIENT };
        let tls = tls_config(Some(pem.as_bytes())).unwrap();
        let client =
            Client::new(elsewhere.clone(), timeouts, Some(tls)).through(read.of(&elsewhere).cloned());
        let proxying = tokio::spawn(async move {
            let mut peer = accept(&proxies).await;
            peer.request().await;
            // A proxy that holds on is there until the client leaves.
            if !closes {
                peer.closed().await;
            }
        });
        let error = send(&client, &Method::POST, "{}").await.unwrap_err();
        assert_eq!(error.kind, SendErrorKind::Connect(expected));
        proxying.await.unwrap();
    }
}

//! Callers that are known by a client certificate: real certificates, through curl and the real binary.

use crate::support::{ACME, GLOBEX, Gateway, chat, run};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};
use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const MTLS: &str = "identity: { mtls: { tenant: \"spiffe://example.org/ns/{tenant}/sa/*\" } }\n";
const TENANTS: &str = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }, { id: small, sha256: \"1cc2f1b3cfd0b6e1ba5e5c6b0a8a28b3f09ad77d0a4e0f45c7d1c2d6d1b0a999\", models: [] }]
    models: [\"gpt-*\"]
    tools: [{ allow: \"get_*\" }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [claude]
";

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

impl Authority {
    /// A client's certificate and key in one file.
    fn client(&self, names: &[&str], until: i32) -> String {
        let uri = |name: &&str| SanType::URI((*name).try_into().unwrap());
        self.signed(|params| params.subject_alt_names = names.iter().map(uri).collect(), until)
    }

    /// One whose URI names are these bytes, which need not be text.
    fn client_of_bytes(&self, names: &[&[u8]]) -> String {
        let name = |name: &&[u8]| [&[0x86, u8::try_from(name.len()).unwrap()], *name].concat();
        let names: Vec<u8> = names.iter().flat_map(name).collect();
        let sequence = [&[0x30, u8::try_from(names.len()).unwrap()], names.as_slice()].concat();
        let extension = CustomExtension::from_oid_content(&[2, 5, 29, 17], sequence);
        self.signed(|params| params.custom_extensions = vec![extension], 2040)
    }

    fn signed(&self, named: impl FnOnce(&mut CertificateParams), until: i32) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        named(&mut params);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        params.signed_by(&key, &self.issuer).unwrap().pem() + &key.serialize_pem()
    }
}

fn server() -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (pair.cert.pem(), pair.signing_key.serialize_pem())
}

fn start(authority: &Authority) -> Gateway {
    let (cert, key) = server();
    let files = [("cert.crt", cert.as_str()), ("key.key", &key), ("clients.pem", &authority.pem)];
    Gateway::with_all(TENANTS, &|_| String::new(), MTLS, &files)
}

/// Status and body of a request over mutual TLS; status 0 where there is no connection.
fn ask(gateway: &Gateway, client: Option<&str>, path: &str, more: &[&str]) -> (u16, String) {
    let dir = gateway.dir.path();
    let mut curl = Command::new("curl");
    curl.args(["-s", "-k", "-w", "\n%{http_code}", &format!("https://localhost:{}{path}", gateway.tls)]);
    if let Some(client) = client {
        std::fs::write(dir.join("client.pem"), client).unwrap();
        curl.args(["--cert", dir.join("client.pem").to_str().unwrap()]);
    }
    let output = curl.args(more).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

fn models(gateway: &Gateway, client: Option<&str>, more: &[&str]) -> (u16, String) {
    ask(gateway, client, "/v1/models", more)
}

#[test]
fn a_certificate_is_a_tenant() {
    let ca = authority("clients");
    let gateway = start(&ca);
    let acme = ca.client(&["spiffe://example.org/ns/acme/sa/agent"], 2040);
    for version in ["--http1.1", "--http2"] {
        let (status, body) = models(&gateway, Some(&acme), &[version]);
        assert!(status == 200 && body.contains("gpt-5") && !body.contains("claude"), "{status} {body}");
    }
    let globex = ca.client(&["spiffe://example.org/ns/globex/sa/x"], 2040);
    let (status, body) = models(&gateway, Some(&globex), &[]);
    assert!(status == 200 && body.contains("claude") && !body.contains("gpt-5"), "{status} {body}");
    // Its rules hold, and it goes by its own id.
    let body = chat("!call delete_x {}", r#","tools":[{"type":"function","function":{"name":"delete_x"}}]"#);
    let post = ["-H", "content-type: application/json", "-d", &body];
    assert_eq!(ask(&gateway, Some(&acme), "/v1/chat/completions", &post).0, 200);
    let audit = gateway.lines("audit", "acme", 1);
    assert_eq!(
        (&audit[0]["key"], &audit[0]["decision"]),
        (&"mtls:spiffe://example.org/ns/acme/sa/agent".into(), &"deny".into()),
        "{audit:?}"
    );
    // Keys go on beside it, on listeners that ask for no certificate.
    assert_eq!(gateway.get("/v1/models", ACME).status, 200);
}

/// A connection that rests between requests is parked, and its client is who it was.
#[test]
fn a_certificate_is_known_again_after_a_rest() {
    let ca = authority("clients");
    let gateway = start(&ca);
    let url = format!("https://localhost:{}/v1/models", gateway.tls);
    for (tenant, model) in [("acme", "gpt-5"), ("globex", "claude")] {
        let client = ca.client(&[&format!("spiffe://example.org/ns/{tenant}/sa/agent")], 2040);
        let more = ["--http1.1", "--rate", "24/m", &url, &url, "-w", "\n%{num_connects}\n%{http_code}"];
        let (status, text) = models(&gateway, Some(&client), &more);
        assert_eq!(
            (status, text.matches(model).count(), text.matches("\n0\n200").count()),
            (200, 3, 1),
            "{text}"
        );
        assert_eq!(text.matches("\n1\n200").count(), 1, "one connection: {text}");
    }
}

#[test]
fn certificates_and_keys_of_two_tenants_are_nobody() {
    let ca = authority("clients");
    let gateway = start(&ca);
    let acme = ca.client(&["spiffe://example.org/ns/acme/sa/agent"], 2040);
    let header = |key: &str| format!("authorization: Bearer {key}");
    assert_eq!(models(&gateway, Some(&acme), &["-H", &header(ACME)]).0, 200);
    let refused = models(&gateway, Some(&acme), &["-H", &header("unknown")]);
    assert_eq!(refused.0, 401);
    let id = |body: &str| body.replace(|c: char| c.is_ascii_digit(), "0");
    for (client, key) in [
        (acme.as_str(), Some(GLOBEX)),
        (&ca.client(&["spiffe://example.org/ns/nobody/sa/agent"], 2040), None),
        (&ca.client(&["spiffe://example.org/ns/nobody/sa/agent"], 2040), Some(ACME)),
        (&ca.client(&["spiffe://other.org/ns/acme/sa/agent"], 2040), None),
        (&ca.client(&["spiffe://example.org/ns/acme/sa/a/b"], 2040), None),
        (
            &ca.client(&["spiffe://example.org/ns/acme/sa/a", "spiffe://example.org/ns/globex/sa/a"], 2040),
            None,
        ),
        (&ca.client(&["spiffe://example.org/ns/acme/sa/a", "https://example.org/"], 2040), None),
        (&ca.client(&[], 2040), None),
        (&ca.client(&[], 2040), Some(ACME)),
    ] {
        let header = key.map(header).unwrap_or_default();
        let told = models(&gateway, Some(client), &["-H", &header]);
        // One answer for all of them.
        assert_eq!((told.0, id(&told.1)), (401, id(&refused.1)));
    }
}

/// What one reader passes over is a name to another: a second one is a second one, whatever its bytes are.
#[test]
fn a_certificate_of_two_names_is_nobody_even_where_one_is_no_text() {
    let ca = authority("clients");
    let gateway = start(&ca);
    let acme: &[u8] = b"spiffe://example.org/ns/acme/sa/a";
    assert_eq!(models(&gateway, Some(&ca.client_of_bytes(&[acme])), &[]).0, 200);
    for other in [b"spiffe://example.org/ns/globex/sa/\xff".as_slice(), b"\xff", b"\0", b""] {
        for names in [[acme, other], [other, acme]] {
            // It gets a connection, or none.
            let (status, body) = models(&gateway, Some(&ca.client_of_bytes(&names)), &[]);
            assert!([0, 401].contains(&status), "{status} {body} {other:?}");
        }
    }
}

#[test]
fn foreign_expired_and_missing_certificates_get_no_connection() {
    let ca = authority("clients");
    let gateway = start(&ca);
    let name = ["spiffe://example.org/ns/acme/sa/agent"];
    let foreign = authority("clients").client(&name, 2040);
    let expired = ca.client(&name, 2021);
    for client in [None, Some(foreign.as_str()), Some(&expired)] {
        assert_eq!(models(&gateway, client, &["-H", &format!("x-api-key: {ACME}")]).0, 0);
    }
    assert_eq!(models(&gateway, Some(&ca.client(&name, 2040)), &[]).0, 200);
}

/// O9: new certificates without a connection lost, and a CA that is gone is gone for open connections too.
#[test]
fn o9_certificates_are_replaced_under_load() {
    let (ca, other) = (authority("clients"), authority("others"));
    let gateway = start(&ca);
    let dir = gateway.dir.path().to_owned();
    let acme = ca.client(&["spiffe://example.org/ns/acme/sa/agent"], 2040);
    std::fs::write(dir.join("acme.pem"), &acme).unwrap();
    let url = format!("https://localhost:{}/v1/models", gateway.tls);
    let dir2 = dir.clone();
    // One connection all along, a request every 50 ms.
    let going = std::thread::spawn(move || {
        let urls = vec![url; 80];
        let mut curl = Command::new("curl");
        curl.args(["-s", "-k", "--rate", "20/s", "-w", "%{http_code} %{num_connects}\n"]);
        for url in &urls {
            curl.args(["-o", "/dev/null", "--cert", dir2.join("acme.pem").to_str().unwrap(), url]);
        }
        let output = curl.stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    let mut seen = std::collections::HashSet::new();
    for _ in 0..10 {
        let (cert, key) = server();
        std::fs::write(dir.join("key.key"), key).unwrap();
        std::fs::write(dir.join("cert.crt"), cert).unwrap();
        assert_eq!(gateway.reload().status, 200);
        seen.insert(shown(&gateway));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(seen.len(), 10, "each certificate is shown");
    let lines = going.join().unwrap();
    assert_eq!(lines.lines().filter(|line| line.starts_with("200 ")).count(), 80, "{lines}");
    assert_eq!(lines.lines().filter(|line| line.ends_with(" 1")).count(), 1, "{lines}");
    // A broken pair changes nothing.
    std::fs::write(dir.join("key.key"), "no key").unwrap();
    assert_eq!(gateway.reload().status, 422);
    assert_eq!(models(&gateway, Some(&acme), &[]).0, 200);
    let (cert, key) = server();
    std::fs::write(dir.join("key.key"), key).unwrap();
    std::fs::write(dir.join("cert.crt"), cert).unwrap();
    std::fs::write(dir.join("clients.pem"), &other.pem).unwrap();
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(models(&gateway, Some(&acme), &[]).0, 0);
    let new = other.client(&["spiffe://example.org/ns/acme/sa/agent"], 2040);
    assert_eq!(models(&gateway, Some(&new), &[]).0, 200);
}

/// The certificate that the gateway shows now.
fn shown(gateway: &Gateway) -> String {
    let output = Command::new("curl")
        .args([
            "-s",
            "-k",
            "-v",
            "--cert",
            "acme.pem",
            &format!("https://localhost:{}/v1/models", gateway.tls),
        ])
        .args(["-w", "%{certs}"])
        .current_dir(gateway.dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split("-----BEGIN").nth(1).unwrap_or(&text).to_owned()
}

#[test]
fn patterns_are_checked_before_anything_runs() {
    let dir = tempfile::tempdir().unwrap();
    let check = |pattern: &str, expected: &str| {
        let yaml = format!(
            "tenants: {{ acme: {{ keys: [{{ id: a, sha256: {} }}], models: [] }} }}\nidentity: {{ mtls: {{ tenant: \"{pattern}\" }} }}\n",
            "a".repeat(64)
        );
        std::fs::write(dir.path().join("tollgate.yaml"), yaml).unwrap();
        let (status, out, err) = run(&["check", "--config", "tollgate.yaml"], Path::new(dir.path()), "");
        assert!(status == 1 && (out + &err).contains(expected), "{pattern} {err}");
    };
    check("spiffe://example.org/ns/{tenant}/sa/*", "no listener asks for client certificates");
    check("spiffe://example.org/ns/*", "must hold {tenant}");
    check("spiffe://example.org/x{tenant}", "could be the name's own");
}

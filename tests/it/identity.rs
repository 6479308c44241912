//! Callers that are known by tokens, and what clients without one are told; on the real binary.

use crate::{
    signer::{Signer, base64url},
    support::{ACME, Answer, GLOBEX, Gateway, chat},
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::SystemTime,
};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: ["gpt-*"]
    tools: [{ allow: "crm__get_*" }, { allow: "crm__create_ticket", when: 'key.id == "jwt:alice"' }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [gpt-5]
    tools: [{ allow: crm__get_weather }]
  template: { abstract: true }
"#;

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

fn jwks(keys: &[(&Signer, &str)]) -> String {
    let keys: Vec<Value> = keys.iter().map(|(signer, kid)| signer.jwk(kid)).collect();
    json!({ "keys": keys }).to_string()
}

fn token_of(signer: &Signer, algorithm: &str, kid: &str, change: &Value) -> String {
    let mut claims = json!({
        "iss": "https://idp.example", "aud": ["tollgate"], "exp": now() + 300, "iat": now(), "sub": "alice", "org": { "id": "acme" },
    });
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    signer.token(&json!({ "alg": algorithm, "kid": kid }).to_string(), &claims.to_string())
}

/// A gateway that takes tokens of an issuer whose keys are where this says.
fn gateway(jwks: &str, files: &[(&str, &str)], more: &str) -> Gateway {
    let more = format!(
        "identity:\n  jwt: [{{ issuer: \"https://idp.example\", audience: tollgate, jwks: {jwks}, tenant: claims.org.id }}]\n{more}"
    );
    let crm = |mock| {
        format!(
            "  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\", auth: {{ bearer: sk-mcp-secret }} }}\n"
        )
    };
    Gateway::with_all(TENANTS, &crm, &more, files)
}

/// The body and the headers of an answer, less what tells one request from another.
fn without_id(answer: &Answer) -> (u16, String, String) {
    let id = answer.header("x-request-id").unwrap().to_owned();
    let headers = answer.headers.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:"));
    let headers = headers.collect::<Vec<_>>().join("\n").replace(&id, "ID");
    (answer.status, headers, answer.body.replace(&id, "ID"))
}

const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

fn mcp(gateway: &Gateway, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    gateway.raw(&format!(
        "POST {path} HTTP/1.1\r\n{headers}content-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

#[test]
fn a_token_is_its_tenant_on_every_way_and_reaches_no_upstream() {
    let signers =
        ["RS256", "PS384", "ES256", "ES384", "EdDSA"].map(|algorithm| (algorithm, Signer::of(algorithm)));
    let keys: Vec<(&Signer, &str)> = signers.iter().map(|(name, signer)| (signer, *name)).collect();
    let gateway = gateway("{ file: jwks.json }", &[("jwks.json", &jwks(&keys))], "");
    let mut shown = vec![ACME.to_owned()];
    for (algorithm, signer) in &signers {
        let token = token_of(signer, algorithm, algorithm, &json!({}));
        assert_eq!(gateway.chat(&token, &chat("hi", "")).status, 200, "{algorithm}");
        // Known again, in another header.
        let again = gateway.messages("/v1/messages/count_tokens", &token, &chat("hi", ""));
        assert_ne!(again.status, 401);
        shown.push(token);
    }
    let globex = token_of(
        &signers[2].1,
        "ES256",
        "ES256",
        &json!({ "org": { "id": "globex" }, "sub": "bob@globex.example" }),
    );
    assert_eq!(gateway.chat(&globex, &chat("hi", "")).status, 200);
    shown.push(globex.clone());
    // What a rule says of `key.id`, and what each tenant sees.
    for (token, tools) in [(&shown[1], 2), (&shown[0], 1), (&globex, 1)] {
        let answer =
            mcp(&gateway, "/mcp", &format!("host: localhost\r\nauthorization: Bearer {token}\r\n"), LIST);
        let tools_seen = answer.json()["result"]["tools"].as_array().unwrap().len();
        assert_eq!((answer.status, tools_seen), (200, tools), "{}", answer.body);
    }
    let seen = gateway.mock_get("/mock/requests").body;
    assert!(seen.contains("sk-upstream-secret") && seen.contains("sk-mcp-secret"));
    for token in &shown {
        assert!(!seen.contains(token.as_str()), "a client's credential reached an upstream");
        assert!(!seen.contains(token.rsplit('.').next().unwrap()));
    }
    let keys = |tenant: &str, at_least| {
        let lines = gateway.lines("log", tenant, at_least);
        lines.iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(keys("acme", 11).iter().filter(|key| *key == "jwt:alice").count() >= 10);
    // An address is nobody's name in a log.
    assert!(keys("globex", 2).iter().all(|key| key.starts_with("jwt:sha256-") && key.len() == 43));
}

#[test]
fn every_failed_credential_has_one_answer() {
    let (signer, stranger) = (Signer::of("ES256"), Signer::of("ES256"));
    let gateway = gateway("{ file: jwks.json }", &[("jwks.json", &jwks(&[(&signer, "k")]))], "");
    let of = |change: Value| token_of(&signer, "ES256", "k", &change);
    assert_eq!(gateway.chat(&of(json!({})), &chat("hi", "")).status, 200);
    let good = of(json!({}));
    let mut tampered = good.clone();
    let middle = tampered.len() / 2;
    let replaced = if tampered.as_bytes()[middle] == b'A' { "B" } else { "A" };
    tampered.replace_range(middle..=middle, replaced);
    let mut tokens = vec![
        "no-such-key".to_owned(),
        of(json!({ "exp": now() - 1 })),
        of(json!({ "exp": 1e300 })),
        of(json!({ "nbf": now() + 3600 })),
        of(json!({ "aud": "another" })),
        of(json!({ "iss": "https://evil.example" })),
        of(json!({ "org": { "id": "no-such-tenant" } })),
        of(json!({ "org": { "id": "template" } })),
        of(json!({ "org": { "id": ["acme"] } })),
        of(json!({ "org": "acme" })),
        token_of(&stranger, "ES256", "k", &json!({})),
        token_of(&signer, "ES256", "other", &json!({})),
        tampered,
        format!("{good}."),
        format!("{}.", good.rsplit_once('.').unwrap().0),
        "a.b.c".to_owned(),
        "x".repeat(20_000),
    ];
    tokens.push(format!("{}{}", base64url(r#"{"alg":"none","kid":"k"}"#), &good[good.find('.').unwrap()..]));
    for (path, body) in [("/v1/chat/completions", chat("hi", "")), ("/mcp", LIST.to_owned())] {
        let mut answers = tokens.iter().map(|token| without_id(&gateway.post(path, token, &body)));
        let first = answers.next().unwrap();
        assert_eq!(first.0, 401);
        assert!(first.2.contains("invalid_api_key") || path == "/mcp", "{first:?}");
        for (number, answer) in answers.enumerate() {
            assert_eq!(answer, first, "{path} {number}");
        }
    }
    // Two different ones are none, whatever they are worth alone.
    for (bearer, key) in [(&good, ACME), (&good, GLOBEX), (&tokens[0], ACME)] {
        let both = gateway.raw(&format!(
            "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {bearer}\r\nx-api-key: {key}\r\nconnection: close\r\n\r\n"
        ));
        assert_eq!(both.status, 401);
    }
}

/// What an issuer publishes, over HTTP, and how often it was asked.
struct Issuer {
    port: u16,
    published: Arc<Mutex<(u16, String)>>,
    asked: Arc<Mutex<usize>>,
}

impl Issuer {
    fn publishing(text: String) -> Self {
        Self::over(text, Some)
    }

    /// The same over TLS, as whoever has this certificate.
    fn secure(text: String, pair: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Self {
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![pair.cert.der().clone()], key).unwrap());
        Self::over(text, move |socket| {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut socket = socket;
            connection.complete_io(&mut socket).ok()?;
            Some(rustls::StreamOwned::new(connection, socket))
        })
    }

    /// The same over whatever a connection becomes.
    fn over<S: Read + Write>(text: String, open: impl Fn(TcpStream) -> Option<S> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (published, asked) = (Arc::new(Mutex::new((200, text))), Arc::new(Mutex::new(0)));
        let issuer = Self {
            port: listener.local_addr().unwrap().port(),
            published: Arc::clone(&published),
            asked: Arc::clone(&asked),
        };
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let Some(mut socket) = open(socket) else { continue };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if socket.read(&mut byte).unwrap_or(0) == 0 {
                        break;
                    }
                    head.push(byte[0]);
                }
                *asked.lock().unwrap() += 1;
                let (status, text) = published.lock().unwrap().clone();
                let length = text.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
                );
                drop(socket.write_all(answer.as_bytes()));
                drop(socket.flush());
            }
        });
        issuer
    }

    fn publish(&self, status: u16, text: String) {
        *self.published.lock().unwrap() = (status, text);
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

#[test]
fn keys_under_a_url_rotate_and_outlive_their_issuer() {
    let (old, new, never) = (Signer::of("EdDSA"), Signer::of("EdDSA"), Signer::of("EdDSA"));
    let issuer = Issuer::publishing(jwks(&[(&old, "old")]));
    let gateway = gateway(&format!("{{ url: \"http://127.0.0.1:{}/keys\" }}", issuer.port), &[], "");
    let status = |signer: &Signer, kid: &str| {
        gateway.chat(&token_of(signer, "EdDSA", kid, &json!({})), &chat("hi", "")).status
    };
    // Nothing is fetched before a token asks for it, and no stranger makes the gateway fetch.
    assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
    assert_eq!(
        gateway.chat(&token_of(&old, "EdDSA", "old", &json!({ "aud": "x" })), &chat("hi", "")).status,
        401
    );
    assert_eq!(issuer.asked(), 0);
    for _ in 0..5 {
        assert_eq!(status(&old, "old"), 200);
    }
    assert_eq!(issuer.asked(), 1);
    // A new key is found when it is first seen.
    issuer.publish(200, jwks(&[(&old, "old"), (&new, "new")]));
    assert_eq!(status(&new, "new"), 200);
    assert_eq!(issuer.asked(), 2);
    // One that nobody has is not asked for again and again.
    for _ in 0..5 {
        assert_eq!(status(&never, "never"), 401);
    }
    assert_eq!(issuer.asked(), 2);
    // The issuer is away, and the configuration is loaded anew: what is known stays known.
    issuer.publish(500, String::new());
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(status(&old, "old"), 200);
    assert_eq!(status(&never, "never"), 401);
}

/// What was fetched trusting one authority is not what the set is where another is trusted: it is fetched anew, however fresh
/// it was. Two issuers that name one URL trust each whom it names.
#[test]
fn keys_are_good_as_long_as_they_would_be_fetched_in_the_same_way() {
    let signer = Signer::of("EdDSA");
    let pair = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (server, stranger) = (pair(), pair());
    let issuer = Issuer::secure(jwks(&[(&signer, "k")]), &server);
    let url = format!("https://localhost:{}/keys", issuer.port);
    let both = format!(
        "{{ url: \"{url}\", ca: ca.pem }}, tenant: claims.org.id }}, {{ issuer: \"https://other.example\", audience: tollgate, jwks: {{ url: \"{url}\", ca: other.pem }}"
    );
    let files = [("ca.pem", &*server.cert.pem()), ("other.pem", &*stranger.cert.pem())];
    let gateway = gateway(&both, &files, "");
    let status = |issuer: &str| {
        gateway.chat(&token_of(&signer, "EdDSA", "k", &json!({ "iss": issuer })), &chat("hi", "")).status
    };
    let (first, other) = ("https://idp.example", "https://other.example");
    assert_eq!((status(first), status(other), issuer.asked()), (200, 401, 1));
    let trusting = |pair: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        std::fs::write(gateway.dir.path().join("ca.pem"), pair.cert.pem()).unwrap();
        assert_eq!(gateway.reload().status, 200);
    };
    // Nothing of it changed.
    trusting(&server);
    assert_eq!((status(first), issuer.asked()), (200, 1));
    trusting(&stranger);
    assert_eq!((status(first), issuer.asked()), (401, 1));
    trusting(&server);
    assert_eq!((status(first), status(other), issuer.asked()), (200, 401, 2));
}

/// An issuer that takes back all of its keys is there, and says so.
#[test]
fn an_issuer_that_publishes_no_key_is_believed() {
    let (old, never) = (Signer::of("EdDSA"), Signer::of("EdDSA"));
    let issuer = Issuer::publishing(jwks(&[(&old, "old"), (&old, "old")]));
    let gateway = gateway(&format!("{{ url: \"http://127.0.0.1:{}/keys\" }}", issuer.port), &[], "");
    let status = |signer: &Signer, kid: &str| {
        gateway.chat(&token_of(signer, "EdDSA", kid, &json!({})), &chat("hi", "")).status
    };
    assert_eq!(status(&old, "old"), 200);
    issuer.publish(200, "{\"keys\":[]}".to_owned());
    // A key that is not there has the set fetched.
    assert_eq!((status(&never, "never"), status(&old, "old")), (401, 401));
    assert!(gateway.stderr().contains("holds no key"), "{}", gateway.stderr());
}

#[test]
fn without_any_keys_no_token_is_good() {
    let signer = Signer::of("EdDSA");
    let issuer = Issuer::publishing("{}".to_owned());
    let gateway = gateway(&format!("{{ url: \"http://127.0.0.1:{}/keys\" }}", issuer.port), &[], "");
    let status = || gateway.chat(&token_of(&signer, "EdDSA", "k", &json!({})), &chat("hi", "")).status;
    assert_eq!(status(), 401);
    assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
    issuer.publish(200, jwks(&[(&signer, "k")]));
    gateway.wait("the key set", |_| status() == 200);
}

#[test]
fn a_key_that_leaves_its_file_is_no_longer_good() {
    let (old, new) = (Signer::of("ES256"), Signer::of("ES256"));
    let gateway = gateway("{ file: jwks.json }", &[("jwks.json", &jwks(&[(&old, "old")]))], "");
    let (before, after) =
        (token_of(&old, "ES256", "old", &json!({})), token_of(&new, "ES256", "new", &json!({})));
    let status = |token: &str| gateway.chat(token, &chat("hi", "")).status;
    assert_eq!((status(&before), status(&after)), (200, 401));
    let file = gateway.dir.path().join("jwks.json");
    std::fs::write(&file, jwks(&[(&new, "new")])).unwrap();
    gateway.wait("the new key", |_| status(&after) == 200);
    assert_eq!(status(&before), 401);
    // A file that is broken changes nothing.
    std::fs::write(&file, "{").unwrap();
    assert_eq!(gateway.reload().status, 422);
    assert_eq!((status(&before), status(&after)), (401, 200));
}

#[test]
fn clients_without_a_token_learn_where_to_get_one() {
    let signer = Signer::of("ES256");
    let set = jwks(&[(&signer, "k")]);
    let gateway =
        gateway("{ file: jwks.json }", &[("jwks.json", &set)], "allowed_hosts: [gateway.example]\n");
    let get = |host: &str, path: &str| {
        gateway.raw(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
    };
    for path in ["", "/mcp", "/mcp/crm", "/mcp/no-such-server"] {
        let answer = get("gateway.example", &format!("/.well-known/oauth-protected-resource{path}"));
        let expected = json!({
            "resource": format!("http://gateway.example{path}"),
            "authorization_servers": ["https://idp.example"],
            "bearer_methods_supported": ["header"],
            "resource_name": "Tollgate",
        });
        assert_eq!((answer.status, answer.json()), (200, expected));
    }
    let bare = "/.well-known/oauth-protected-resource";
    assert_eq!(get("evil.example", bare).status, 403);
    for path in ["/v1", "/mcp/", "/mcp/A", "x", "/mcp/crm/x"] {
        assert_eq!(get("localhost", &format!("{bare}{path}")).status, 404, "{path}");
    }
    let challenge = |headers: &str, path: &str| {
        let answer = mcp(&gateway, path, &format!("host: localhost:1\r\n{headers}"), LIST);
        assert_eq!(answer.status, 401);
        answer.header("www-authenticate").unwrap().to_owned()
    };
    let at = "http://localhost:1/.well-known/oauth-protected-resource";
    assert_eq!(challenge("", "/mcp"), format!("Bearer resource_metadata=\"{at}/mcp\""));
    let wrong = challenge("authorization: Bearer x\r\n", "/mcp/crm");
    assert_eq!(wrong, format!("Bearer resource_metadata=\"{at}/mcp/crm\", error=\"invalid_token\""));
    assert_eq!(challenge("authorization: Bearer x\r\n", "/v1/chat/completions"), "Bearer");
    assert_eq!(mcp(&gateway, "/mcp", "host: evil.example\r\n", LIST).status, 403);
}

#[test]
fn a_public_url_is_told_whatever_a_client_calls_the_gateway() {
    let signer = Signer::of("ES256");
    let set = jwks(&[(&signer, "k")]);
    let gateway =
        gateway("{ file: jwks.json }", &[("jwks.json", &set)], "public_url: https://gateway.example\n");
    for host in ["localhost", "gateway.example"] {
        let answer = mcp(&gateway, "/mcp", &format!("host: {host}\r\n"), LIST);
        let expected =
            "Bearer resource_metadata=\"https://gateway.example/.well-known/oauth-protected-resource/mcp\"";
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some(expected)));
    }
}

#[test]
fn without_issuers_there_is_no_metadata() {
    let gateway = Gateway::with(TENANTS, "");
    let answer = gateway.raw(
        "GET /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    assert_eq!(answer.status, 404);
    let answer = mcp(&gateway, "/mcp", "host: localhost\r\n", LIST);
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")));
}

#[test]
fn hosts_and_origins_of_others_are_refused() {
    let gateway = Gateway::with(TENANTS, "allowed_hosts: [gateway.example]\n");
    let check = |headers: &str, status: u16, code: &str| {
        for port in [None, Some(gateway.admin)] {
            let answer = match port {
                None => mcp(&gateway, "/mcp", &format!("authorization: Bearer {ACME}\r\n{headers}"), LIST),
                Some(port) => gateway.raw_to(
                    port,
                    &format!("GET /admin/status HTTP/1.1\r\n{headers}connection: close\r\n\r\n"),
                ),
            };
            // The admin port has one word for all, behind what is no request at all.
            let is_request = headers.matches("host: ").count() == 1 && !headers.contains('@');
            let expected = if port.is_some() && status == 400 && is_request { 403 } else { status };
            assert_eq!(answer.status, expected, "{headers} {}", answer.body);
            if port.is_none() && !code.is_empty() {
                assert_eq!(answer.json()["error"]["data"]["code"], code);
                assert!(code == "invalid_request" || answer.body.contains("add it to allowed_hosts"));
            }
        }
    };
    for host in
        ["localhost", "LOCALHOST:99", "127.0.0.1", "[::1]:8080", "gateway.example", "gateway.example:443"]
    {
        check(&format!("host: {host}\r\n"), 200, "");
        check(&format!("host: {host}\r\norigin: http://localhost:6274\r\n"), 200, "");
        check(&format!("host: {host}\r\norigin: https://evil.example\r\n"), 403, "origin_not_allowed");
    }
    for host in
        ["evil.example", "evil.example:8080", "192.0.2.1", "localhost.evil.example", "crm.default.svc"]
    {
        check(&format!("host: {host}\r\n"), 403, "host_not_allowed");
        check(&format!("host: {host}\r\norigin: http://{host}\r\n"), 403, "host_not_allowed");
    }
    for origin in ["null", "https://user@localhost", "file://localhost", "http://192.0.2.1"] {
        check(&format!("host: localhost\r\norigin: {origin}\r\n"), 403, "origin_not_allowed");
    }
    check(
        "host: localhost\r\norigin: http://localhost\r\norigin: http://localhost\r\n",
        403,
        "origin_not_allowed",
    );
    check("", 400, "invalid_request");
    check("host: localhost\r\nhost: localhost\r\n", 400, "invalid_request");
    check("host: a@localhost\r\n", 400, "invalid_request");
    // Refused, and on record, but for what is no request of HTTP.
    let lines = gateway.lines("log", "acme", 33);
    assert!(lines.iter().any(|line| line["status"] == 403));
}

#[test]
fn whoever_reaches_a_fixed_port_is_its_tenant_and_no_page_is() {
    let gateway = Gateway::with(TENANTS, "identity: { fixed: acme }\n");
    let get = |headers: &str| {
        gateway.raw(&format!("GET /v1/models HTTP/1.1\r\n{headers}connection: close\r\n\r\n")).status
    };
    assert_eq!(get("host: localhost\r\n"), 200);
    assert_eq!(get("host: localhost\r\nauthorization: Bearer any\r\n"), 200);
    assert_eq!(get(&format!("host: localhost\r\nx-api-key: {ACME}\r\n")), 200);
    assert_eq!(get(&format!("host: localhost\r\nx-api-key: {GLOBEX}\r\n")), 401);
    assert_eq!(get("host: localhost\r\nx-api-key: a\r\napi-key: b\r\n"), 401);
    assert_eq!(get("host: evil.example\r\n"), 403);
    assert_eq!(get("host: localhost\r\norigin: https://evil.example\r\n"), 403);
    let keys = gateway.lines("log", "acme", 5);
    assert_eq!(keys.iter().filter(|line| line["key"] == "fixed:loopback").count(), 4);
}

/// A gateway where acme has accounts of its own.
fn with_accounts() -> Gateway {
    let own = "    models: [\"gpt-*\"]\n    credentials:\n      crm: { bearer: sk-acme-crm }\n      old: { header: { name: x-crm-key, value: sk-acme-old } }\n      mock: { bearer: sk-acme-openai }\n";
    let tenants = TENANTS
        .replacen("    models: [\"gpt-*\"]\n", own, 1)
        .replace("\"crm__get_*\"", "[\"crm__get_*\", \"old__get_*\"]")
        .replace("crm__get_weather }", "[crm__get_weather, old__get_weather] }");
    Gateway::with_mock(&tenants, |mock| {
        let server = |name: &str, path: &str| {
            format!(
                "  {name}: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp{path}\", auth: {{ bearer: sk-shared-{name} }} }}\n"
            )
        };
        [server("crm", "/modern"), server("old", "/legacy")].concat()
    })
}

fn call(gateway: &Gateway, key: &str, name: &str, city: &str) -> String {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
    let params = json!({ "name": name, "arguments": { "city": city }, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string();
    let length = body.len();
    let answer = gateway.raw(&format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {name}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    assert_eq!(answer.status, 200);
    answer.body
}

/// Path, method and credential of each request that the mock saw.
fn shown(gateway: &Gateway) -> Vec<(String, String, String)> {
    let seen = gateway.seen();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let request = |request: &Value| {
        let header = |name: &str| {
            let mut headers = request["headers"].as_array().unwrap().iter();
            headers.find(|header| header[0] == name).map(|header| text(&header[1]))
        };
        let shown = [header("authorization"), header("x-crm-key")].into_iter().flatten();
        let body: Value = serde_json::from_str(&text(&request["body"])).unwrap_or_default();
        (text(&request["path"]), text(&body["method"]), shown.collect::<Vec<_>>().join("+"))
    };
    seen.as_array().unwrap().iter().map(request).collect()
}

#[test]
fn a_tenant_shows_its_own_credential_and_shares_no_session() {
    let gateway = with_accounts();
    for key in [ACME, GLOBEX] {
        for name in ["crm__get_weather", "old__get_weather"] {
            assert!(call(&gateway, key, name, "Bern").contains("in Bern"));
        }
        assert_eq!(gateway.chat(key, &chat("hi", "")).status, 200);
    }
    // Every request of a tenant, its lists and sessions too, shows its own, and no other's.
    let shown = shown(&gateway);
    let count = |path: &str, method: &str, credential: &str| {
        shown.iter().filter(|(p, m, c)| p == path && m == method && c == credential).count()
    };
    for (path, mine, shared) in [
        ("/mcp/modern", "Bearer sk-acme-crm", "Bearer sk-shared-crm"),
        ("/mcp/legacy", "sk-acme-old", "Bearer sk-shared-old"),
    ] {
        for credential in [mine, shared] {
            assert_eq!(count(path, "tools/list", credential), 1, "{path} {shown:?}");
            assert_eq!(count(path, "tools/call", credential), 1, "{path} {shown:?}");
        }
        let mut of_path = shown.iter().filter(|(p, ..)| p == path);
        assert!(of_path.all(|(.., c)| c == mine || c == shared), "{shown:?}");
    }
    // One in which the gateway lists and one for calls, of each account.
    for credential in ["sk-acme-old", "Bearer sk-shared-old"] {
        assert_eq!(count("/mcp/legacy", "initialize", credential), 2, "{shown:?}");
    }
    assert_eq!(count("/v1/chat/completions", "", "Bearer sk-acme-openai"), 1);
    assert_eq!(count("/v1/chat/completions", "", "Bearer sk-upstream-secret"), 1);
}

#[test]
fn a_server_that_repeats_what_it_was_shown_tells_nobody() {
    let gateway = with_accounts();
    let echoed = call(&gateway, ACME, "crm__get_weather", "of sk-acme-crm here");
    assert!(echoed.contains("of [API_KEY] here") && !echoed.contains("sk-acme-crm"), "{echoed}");
    let echoed = call(&gateway, GLOBEX, "old__get_weather", "sk-shared-old");
    assert!(echoed.contains("in [API_KEY]") && !echoed.contains("sk-shared-old"), "{echoed}");
}

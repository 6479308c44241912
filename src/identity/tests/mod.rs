//! Laws of tokens: what is signed, for this gateway and valid now names a tenant; nothing else does.

pub(crate) mod signer;

use super::{
    Directory, KeyDigest, Shown, Unidentified,
    key_set::{BadKeySet, KeySet},
    token::{Issuer, KeySource, TOKEN_BYTES_MAX, Token},
};
use crate::{
    names::{KeyId, TenantId},
    policy::{Caller, Policy, glob::Globs},
    quota::Quota,
    records::{Content, Journal},
    redact::{Detectors, Redactor, TenantSecret},
    tenant::{Key, Offered, OnDeny, Tenant},
};
use serde_json::{Value, json};
use signer::{Signer, base64url};
use std::sync::Arc;

const NOW: i64 = 1_795_600_800;
const TENANT: &str = "acme";
const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

fn claims() -> Value {
    json!({
        "iss": "https://idp.example", "aud": "tollgate", "exp": NOW + 300, "iat": NOW, "sub": "alice",
        "org": TENANT, "kubernetes.io": { "namespace": TENANT },
    })
}

fn tenant_named(name: &str) -> Tenant {
    let secret = || TenantSecret::derive(b"tokens", name);
    Tenant {
        id: TenantId::try_from(name).unwrap(),
        is_abstract: false,
        caller: Caller::new(name, "", &[]),
        policy: Policy::new(Vec::new()),
        models: Globs::default(),
        on_deny: OnDeny::Notice,
        cache: None,
        wire: crate::tenant::Wire::Off,
        quota: Arc::new(Quota::new(None, None)),
        weight: 1,
        model_limits: Vec::new(),
        journal: Arc::new(Journal {
            tenant: name.into(),
            redactor: Arc::new(Redactor::new(secret(), Detectors::all(), Vec::new())),
            secret: Arc::new(secret()),
            analyst: None,
            content: Content::Redacted,
            queued: Arc::default(),
            turns: Arc::default(),
        }),
    }
}

fn set(keys: &[Value]) -> Arc<KeySet> {
    Arc::new(KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap())
}

fn issuer(keys: &Arc<KeySet>, tenant: &str) -> Issuer {
    Issuer {
        id: "jwt".into(),
        issuer: "https://idp.example".into(),
        audiences: vec!["tollgate".into(), "https://gateway.example/mcp".into()],
        keys: KeySource::Here(Arc::clone(keys)),
        tenant: tenant.into(),
    }
}

/// A directory of one tenant, whose tokens are signed by these keys.
struct Known {
    directory: Directory,
    keys: Arc<KeySet>,
}

impl Known {
    fn by(keys: &[Value], tenant: &str) -> Self {
        let keys = set(keys);
        let mut directory = Directory::default();
        directory.enter(&Arc::new(Tenant { is_abstract: true, ..tenant_named("abstract") }));
        let own = Arc::new(tenant_named(TENANT));
        directory.enter(&own);
        let key = KeyId::try_from("prod").unwrap();
        directory.add(
            KeyDigest::of(b"secret"),
            &own,
            Key { offered: Offered::default(), ..super::key_of(&own, key) },
        );
        directory.trust(vec![issuer(&keys, tenant)]);
        Self { directory, keys }
    }

    /// The id of the caller that shows this token.
    fn caller(&self, token: &str) -> Option<String> {
        let read = Token::read(token.as_bytes())?;
        self.directory.issuer_of(&read, NOW)?;
        let digest = KeyDigest::of(token.as_bytes());
        let identity = self.directory.verify(&read, &self.keys, digest, NOW).ok()?;
        assert_eq!(identity.tenant().id.as_str(), TENANT);
        assert!(identity.key().models.is_none() && identity.key().tools.is_none());
        Some(identity.key().id.to_string())
    }
}

fn header(algorithm: &str) -> String {
    json!({ "alg": algorithm, "kid": "k", "typ": "JWT" }).to_string()
}

#[test]
fn every_algorithm_names_its_caller_and_no_other_passes_for_it() {
    for algorithm in ALGORITHMS {
        let signer = Signer::of(algorithm);
        let known = Known::by(&[signer.jwk("k")], "org");
        let token = signer.token(&header(algorithm), &claims().to_string());
        assert_eq!(known.caller(&token).as_deref(), Some("jwt:alice"), "{algorithm}");
        let [head, body, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        // The same signature under another name, and signatures of keys that are not known.
        let others = ALGORITHMS.iter().filter(|other| **other != algorithm);
        for other in others.copied().chain(["none", "None", "", "HS256", "HS384", "HS512", "ES512", "RS1"]) {
            let renamed = format!("{}.{body}.{signature}", base64url(header(other)));
            assert_eq!(known.caller(&renamed), None, "{algorithm} as {other}");
        }
        assert_eq!(
            known.caller(&Signer::of(algorithm).token(&header(algorithm), &claims().to_string())),
            None
        );
        assert_eq!(known.caller(&format!("{head}.{body}.")), None);
        assert_eq!(known.caller(&format!("{}.{body}.", base64url(r#"{"alg":"none","kid":"k"}"#))), None);
        // A key that is bound to one algorithm is good for no other of its kind.
        let mut bound = signer.jwk("k");
        bound["alg"] = json!(algorithm);
        assert!(Known::by(&[bound.clone()], "org").caller(&token).is_some());
        if let Some(other) = match algorithm {
            "RS256" => Some("PS256"),
            "PS256" => Some("RS256"),
            _ => None,
        } {
            bound["alg"] = json!(other);
            assert_eq!(Known::by(&[bound], "org").caller(&token), None);
        }
    }
}

/// The public half of a key as the secret of an HMAC: the oldest confusion of all.
#[test]
fn a_public_key_is_no_shared_secret() {
    use hmac::{Hmac, KeyInit, Mac};
    let signer = Signer::of("RS256");
    let jwk = signer.jwk("k");
    let message = format!("{}.{}", base64url(header("HS256")), base64url(claims().to_string()));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(jwk["n"].as_str().unwrap().as_bytes()).unwrap();
    mac.update(message.as_bytes());
    let token = format!("{message}.{}", base64url(mac.finalize().into_bytes()));
    let shared = json!({ "kty": "oct", "k": jwk["n"], "kid": "k", "alg": "HS256" });
    assert_eq!(Known::by(&[jwk, shared], "org").caller(&token), None);
}

#[test]
fn every_byte_that_is_tampered_with_ends_a_token() {
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        let signer = Signer::of(algorithm);
        let known = Known::by(&[signer.jwk("k")], "org");
        let token = signer.token(&header(algorithm), &claims().to_string()).into_bytes();
        for at in 0..token.len() {
            let replaced = [token[at] ^ 1, token[at] ^ 0x20, b'A', b'B', b'.', b'=', b' ', 0, 0xff];
            for byte in replaced.into_iter().filter(|byte| *byte != token[at]) {
                let mut tampered = token.clone();
                tampered[at] = byte;
                let is_read = Token::read(&tampered).is_some_and(|token| token.is_signed(&known.keys));
                assert!(!is_read, "{algorithm} byte {at} as {byte:#x}");
            }
            let mut shorter = token.clone();
            shorter.remove(at);
            // Of two equal bytes, taking either out is the same, and none of both is the token.
            assert!(!Token::read(&shorter).is_some_and(|token| token.is_signed(&known.keys)));
            assert!(!Token::read(&token[..at]).is_some_and(|token| token.is_signed(&known.keys)));
        }
        for longer in ["=", "A", ".", "\n", ".e30"] {
            let longer = [&token[..], longer.as_bytes()].concat();
            assert!(Token::read(&longer).is_none_or(|token| !token.is_signed(&known.keys)));
        }
    }
}

#[test]
fn claims_decide_once_they_are_signed() {
    let signer = Signer::of("ES256");
    let known = Known::by(&[signer.jwk("k")], "org");
    let check = |change: &[(&str, Value)], is_taken: bool| {
        let mut claims = claims();
        for (name, value) in change {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(*name)),
                value => claims[*name] = value.clone(),
            }
        }
        let found = known.caller(&signer.token(&header("ES256"), &claims.to_string()));
        assert_eq!(found.is_some(), is_taken, "{change:?}");
    };
    check(&[], true);
    let exp = |value: Value| [("exp", value)];
    check(&exp(Value::Null), false);
    check(&exp(json!(NOW)), false);
    check(&exp(json!(NOW + 1)), true);
    check(&exp(json!(NOW as f64 + 0.5)), true);
    check(&exp(json!((NOW + 300).to_string())), false);
    check(&exp(json!(-1)), false);
    check(&exp(json!(253_402_300_799_u64)), true);
    for never in [json!(253_402_300_800_u64), json!(1e300), json!(u64::MAX)] {
        check(&exp(never), false);
    }
    for name in ["nbf", "iat"] {
        check(&[(name, Value::Null)], true);
        check(&[(name, json!(NOW + 60))], true);
        check(&[(name, json!(NOW + 61))], false);
        check(&[(name, json!(-1e300))], false);
        check(&[(name, json!("soon"))], false);
        check(&[(name, json!(true))], false);
    }
    check(&[("iss", json!("https://idp.example/"))], false);
    check(&[("iss", Value::Null)], false);
    check(&[("iss", json!(["https://idp.example"]))], false);
    check(&[("aud", json!("https://gateway.example/mcp"))], true);
    check(&[("aud", json!(["other", "tollgate"]))], true);
    for bad in [
        json!("Tollgate"),
        json!("tollgate "),
        json!([]),
        json!(["other"]),
        json!(["tollgate", 1]),
        json!({ "tollgate": 1 }),
        Value::Null,
    ] {
        check(&[("aud", bad)], false);
    }
    for bad in ["globex", "", "ACME", "abstract"].map(Value::from).into_iter().chain([
        json!([TENANT]),
        json!(1),
        Value::Null,
    ]) {
        check(&[("org", bad)], false);
    }
    check(&[("sub", Value::Null)], false);
    check(&[("sub", json!(""))], false);
    check(&[("sub", json!(7))], false);
    check(&[("cnf", json!({ "jkt": "x" }))], false);
}

#[test]
fn headers_and_forms_are_strict() {
    let signer = Signer::of("EdDSA");
    let known = Known::by(&[signer.jwk("k")], "org");
    let check = |header: &str, claims: &str, is_taken: bool| {
        assert_eq!(known.caller(&signer.token(header, claims)).is_some(), is_taken, "{header} {claims}");
    };
    let good = claims().to_string();
    for kind in
        ["", r#","typ":"JWT""#, r#","typ":"jwt""#, r#","typ":"at+jwt""#, r#","typ":"application/at+jwt""#]
    {
        check(&format!(r#"{{"alg":"EdDSA","kid":"k"{kind}}}"#), &good, true);
    }
    for bad in [
        r#","typ":"logout+jwt""#,
        r#","typ":"dpop+jwt""#,
        r#","typ":"secevent+jwt""#,
        r#","typ":"""#,
        r#","typ":1"#,
        r#","crit":["exp"]"#,
        r#","crit":[]"#,
        r#","crit":["b64"],"b64":false"#,
        r#","kid":"k""#,
        r#","alg":"EdDSA""#,
        r#","x":1,"x":1"#,
    ] {
        check(&format!(r#"{{"alg":"EdDSA","kid":"k"{bad}}}"#), &good, false);
    }
    for bad in [
        r#"{"kid":"k"}"#,
        r#"{"alg":"EdDSA","kid":"other"}"#,
        r#"{"alg":"EdDSA","kid":1}"#,
        r#"{"alg":["EdDSA"],"kid":"k"}"#,
        "[]",
        "",
        "\u{feff}{}",
    ] {
        check(bad, &good, false);
    }
    let doubled = good.replacen('{', &format!("{{\"org\":\"{TENANT}\","), 1);
    check(&header("EdDSA"), &doubled, false);
    check(&header("EdDSA"), "[]", false);
    // A key of the token's own is not asked.
    let own = Signer::of("EdDSA");
    let header_with_key = json!({ "alg": "EdDSA", "kid": "k", "jwk": own.jwk("k") }).to_string();
    assert_eq!(known.caller(&own.token(&header_with_key, &good)), None);
    let long = json!({ "pad": "x".repeat(TOKEN_BYTES_MAX) }).to_string();
    assert!(Token::read(signer.token(&header("EdDSA"), &long).as_bytes()).is_none());
    let deep = format!("{}1{}", "[".repeat(17), "]".repeat(17));
    check(&header("EdDSA"), &good.replacen('{', &format!("{{\"deep\":{deep},"), 1), false);
}

#[test]
fn a_key_is_named_or_the_only_one() {
    let (one, two, other) = (Signer::of("ES256"), Signer::of("ES256"), Signer::of("EdDSA"));
    let unnamed = |signer: &Signer, algorithm: &str| {
        signer.token(&json!({ "alg": algorithm }).to_string(), &claims().to_string())
    };
    let alone = Known::by(&[one.jwk("a"), other.jwk("b")], "org");
    assert!(
        alone.caller(&unnamed(&one, "ES256")).is_some() && alone.caller(&unnamed(&other, "EdDSA")).is_some()
    );
    let both = Known::by(&[one.jwk("a"), two.jwk("b")], "org");
    assert_eq!(both.caller(&unnamed(&one, "ES256")), None);
    let named =
        |kid: &str| one.token(&json!({ "alg": "ES256", "kid": kid }).to_string(), &claims().to_string());
    assert!(both.caller(&named("a")).is_some());
    assert!(both.caller(&named("b")).is_none() && both.caller(&named("")).is_none());
    // Two keys of one name are none.
    assert_eq!(Known::by(&[one.jwk("a"), two.jwk("a")], "org").caller(&named("a")), None);
}

#[test]
fn the_claim_of_the_tenant_is_found_in_one_way_only() {
    let signer = Signer::of("EdDSA");
    let check = |path: &str, more: Value, is_taken: bool| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let known = Known::by(&[signer.jwk("k")], path);
        let found = known.caller(&signer.token(&header("EdDSA"), &claims.to_string()));
        assert_eq!(found.is_some(), is_taken, "{path} {more}");
    };
    let tenant = TENANT;
    check("kubernetes.io.namespace", json!({}), true);
    check("kubernetes.io.namespace", json!({ "kubernetes": { "io": { "namespace": tenant } } }), false);
    check("app.org.id", json!({ "app": { "org": { "id": tenant } } }), true);
    check("app.org.id", json!({ "app.org.id": tenant }), true);
    check("app.org.id", json!({ "app": { "org": { "id": [tenant] } } }), false);
    check("app.org", json!({ "app": tenant }), false);
}

#[test]
fn key_sets_hold_what_can_check_a_token() {
    let check = |text: &str, expected: Result<(), BadKeySet>| {
        assert_eq!(KeySet::read(text.as_bytes()).map(drop), expected, "{text}");
    };
    let (rsa, curve) = (Signer::of("RS256").jwk("a"), Signer::of("ES256").jwk("b"));
    let one = |key: &Value| json!({ "keys": [key] }).to_string();
    check(&one(&rsa), Ok(()));
    check(&json!({ "keys": [{ "kty": "oct", "k": "AA" }, curve, 7] }).to_string(), Ok(()));
    for bad in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}"] {
        check(bad, Err(BadKeySet::NotASet));
    }
    check("{\"keys\":[]}", Err(BadKeySet::NoKey));
    check(&" ".repeat(300 << 10), Err(BadKeySet::TooLarge));
    check(&json!({ "keys": vec![7; 101] }).to_string(), Err(BadKeySet::TooLarge));
    let changed = |key: &Value, name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        check(&one(&key), Err(BadKeySet::NoKey));
    };
    changed(&rsa, "use", json!("enc"));
    changed(&rsa, "key_ops", json!(["encrypt"]));
    changed(&rsa, "kty", json!("EC"));
    changed(&rsa, "alg", json!("ES256"));
    changed(&rsa, "alg", json!("RSA-OAEP"));
    changed(&rsa, "n", json!(base64url([0xff; 128])));
    changed(&rsa, "n", json!(format!("{}==", rsa["n"].as_str().unwrap())));
    changed(&rsa, "e", json!(""));
    changed(&curve, "crv", json!("P-384"));
    changed(&curve, "x", json!(base64url([1; 32])));
    changed(&curve, "y", json!(base64url([1; 31])));
}

#[test]
fn a_token_is_known_again_until_it_ends() {
    let signer = Signer::of("EdDSA");
    let known = Known::by(&[signer.jwk("k")], "org");
    let token = signer.token(&header("EdDSA"), &claims().to_string());
    let digest = KeyDigest::of(token.as_bytes());
    assert!(known.directory.remembered(&digest, NOW).is_none());
    known.caller(&token).unwrap();
    let (identity, _, keys) = known.directory.remembered(&digest, NOW + 299).unwrap();
    assert_eq!((identity.key().id.as_str(), &keys), ("jwt:alice", known.keys.digest()));
    assert!(known.directory.remembered(&digest, NOW + 300).is_none());
    // And not before it began, by a clock that was set back.
    let mut begun = claims();
    begun["iat"] = json!(NOW);
    let begun = signer.token(&header("EdDSA"), &begun.to_string());
    let digest_of_begun = KeyDigest::of(begun.as_bytes());
    known.caller(&begun).unwrap();
    assert!(known.directory.remembered(&digest_of_begun, NOW - 60).is_some());
    assert!(known.directory.remembered(&digest_of_begun, NOW - 61).is_none());
    // What goes on for long ends with its token.
    assert!(known.directory.renewed(&identity, NOW + 299).is_some());
    assert!(known.directory.renewed(&identity, NOW + 300).is_none());
    // Another token of the same caller is the same caller.
    let mut later = claims();
    later["exp"] = json!(NOW + 400);
    known.caller(&signer.token(&header("EdDSA"), &later.to_string())).unwrap();
    assert_eq!(known.directory.subjects.len(), 1);
    for number in 0..2 * super::SUBJECTS_MAX {
        known.directory.subject(&identity.tenant, KeyId::of_caller("jwt", &number.to_string()));
    }
    assert!(known.directory.subjects.len() <= super::SUBJECTS_MAX);
}

#[test]
fn where_one_tenant_is_fixed_nobody_is_another() {
    let mut known = Known::by(&[Signer::of("EdDSA").jwk("k")], "org");
    let settle =
        |known: &Known, found| known.directory.settle(found).map(|identity| identity.key().id.to_string());
    assert_eq!(settle(&known, Err(Unidentified)), Err(Unidentified));
    known.directory.fix("no-such-tenant");
    assert!(!known.directory.is_fixed());
    known.directory.fix(TENANT);
    assert_eq!(settle(&known, Err(Unidentified)).as_deref(), Ok("fixed:loopback"));
    let headers = http::HeaderMap::from_iter([(
        "x-api-key".parse().unwrap(),
        http::HeaderValue::from_static("secret"),
    )]);
    let own = known.directory.identify(&headers, NOW).unwrap().clone();
    assert_eq!(settle(&known, Ok(own)).as_deref(), Ok("prod"));
    let other = Arc::new(tenant_named("globex"));
    let key = Arc::new(super::key_of(&other, KeyId::try_from("prod").unwrap()));
    assert_eq!(settle(&known, Ok(super::Identity { tenant: other, key, until: None })), Err(Unidentified));
    let today = known.directory.settle(Err(Unidentified)).unwrap();
    assert_eq!(known.directory.today(&today).unwrap().key().id, today.key().id);
    let none = http::HeaderMap::new();
    assert!(matches!(known.directory.look(&none, NOW), Ok(Shown::Nothing)));
}

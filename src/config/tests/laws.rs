//! What must hold of the description, the mirror and the messages, whatever the files say.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Mirror, full, kinds, said};
use crate::config::{
    FileId, Mark, nearest, raw,
    shape::{self, MapShape, Shape},
    tenant_shape::TENANT,
    yaml::{self, Node, Value},
};

#[test]
fn the_full_examples_hold_every_key_and_no_mistake() {
    let mut used = BTreeSet::new();
    for (text, shape, _) in kinds() {
        assert_eq!(said(&text, shape), "");
        let (node, _) = yaml::parse(FileId(0), &text);
        collect(&node.unwrap(), Shape::Map(shape), &mut used);
    }
    for map in shape::maps().into_iter().filter(|map| map.title != "tenant") {
        for key in map.keys {
            assert!(used.contains(&(map.title, key.name)), "{}: {} is in no example", map.title, key.name);
        }
    }
}

fn collect(node: &Node<'_>, shape: Shape, used: &mut BTreeSet<(&'static str, &'static str)>) {
    match shape {
        Shape::Any | Shape::Scalar(_) => {}
        Shape::Either(shapes) => shapes.iter().for_each(|shape| collect(node, *shape, used)),
        Shape::List(each) | Shape::Some(each) => {
            node.list().into_iter().flatten().for_each(|item| collect(item, *each, used));
        }
        Shape::Names { each, .. } => {
            node.map().into_iter().flatten().for_each(|(_, value)| collect(value, *each, used));
        }
        Shape::Secret => collect(node, Shape::Map(&shape::SECRET), used),
        Shape::Map(map) => {
            for key in map.keys {
                if let Some(value) = node.get(key.name) {
                    used.insert((map.title, key.name));
                    collect(value, key.shape, used);
                }
            }
        }
    }
}

#[test]
fn the_mirror_has_the_keys_of_the_description() {
    let tenant: Vec<&str> = [raw::TenantKeys::KEYS, raw::Settings::KEYS].concat();
    let inline: Vec<&str> = tenant.iter().copied().filter(|key| *key != "tenant").collect();
    let mirrored: BTreeSet<BTreeSet<&str>> = [
        raw::Gateway::KEYS,
        raw::ListenerKeys::KEYS,
        raw::Tls::KEYS,
        raw::Upstream::KEYS,
        raw::AuthKeys::KEYS,
        raw::Header::KEYS,
        raw::Queue::KEYS,
        raw::Timeout::KEYS,
        raw::Retry::KEYS,
        raw::Model::KEYS,
        raw::Price::KEYS,
        raw::Identity::KEYS,
        raw::Jwt::KEYS,
        raw::JwksKeys::KEYS,
        raw::Mtls::KEYS,
        raw::Limits::KEYS,
        raw::SharedState::KEYS,
        raw::Exporter::KEYS,
        raw::Records::KEYS,
        raw::Settings::KEYS,
        raw::Key::KEYS,
        raw::RuleKeys::KEYS,
        raw::Matcher::KEYS,
        raw::TenantLimits::KEYS,
        raw::Quota::KEYS,
        raw::Redact::KEYS,
        raw::Analyzer::KEYS,
        raw::TenantRecords::KEYS,
        raw::Approvals::KEYS,
        raw::Tests::KEYS,
        raw::Case::KEYS,
        &tenant,
        &inline,
        &["env", "file"],
    ]
    .into_iter()
    .map(|keys| keys.iter().copied().collect())
    .collect();
    let described: BTreeSet<BTreeSet<&str>> =
        shape::maps().into_iter().map(|map| map.keys.iter().map(|key| key.name).collect()).collect();
    assert_eq!(mirrored, described);
}

#[test]
fn nothing_that_is_written_is_lost_in_the_mirror() {
    for (text, _, mirror) in kinds() {
        let whole = mirror(&yaml::parse(FileId(0), &text).0.unwrap());
        let mut removed = 0;
        loop {
            let mut node = yaml::parse(FileId(0), &text).0.unwrap();
            let Some(name) = remove(&mut node, &mut removed.clone()) else { break };
            assert_ne!(mirror(&node), whole, "entry {removed}, `{name}`, makes no difference");
            removed += 1;
        }
        assert!(removed > 10);
    }
}

/// Removes the nth entry or item, counted depth first; returns the entry's key.
fn remove(node: &mut Node<'_>, nth: &mut usize) -> Option<String> {
    match &mut node.value {
        Value::Broken | Value::Scalar(_) => None,
        Value::List(items) => {
            if *nth < items.len() {
                items.remove(*nth);
                return Some("-".to_owned());
            }
            *nth -= items.len();
            items.iter_mut().find_map(|item| remove(item, nth))
        }
        Value::Map(entries) => {
            if *nth < entries.len() {
                return entries.remove(*nth).0.text().map(str::to_owned);
            }
            *nth -= entries.len();
            entries.iter_mut().find_map(|(_, value)| remove(value, nth))
        }
    }
}

#[test]
fn a_key_with_one_letter_too_few_is_recognised() {
    for map in shape::maps() {
        for key in map.keys.iter().filter(|key| key.name.len() > 3) {
            for cut in 0..key.name.len() {
                let mut wrong = key.name.to_owned();
                wrong.remove(cut);
                if map.keys.iter().all(|key| key.name != wrong) {
                    let found = nearest(&wrong, map.keys.iter().map(|key| key.name)).unwrap();
                    let distance = |name: &str| strsim::damerau_levenshtein(&wrong, name);
                    assert!(
                        found == key.name || distance(found) <= 1,
                        "{wrong}: {found} instead of {}",
                        key.name
                    );
                }
            }
        }
    }
}

#[test]
fn an_unlike_key_gets_no_suggestion() {
    assert_eq!(nearest("colour", ["listen", "admin", "as"]), None);
    assert_eq!(nearest("", ["as"]), None);
    assert_eq!(nearest("rateLimt", ["rateLimit", "rate"]), Some("rateLimit"));
}

#[test]
fn a_mark_inside_a_scalar_stays_inside() {
    let at = Mark { file: FileId(0), line: 3, col: 5, len: 10 };
    let check = |offset, len, col, found| {
        let inner = at.within(offset, len);
        assert_eq!((inner.line, inner.col, inner.len), (3, col, found), "{offset} {len}");
    };
    check(0, 4, 5, 4);
    check(2, 4, 7, 4);
    check(8, 4, 13, 2);
    check(10, 4, 15, 1);
    check(99, 0, 15, 1);
}

/// Places where a secret may stand by mistake; `@` stands for it.
const BAD_PLACES: &[(&str, &str)] = &[
    ("gateway", "admin_token: [@]"),
    ("gateway", "admin_tokn: @"),
    ("gateway", "admin_token: { evn: @ }"),
    ("gateway", "admin_token: { @: env }"),
    ("gateway", "admin_token: @\nadmin: 5"),
    ("gateway", "admin_token: {env: \"@ \"}"),
    ("gateway", "admin_token: '@"),
    ("gateway", "admin_token: \"@\" x"),
    ("gateway", "admin_token: \"@\n  more"),
    ("gateway", "admin_token: |\n  @\n bad"),
    ("gateway", "admin_token: &a @"),
    ("gateway", "admin_token: !!str @"),
    ("gateway", "admin_token: *@"),
    ("gateway", "admin_token: @: x: y"),
    ("gateway", "admin_token: { env: a, @"),
    ("gateway", "shared_state: @"),
    ("gateway", "shared_state: { redis: [\"redis://u:@@host\"] }"),
    ("gateway", "shared_state: { url: @ }"),
    ("gateway", "upstreams: { a: { kind: openai, url: \"http://u:@@h\" } }"),
    ("gateway", "upstreams: { a: { kind: openai, url: \"http://h\", auth: @ } }"),
    ("gateway", "upstreams: { a: { kind: openai, url: \"http://h\", auth: [@, @] } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { bearer: [@] } } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { bearer: { x: { y: @ } } } } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { Bearer: @ } } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { bearer @ } } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { bearer: @, bearer: @ } } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { header: \"x-api-key: @\" } } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { header: { name: x, vlaue: @ } } } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { header: { name: \"@ \", value: @ } } } }"),
    ("gateway", "upstreams: { a: { kind: openai, auth: { header: { x-api-key: @ } } } }"),
    ("gateway", "upstreams: { a: { kind: openai, bearer: @ } }"),
    ("gateway", "upstreams: { a: { kind: openai, api_key: @, authorization: [@], password: @ } }"),
    ("gateway", "upstreams:\n  a:\n    auth:\n      bearer:\n        @\n   x: y"),
    ("gateway", "upstreams:\n  a:\n    auth:\n    - bearer: @\n      header: @\n"),
    ("gateway", "upstreams: { a: { kind: mcp, command: [x], env: { TOKEN: [@], OTHER: { x: @ } } } }"),
    ("gateway", "records: { secret: { env: A, file: B, is: @ } }"),
    ("gateway", "records: { secret: @, retain: x, secret: @ }"),
    ("gateway", "upstreams: { a: { kind: mcp, command: [x, --token, @, \"--api-key=@\"], pin: 5 } }"),
    ("gateway", "upstreams: { a: { kind: openai, url: \"http://h/v1?a=b&key=@\", pin: 5 } }"),
    ("tenant", "keys: [{ id: a, sha256: @ }]"),
    ("tenant", "keys: [{ id: a, sha265: @ }]"),
    ("tenant", "keys: [{ id: a, sha256: [@] }]"),
    ("tenant", "keys: [{ id: a, secret: @, key: sk-@ }]"),
    ("tenant", "keys: [{ id: sk-@ x }]"),
    ("tenant", "approvals: { webhook: [\"https://hooks/@\"] }"),
    ("tenant", "approvals: { webhok: @ }"),
    ("tenant", "aprovals: { webhook: @ }"),
    ("tenant", "approvals: { webhook: @ x: y }"),
];

proptest! {
    #[test]
    fn no_message_holds_a_secret(secret in "[A-Za-z][a-z0-9]{2,6}Zq[A-Za-z0-9_+/.=-]{0,12}[0-9]") {
        for (kind, template) in BAD_PLACES {
            let shape = if *kind == "tenant" { &TENANT } else { &crate::config::gateway_shape::GATEWAY };
            let text = template.replace("@@", &format!("{secret}@")).replace('@', &secret);
            let text = text.replace(&format!("{secret}{secret}"), &format!("{secret}@"));
            let said = said(&text, shape);
            prop_assert!(!said.is_empty(), "{}", text);
            prop_assert!(!said.contains(&secret), "{}\n{}", text, said);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        for (_, shape, mirror) in kinds() {
            read_anyhow(&text, shape, mirror);
        }
    }

    #[test]
    fn yaml_like_text_never_panics(text in "([a-z]{1,3}|[ \n\t:,\\-\\[\\]{}\"'#&*!|>%@?~]|: |\n  |\n- |ä|\r|\u{feff}){0,60}") {
        for (_, shape, mirror) in kinds() {
            read_anyhow(&text, shape, mirror);
        }
    }

    #[test]
    fn a_damaged_example_never_panics(from in 0..3000_usize, len in 0..40_usize, with in "([ \n:{}\\[\\],\"'*&-]|[a-z0-9]){0,6}") {
        for (text, shape, mirror) in kinds() {
            let mut chars: Vec<char> = text.chars().collect();
            let from = from.min(chars.len());
            let to = (from + len).min(chars.len());
            chars.splice(from..to, with.chars());
            read_anyhow(&chars.into_iter().collect::<String>(), shape, mirror);
        }
    }
}

/// Checks and mirrors a text; what is accepted must be mirrored whole.
fn read_anyhow(text: &str, shape: &'static MapShape, mirror: Mirror) {
    let said = said(text, shape);
    match yaml::parse(FileId(0), text).0 {
        Some(node) => assert!(!said.is_empty() || mirror(&node) != "None", "{text}"),
        None => assert!(!said.is_empty(), "{text}"),
    }
}

#[test]
fn what_could_be_blown_up_is_refused() {
    let check = |text: &str, words: &str| {
        let said = said(text, &TENANT);
        assert!(said.contains(words), "{}", said.chars().take(2_000).collect::<String>());
    };
    check(&"[".repeat(10_000), "nested deeper");
    check(&format!("a: {}", "{a: ".repeat(100)), "nested deeper");
    check(&(0..100).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>(), "nested deeper");
    check(&format!("models: [{}]", "a,".repeat(600_000)), "holds more than");
    check(&(0..2_000).map(|n| format!("k{n}: 1\n")).collect::<String>(), "more problems than are shown");
    assert_eq!(said(&full("tenants/acme.yaml").replace('\n', "\r\n"), &TENANT), "");
}

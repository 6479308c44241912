//! The headers that go with a call to a provider: the few that mean something there, in the form that they have, and
//! nothing that redaction finds anything in. A header is a place for content like any other.

use crate::{dialect::Family, redact::Redactor, tenant::Wire};
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Headers of a client's that mean something to an upstream of OpenAI's dialects. All others stay here: they could name
/// another organisation, carry a credential, or tell who the tenant is.
const TO_OPENAI: [HeaderName; 2] = [header::ACCEPT, HeaderName::from_static("openai-beta")];
/// The same for Anthropic's dialects.
const TO_ANTHROPIC: [HeaderName; 1] = [header::ACCEPT];
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
/// The version that is asked for where a client names none. Source: Anthropic's API reference, "Versions".
const ANTHROPIC_VERSION_DEFAULT: HeaderValue = HeaderValue::from_static("2023-06-01");
/// What says which client asks, where a provider is not to see what clients write.
const OWN_AGENT: HeaderValue = HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")));
/// A longer value is none of these.
const VALUE_BYTES_MAX: usize = 512;

/// The headers that go with a call.
pub(super) fn headers(speaks: Family, wire: Wire, redactor: &Redactor, headers: &HeaderMap) -> HeaderMap {
    let may_go =
        |value: &&HeaderValue| has_form(value) && (wire == Wire::Off || holds_nothing(value, redactor));
    let mut sent = HeaderMap::new();
    sent.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let passed: &[HeaderName] = match speaks {
        Family::Anthropic => &TO_ANTHROPIC,
        Family::OpenAi => &TO_OPENAI,
        Family::Mcp => &[],
    };
    for name in passed {
        if let Some(value) = headers.get(name).filter(may_go) {
            sent.insert(name.clone(), value.clone());
        }
    }
    // Free text; which client asks is of no use to who may not see what it writes.
    if speaks != Family::Mcp
        && let Some(agent) = headers.get(header::USER_AGENT)
    {
        let agent = if wire == Wire::Off { agent.clone() } else { OWN_AGENT };
        sent.insert(header::USER_AGENT, agent);
    }
    if speaks == Family::Anthropic {
        let version = headers.get(&ANTHROPIC_VERSION).filter(may_go).cloned();
        sent.insert(ANTHROPIC_VERSION, version.unwrap_or(ANTHROPIC_VERSION_DEFAULT));
        // What a beta lets a body ask for is decided on the body: the names only have to be names.
        for value in headers.get_all(&ANTHROPIC_BETA).iter().filter(may_go) {
            sent.append(ANTHROPIC_BETA, value.clone());
        }
    }
    sent
}

/// Names, versions and types, with parameters.
fn has_form(value: &HeaderValue) -> bool {
    let is_of_one = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_., /;=*+".contains(byte);
    value.len() <= VALUE_BYTES_MAX && value.as_bytes().iter().all(is_of_one)
}

fn holds_nothing(value: &HeaderValue, redactor: &Redactor) -> bool {
    value.to_str().is_ok_and(|text| redactor.text(text).as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{Detectors, TenantSecret};
    use proptest::prelude::*;

    const VALUES: &[&str] = &[
        "jane.roe@example.com",
        "4111111111111111",
        "AKIAQ3EGXY7PLM4TZ2WD",
        "AT611904300234573201",
        "v1/4111111111111111",
        "x;password=Hunter2xyzQ9",
        "(jane)",
        "Zürich",
    ];
    const NAMES: &[&str] =
        &["accept", "user-agent", "openai-beta", "anthropic-version", "anthropic-beta", "x-other", "cookie"];

    fn redactor() -> Redactor {
        Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), Vec::new())
    }

    fn one(name: &'static str, value: &str) -> HeaderMap {
        [(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())]
            .into_iter()
            .collect()
    }

    proptest! {
        #[test]
        fn no_value_goes_to_who_may_not_see_it(
            name in prop::sample::select(NAMES),
            value in prop::sample::select(VALUES),
            before in "[a-z0-9.-]{0,8}[ ,;=]?",
            to_anthropic in any::<bool>(),
        ) {
            let speaks = if to_anthropic { Family::Anthropic } else { Family::OpenAi };
            for wire in [Wire::Mask, Wire::Block] {
                let sent = headers(speaks, wire, &redactor(), &one(name, &format!("{before}{value}")));
                // What redaction finds in prose with the same beginning.
                let found = !redactor().text(&format!("{before}{value}")).as_str().contains(value) || !value.is_ascii();
                for (_, sent) in &sent {
                    let sent = String::from_utf8_lossy(sent.as_bytes());
                    prop_assert!(!(found && sent.contains(value)), "{}: {}", name, sent);
                }
            }
        }
    }

    #[test]
    fn what_clients_send_arrives() {
        for wire in [Wire::Off, Wire::Mask, Wire::Block] {
            for (speaks, name, value) in [
                (Family::OpenAi, "openai-beta", "assistants=v2"),
                (Family::OpenAi, "accept", "application/json, text/event-stream;q=0.9, */*"),
                (Family::Anthropic, "anthropic-version", "2023-06-01"),
                (Family::Anthropic, "anthropic-beta", "context-1m-2025-08-07,mcp-client-2025-11-20"),
            ] {
                let sent = headers(speaks, wire, &redactor(), &one(name, value));
                assert_eq!(sent.get(name).unwrap(), value);
            }
            let sent =
                headers(Family::OpenAi, wire, &redactor(), &one("user-agent", "OpenAI/Python 2.3 (jane)"));
            let own = OWN_AGENT;
            let expected = if wire == Wire::Off { "OpenAI/Python 2.3 (jane)" } else { own.to_str().unwrap() };
            assert_eq!(sent.get("user-agent").unwrap(), expected);
        }
    }
}

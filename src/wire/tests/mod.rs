//! Laws of what a provider gets to see, and of what comes back. All values are made up.

mod answers;
mod bodies;
mod streams;

use super::{Covered, Placeholders, cover};
use crate::{
    dialect::Api,
    redact::{Detectors, Masks, Pattern, Redactor, TenantSecret},
    refusal::Refusal,
    tenant::Wire,
};
use serde_json::Value;

const EMAIL: &str = "jane.roe@example.com";
const CARD: &str = "4111 1111 1111 1111";
const PASSWORD: &str = "Tr0ub4dor&3x";
/// A value that needs escapes in JSON.
const ODD: &str = "<<a\"b\\c\nd>>";
/// `jane.roe@example.com`, in base64.
const IN_BASE64: &str = "amFuZS5yb2VAZXhhbXBsZS5jb20=";

fn redactor() -> Redactor {
    static MADE: std::sync::OnceLock<Redactor> = std::sync::OnceLock::new();
    let make = || {
        let patterns = [("CASE_ID", "AC-[0-9]{6}"), ("ODD", "<<[^>]*>>")];
        let patterns = patterns.map(|(name, regex)| Pattern::new(name, regex).unwrap()).to_vec();
        Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), patterns)
    };
    MADE.get_or_init(make).clone()
}

fn mask(body: &Value) -> (Value, Masks) {
    let text = body.to_string();
    let Covered { body, masks } = cover(Wire::Mask, &redactor(), text.as_bytes()).unwrap();
    let sent = body.map_or(text, |body| String::from_utf8(body).unwrap());
    (serde_json::from_str(&sent).unwrap(), masks)
}

fn block(body: &Value) -> Result<Covered, Refusal> {
    cover(Wire::Block, &redactor(), body.to_string().as_bytes())
}

/// The placeholder of a text as it stands in a message.
fn placeholder(text: &str) -> String {
    let (sent, _) = mask(&serde_json::json!({ "messages": [{ "role": "user", "content": text }] }));
    let sent = sent["messages"][0]["content"].as_str().unwrap();
    let (_, rest) = sent.split_once('[').unwrap();
    format!("[{}]", rest.split_once(']').unwrap().0)
}

fn restored(masks: Masks, answer: &Value) -> Value {
    let placeholders = Placeholders::of(masks).unwrap();
    let restored = placeholders.whole(answer.to_string().as_bytes()).unwrap();
    restored.map_or_else(|| answer.clone(), |bytes| serde_json::from_slice(&bytes).unwrap())
}

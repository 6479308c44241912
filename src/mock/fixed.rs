//! The answers that need no plan: embeddings, moderations, the list of models. Pure.

use serde_json::{Value, json};

use super::{chat::CREATED, dice};

/// What `GET /v1/models` lists; any other name is answered too when it is asked to speak.
const MODELS: [&str; 7] = [
    "gpt-5",
    "gpt-5-mini",
    "gpt-4o",
    "gpt-4o-mini",
    "mock-1",
    "omni-moderation-latest",
    "text-embedding-3-small",
];
const DIMENSIONS: u64 = 16;
const DIMENSIONS_MAX: u64 = 4096;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Answers `POST /v1/embeddings`: the same input has the same vector. None without an input.
pub(super) fn embeddings(body: &Value) -> Option<Value> {
    let inputs = inputs(body.get("input")?);
    let stated = body.get("dimensions").and_then(Value::as_u64);
    let dimensions = usize::try_from(stated.unwrap_or(DIMENSIONS).clamp(1, DIMENSIONS_MAX)).ok()?;
    let base64 = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = dice::unit_vector(input, dimensions);
        let bytes: Vec<u8> = vector.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let embedding = if base64 { Value::from(encode(&bytes)) } else { Value::from(vector) };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    });
    let tokens = inputs.iter().map(|input| input.len().div_ceil(4)).sum::<usize>().max(1);
    Some(json!({
        "object": "list",
        "data": data.collect::<Vec<_>>(),
        "model": body.get("model"),
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
    }))
}

/// Answers `POST /v1/moderations`: an input is flagged if it speaks of violence. None without an input.
pub(super) fn moderations(body: &Value, number: u64) -> Option<Value> {
    let results = inputs(body.get("input")?).into_iter().map(|input| {
        let flagged = input.contains("violence");
        json!({
            "flagged": flagged,
            "categories": { "violence": flagged, "harassment": false },
            "category_scores": { "violence": if flagged { 0.9 } else { 0.001 }, "harassment": 0.001 },
            "category_applied_input_types": { "violence": ["text"], "harassment": ["text"] },
        })
    });
    let results: Vec<Value> = results.collect();
    Some(json!({ "id": format!("modr-mock{number:08}"), "model": body.get("model"), "results": results }))
}

/// Answers `GET /v1/models`.
pub(super) fn models() -> Value {
    json!({ "object": "list", "data": MODELS.map(describe) })
}

/// Answers `GET /v1/models/ID`; none for one that is not listed.
pub(super) fn model(id: &str) -> Option<Value> {
    MODELS.contains(&id).then(|| describe(id))
}

/// The text of an error that was asked for: it quotes a key, as careless providers do. The key is made up.
pub(super) fn leaky_message(status: u16) -> String {
    let key = dice::letters("a key that opens nothing", 48);
    format!("The mock was asked for a {status}. The API key was sk-{key}, of organization org-of-the-mock.")
}

fn describe(id: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": "mock" })
}

/// A string, a list of strings, a list of tokens, or a list of lists of tokens.
fn inputs(input: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match input.as_array() {
        Some(list) if !list.iter().all(Value::is_number) => list.iter().map(text).collect(),
        Some(_) | None => vec![text(input)],
    }
}

/// RFC 4648 section 4.
fn encode(bytes: &[u8]) -> String {
    let letter = |sextet: u32| {
        let at = usize::try_from(sextet & 63).ok()?;
        BASE64.get(at).map(|letter| char::from(*letter))
    };
    let group = |chunk: &[u8]| -> String {
        let bits =
            [16, 8, 0].iter().zip(chunk).fold(0, |bits, (shift, byte)| bits | (u32::from(*byte) << shift));
        let letters = [18, 12, 6, 0].iter().filter_map(|shift| letter(bits >> shift)).take(chunk.len() + 1);
        letters.chain(std::iter::repeat_n('=', 3 - chunk.len())).collect()
    };
    bytes.chunks(3).map(group).collect()
}

//! A store's own errors: read, and written again in the shape that its clients know.

use super::Store;
use crate::json::{self, Value};

/// What a store says of a request that it refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreError {
    /// A word of the store's, where its clients tell errors apart by one.
    pub kind: Option<String>,
    pub message: String,
}

impl Store {
    /// The error in an answer.
    pub fn error_in(self, body: &[u8]) -> Option<StoreError> {
        let body = json::parse(body, 32).ok()?;
        match self {
            Self::Chroma => {
                let kind = body.get("error").and_then(Value::as_str).filter(|kind| is_word(kind));
                let message = body.get("message").and_then(Value::as_str)?;
                Some(StoreError { kind: kind.map(ToOwned::to_owned), message: message.to_owned() })
            }
            Self::Qdrant => {
                let message = body.get("status")?.get("error")?.as_str()?;
                Some(StoreError { kind: None, message: message.to_owned() })
            }
        }
    }

    /// An error as the store would write it.
    pub fn error_body(self, kind: Option<&str>, message: &str) -> Vec<u8> {
        let message = Value::string(message.to_owned());
        let body = match self {
            Self::Chroma => {
                let kind = Value::string(kind.unwrap_or("ChromaError").to_owned());
                Value::object([("error", kind), ("message", message)])
            }
            Self::Qdrant => {
                let status = Value::object([("error", message)]);
                Value::object([("status", status), ("time", Value::integer(0))])
            }
        };
        let mut out = Vec::new();
        json::write(&body, &mut out);
        out
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

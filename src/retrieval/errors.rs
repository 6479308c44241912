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
            Self::Opensearch => {
                let error = body.get("error")?;
                let kind = error.get("type").and_then(Value::as_str).filter(|kind| is_word(kind));
                let message = error.as_str().or_else(|| error.get("reason").and_then(Value::as_str))?;
                Some(StoreError { kind: kind.map(ToOwned::to_owned), message: message.to_owned() })
            }
            Self::Pinecone => {
                let inner = body.get("error").unwrap_or(&body);
                let message = inner.get("message").and_then(Value::as_str)?;
                let kind = inner.get("code").and_then(Value::as_str).filter(|kind| is_word(kind));
                Some(StoreError { kind: kind.map(ToOwned::to_owned), message: message.to_owned() })
            }
            Self::Qdrant => {
                let message = body.get("status")?.get("error")?.as_str()?;
                Some(StoreError { kind: None, message: message.to_owned() })
            }
            Self::Weaviate => {
                let first = body.get("error").and_then(Value::items).and_then(<[_]>::first);
                let message = first.unwrap_or(&body).get("message").and_then(Value::as_str)?;
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
            Self::Opensearch => {
                let kind = Value::string(kind.unwrap_or("exception").to_owned());
                Value::object([("error", Value::object([("type", kind), ("reason", message)]))])
            }
            Self::Pinecone => {
                let code = Value::string(kind.unwrap_or("UNKNOWN").to_owned());
                let error = Value::object([("code", code), ("message", message.clone())]);
                Value::object([("error", error), ("message", message)])
            }
            Self::Qdrant => {
                let status = Value::object([("error", message)]);
                Value::object([("status", status), ("time", Value::integer(0))])
            }
            Self::Weaviate => {
                let error = Value::object([("message", message)]);
                Value::object([("error", Value::Array(vec![error]))])
            }
        };
        let mut out = Vec::new();
        json::write(&body, &mut out);
        out
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

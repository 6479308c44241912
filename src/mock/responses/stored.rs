//! The responses that are kept, and the endpoints that tell of them. Shared by all connections.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hyper::Method;
use serde_json::{Value, json};

use super::super::dialect::Fault;

const RESPONSES_MAX: usize = 256;

/// A response that was answered: as its body, its output, and the input it answered.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) response: String,
    pub(super) output: Vec<Value>,
    pub(super) input: Vec<Value>,
}

/// The responses of late; clones share them.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Stored(Arc<Mutex<VecDeque<Record>>>);

impl Stored {
    pub(super) fn keep(&self, record: Record) {
        let mut records = self.records();
        if records.len() == RESPONSES_MAX {
            records.pop_front();
        }
        records.push_back(record);
    }

    /// The output of the response with this id.
    pub(super) fn output(&self, id: &str) -> Option<Vec<Value>> {
        self.find(id, |record| record.output.clone())
    }

    /// The item with this id, in whatever output.
    pub(super) fn item(&self, id: &str) -> Option<Value> {
        let records = self.records();
        let mut items = records.iter().rev().flat_map(|record| &record.output);
        items.find(|item| item.get("id").and_then(Value::as_str) == Some(id)).cloned()
    }

    fn find<T>(&self, id: &str, take: impl Fn(&Record) -> T) -> Option<T> {
        self.records().iter().find(|record| record.id == id).map(take)
    }

    fn forget(&self, id: &str) -> Option<()> {
        let mut records = self.records();
        let at = records.iter().position(|record| record.id == id)?;
        records.remove(at).map(drop)
    }

    fn records(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers what is asked about a stored response: `tail` is the path after `/v1/responses/`.
///
/// # Errors
/// There is no such response, or no such endpoint. A stream cannot be resumed: nothing runs in the background.
pub(in super::super) fn of_stored(
    method: &Method,
    tail: &str,
    query: Option<&str>,
    stored: &Stored,
) -> Result<String, Fault> {
    let (id, what) = tail.split_once('/').unwrap_or((tail, ""));
    let absent = || Fault { code: None, ..Fault::new(404, format!("Response with id '{id}' not found.")) };
    let asked = |pair: &str| query.is_some_and(|query| query.split('&').any(|said| said == pair));
    match (method, what) {
        (&Method::GET, "") if asked("stream=true") => {
            stored.output(id).ok_or_else(absent)?;
            Err(Fault::bad("The mock cannot stream a response again."))
        }
        (&Method::GET, "") | (&Method::POST, "cancel") => {
            stored.find(id, |record| record.response.clone()).ok_or_else(absent)
        }
        (&Method::DELETE, "") => {
            stored.forget(id).ok_or_else(absent)?;
            Ok(json!({ "id": id, "object": "response", "deleted": true }).to_string())
        }
        (&Method::GET, "input_items") => {
            let input = stored.find(id, |record| record.input.clone()).ok_or_else(absent)?;
            Ok(input_items(id, input, asked("order=asc")).to_string())
        }
        _ => Err(Fault::new(404, "the mock has no such endpoint")),
    }
}

/// The items of an input, the newest first if not otherwise asked. Those that came without an id get one.
fn input_items(response: &str, input: Vec<Value>, oldest_first: bool) -> Value {
    let numbered = input.into_iter().enumerate().map(|(at, mut item)| {
        if let Some(members) = item.as_object_mut() {
            let id = || format!("item_{}_{at}", response.trim_start_matches("resp_"));
            members.entry("id").or_insert_with(|| id().into());
            members.entry("type").or_insert_with(|| "message".into());
        }
        item
    });
    let mut data: Vec<Value> = numbered.collect();
    if !oldest_first {
        data.reverse();
    }
    let id = |item: Option<&Value>| item.and_then(|item| item.get("id").cloned());
    json!({
        "object": "list", "first_id": id(data.first()), "last_id": id(data.last()), "has_more": false, "data": data,
    })
}

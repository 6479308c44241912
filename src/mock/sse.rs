//! From JSON texts to the steps of an answer, whole or as server-sent events, with the ends and faults that were
//! asked for. Knows nothing of what the JSON says.

use bytes::Bytes;

use super::{
    dialect::{Dialect, Event},
    directions::{End, Transport},
    script::{Reply, Step},
};

const GARBAGE: &str = r#"{"id": "chatcmpl-"#;

/// A JSON body.
pub(super) fn whole(dialect: Dialect, status: u16, body: String, transport: &Transport) -> Reply {
    let mut bytes = Bytes::from(if transport.garbage { GARBAGE.to_owned() } else { body });
    let length = u64::try_from(bytes.len()).ok();
    let last = match transport.end {
        End::Done | End::NoDone => None,
        End::Cut(_) | End::Error(_) => Some(Step::Abort),
        End::Stall(_) => Some(Step::Stall),
    };
    if last.is_some() {
        bytes.truncate(bytes.len() / 2);
    }
    let steps = std::iter::once(Step::Write(bytes)).chain(last).collect();
    Reply { status, headers: headers(dialect, transport, "application/json"), length, steps }
}

/// A stream of events.
pub(super) fn stream(dialect: Dialect, events: Vec<Event>, transport: &Transport) -> Reply {
    let mut events = events;
    if transport.garbage {
        let at = events.len().min(1);
        let name = events.first().and_then(|first| first.name.clone());
        events.insert(at, Event { name, data: GARBAGE.to_owned() });
    }
    let (kept, last) = match (transport.end, dialect.done_marker()) {
        (End::Done, marker) => {
            events.extend(marker);
            (usize::MAX, None)
        }
        (End::NoDone, Some(_)) => (usize::MAX, None),
        (End::NoDone, None) => (events.len().saturating_sub(1), None),
        (End::Cut(count), _) => (count, Some(Step::Abort)),
        (End::Stall(count), _) => (count, Some(Step::Stall)),
        (End::Error(count), _) => {
            events.truncate(count);
            events.push(dialect.error_event(events.len()));
            (usize::MAX, None)
        }
    };
    let mut steps = Vec::new();
    for event in events.into_iter().take(kept) {
        if !steps.is_empty() && !transport.delay.is_zero() {
            steps.push(Step::Wait(transport.delay));
        }
        steps.push(Step::Write(written(&event, if transport.crlf { "\r\n" } else { "\n" }).into()));
    }
    steps.extend(last);
    Reply {
        status: 200,
        headers: headers(dialect, transport, "text/event-stream; charset=utf-8"),
        length: None,
        steps,
    }
}

fn written(Event { name, data }: &Event, end: &str) -> String {
    let name = name.as_ref().map_or_else(String::new, |name| format!("event: {name}{end}"));
    format!("{name}data: {data}{end}{end}")
}

fn headers(dialect: Dialect, transport: &Transport, content_type: &str) -> Vec<(&'static str, String)> {
    let provider = if transport.headers { dialect.provider_headers() } else { &[] };
    let provider = provider.iter().map(|(name, value)| (*name, (*value).to_owned()));
    std::iter::once(("content-type", content_type.to_owned())).chain(provider).collect()
}

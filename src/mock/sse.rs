//! From JSON texts to the steps of an answer, whole or as server-sent events, with the ends and faults that were
//! asked for. Knows nothing of what the JSON says.

use bytes::Bytes;

use super::{
    directions::{End, Transport},
    script::{Reply, Step},
};

const GARBAGE: &str = r#"{"id": "chatcmpl-"#;
const STREAM_ERROR: &str = r#"{"error":{"message":"The mock was asked to fail here.","type":"server_error","param":null,"code":null}}"#;

/// A JSON body.
pub(super) fn whole(status: u16, body: String, transport: &Transport) -> Reply {
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
    Reply { status, headers: headers(transport, "application/json"), length, steps }
}

/// A stream of events, one for each of `events`.
pub(super) fn stream(events: Vec<String>, transport: &Transport) -> Reply {
    let mut payloads = events;
    if transport.garbage {
        payloads.insert(payloads.len().min(1), GARBAGE.to_owned());
    }
    let (kept, last) = match transport.end {
        End::Done => {
            payloads.push("[DONE]".to_owned());
            (usize::MAX, None)
        }
        End::NoDone => (usize::MAX, None),
        End::Cut(events) => (events, Some(Step::Abort)),
        End::Stall(events) => (events, Some(Step::Stall)),
        End::Error(events) => {
            payloads.truncate(events);
            payloads.push(STREAM_ERROR.to_owned());
            (usize::MAX, None)
        }
    };
    let end = if transport.crlf { "\r\n\r\n" } else { "\n\n" };
    let mut steps = Vec::new();
    for payload in payloads.into_iter().take(kept) {
        if !steps.is_empty() && !transport.delay.is_zero() {
            steps.push(Step::Wait(transport.delay));
        }
        steps.push(Step::Write(format!("data: {payload}{end}").into()));
    }
    steps.extend(last);
    Reply {
        status: 200,
        headers: headers(transport, "text/event-stream; charset=utf-8"),
        length: None,
        steps,
    }
}

fn headers(transport: &Transport, content_type: &str) -> Vec<(&'static str, String)> {
    let provider: &[(&str, &str)] = match transport.headers {
        true => &[
            ("openai-organization", "org-of-the-mock"),
            ("openai-processing-ms", "7"),
            ("set-cookie", "__mock=tasty; Path=/; HttpOnly"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-limit-tokens", "2000000"),
            ("x-ratelimit-remaining-tokens", "1999990"),
            ("x-ratelimit-reset-tokens", "1ms"),
        ],
        false => &[],
    };
    let provider = provider.iter().map(|(name, value)| (*name, (*value).to_owned()));
    std::iter::once(("content-type", content_type.to_owned())).chain(provider).collect()
}

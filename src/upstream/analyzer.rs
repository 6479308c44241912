//! A Presidio analyzer that looks over what is recorded: `POST /analyze` with a text, which is redacted already, and back
//! come the places of names and streets. Off every request's path: texts come from the records' writer, and wait there
//! for a bounded time. Apart from upstreams, because nothing of a request goes there.

use super::{
    Endpoint,
    http1::{Again, Answer as HttpAnswer, Client, Origin, Outgoing, Scheme, Timeouts, tls_config},
};
use crate::{
    operator,
    records::{Analyst, Answer},
    redact::Mark,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::Semaphore};

/// Texts that are with one analyzer at a time; the others wait their turn.
const AT_ONCE: usize = 4;
/// A longer answer is none: a hundred bytes a place, a place every few characters.
const ANSWER_BYTES_MAX: usize = 1 << 20;
const MARKS_MAX: usize = 10_000;

/// What an analyzer is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub language: String,
    pub entities: Vec<String>,
    /// How sure it has to be, in percent.
    pub threshold: u8,
}

/// One tenant's analyzer. It outlives the configurations that name it as its owner does.
pub struct Analyzer {
    inner: Arc<Inner>,
    /// None where nothing runs, as in `tollgate check`.
    runtime: Option<Handle>,
    timeout: Duration,
}

struct Inner {
    endpoint: Endpoint,
    question: Question,
    places: Semaphore,
    is_failing: AtomicBool,
}

/// Why an address cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadAnalyzer(String);

impl Analyzer {
    /// The analyzer at this address. Nothing is asked yet.
    ///
    /// # Errors
    /// When the URL or the certificate authorities are none.
    pub fn new(
        url: &str,
        extra_roots_pem: Option<&[u8]>,
        question: Question,
        timeout: Duration,
    ) -> Result<Self, BadAnalyzer> {
        let (origin, base_path) = Origin::parse(url).map_err(|bad| BadAnalyzer(bad.to_string()))?;
        let tls = match origin.scheme() {
            Scheme::Plain => None,
            Scheme::Tls => Some(tls_config(extra_roots_pem).map_err(|bad| BadAnalyzer(bad.to_string()))?),
        };
        let timeouts = Timeouts { connect: timeout, first_byte: timeout, idle: timeout, total: None };
        let base_path = format!("{}/analyze", base_path.trim_end_matches('/'));
        let endpoint = Endpoint::new(Client::new(origin, timeouts, tls), base_path);
        let inner =
            Inner { endpoint, question, places: Semaphore::new(AT_ONCE), is_failing: AtomicBool::new(false) };
        Ok(Self { inner: Arc::new(inner), runtime: Handle::try_current().ok(), timeout })
    }
}

impl Analyst for Analyzer {
    fn begin(&self, text: String, answer: Answer) {
        let Some(runtime) = &self.runtime else {
            answer.give(None);
            return;
        };
        let (inner, timeout) = (Arc::clone(&self.inner), self.timeout);
        runtime.spawn(async move {
            let asked = tokio::time::timeout(timeout, inner.ask(&text)).await;
            answer.give(inner.told(asked.unwrap_or_else(|_| Err("it took too long".to_owned()))));
        });
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl Inner {
    async fn ask(&self, text: &str) -> Result<Vec<Mark>, String> {
        let _place = self.places.acquire().await.map_err(|closed| closed.to_string())?;
        let Endpoint { client, base_path, .. } = &self.endpoint;
        let Question { language, entities, threshold } = &self.question;
        let threshold = f64::from(*threshold) / 100.0;
        let body = json!({
            "text": text, "language": language, "entities": entities, "score_threshold": threshold,
        });
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let outgoing = Outgoing {
            method: &Method::POST,
            path: base_path,
            headers: &headers,
            body: Bytes::from(body.to_string()),
            again: Again::Freely,
        };
        let answer = client.send(outgoing).await.map_err(|error| error.to_string())?;
        let HttpAnswer { status, body, .. } = answer;
        if status != StatusCode::OK {
            return Err(format!("it answered with {}", status.as_u16()));
        }
        let bytes = body.collect(ANSWER_BYTES_MAX).await.map_err(|error| error.to_string())?;
        marks(&bytes, text.chars().count(), threshold).ok_or_else(|| "its answer makes no sense".to_owned())
    }

    /// Tells the operator when it begins to fail, and when it works again; its own words are never shown.
    fn told(&self, asked: Result<Vec<Mark>, String>) -> Option<Vec<Mark>> {
        self.endpoint.client.sweep();
        let host = self.endpoint.client.origin().host();
        match asked {
            Ok(found) => {
                if self.is_failing.swap(false, Relaxed) {
                    operator::info(&format!("the analyzer at {host} answers again"));
                }
                Some(found)
            }
            Err(why) => {
                if !self.is_failing.swap(true, Relaxed) {
                    operator::warn(&format!(
                        "the analyzer at {host} gives no answer, texts are left out of records: {why}"
                    ));
                }
                None
            }
        }
    }
}

/// The places of an answer that it is sure enough of; None where one is outside the text, or is none. One that does not
/// say how sure it is counts.
fn marks(body: &[u8], characters: usize, threshold: f64) -> Option<Vec<Mark>> {
    let Value::Array(found) = serde_json::from_slice(body).ok()? else { return None };
    if found.len() > MARKS_MAX {
        return None;
    }
    let place = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|at| usize::try_from(at).ok());
    let mark = |one: &Value| {
        let (start, end) = (place(one.get("start"))?, place(one.get("end"))?);
        let entity = one.get("entity_type")?.as_str()?.to_owned();
        let score = match one.get("score") {
            Some(score) => score.as_f64().filter(|score| (0.0..=1.0).contains(score))?,
            None => 1.0,
        };
        (start < end && end <= characters).then_some((score, Mark { start, end, entity }))
    };
    // All of it has to make sense, also what is not sure enough.
    let found = found.iter().map(mark).collect::<Option<Vec<_>>>()?;
    Some(found.into_iter().filter(|(score, _)| *score >= threshold).map(|(_, mark)| mark).collect())
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyzer").field("question", &self.inner.question).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_fits_the_text_is_one() {
        let check = |body: &str, expected: Option<usize>| {
            assert_eq!(marks(body.as_bytes(), 10, 0.55).map(|found| found.len()), expected, "{body}");
        };
        check("[]", Some(0));
        check(r#"[{"entity_type":"PERSON","start":0,"end":10,"score":0.85}]"#, Some(1));
        check(r#"[{"entity_type":"PERSON","start":0,"end":11}]"#, None);
        check(r#"[{"entity_type":"PERSON","start":5,"end":5}]"#, None);
        check(r#"[{"entity_type":"PERSON","start":-1,"end":5}]"#, None);
        check(r#"[{"entity_type":"PERSON","start":1.5,"end":5}]"#, None);
        check(r#"[{"start":1,"end":5}]"#, None);
        check(r#"{"error":"no"}"#, None);
        let scored = |score: &str| {
            format!(
                r#"[{{"entity_type":"PERSON","start":0,"end":4,"score":{score}}},{{"entity_type":"PERSON","start":5,"end":9,"score":0.9}}]"#
            )
        };
        for (score, expected) in [
            ("0.55", Some(2)),
            ("1", Some(2)),
            ("0.5499", Some(1)),
            ("0", Some(1)),
            ("\"0.85\"", None),
            ("null", None),
            ("true", None),
            ("[0.85]", None),
            ("-0.1", None),
            ("1.01", None),
            ("90", None),
        ] {
            check(&scored(score), expected);
        }
        check("", None);
    }
}

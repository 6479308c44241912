//! What is asked and what is answered: requests and answers of OpenAI's shape, baked once.
//!
//! The prose is clean English (no names, no digits), so that redaction has everything to read and nothing to find.

use serde_json::Value;

/// Content chunks of a streamed answer.
pub(crate) const CHUNKS: usize = 64;
/// Events of a streamed answer: opening, content, finish, usage, `[DONE]`.
pub(crate) const EVENTS: usize = CHUNKS + 4;
/// The bench tenant's credential: made up, and known to a gateway on a loopback port alone.
pub(crate) const KEY: &str = "tg-bench-0000000000000000000000000000";
/// SHA-256 of `KEY`, for the tenant's file.
pub(crate) const KEY_SHA256: &str = "ea6ee66c2f2339d1de76e5eef43eafe690a2103b7d890bc17088f8637fe33a14";

const ID: &str = r#""id":"chatcmpl-C7xQ0benchAAAA""#;
const ABOUT: &str = r#""created":1790000000,"model":"bench-model","system_fingerprint":"fp_0benchbench0""#;
const USAGE: &str = r#""usage":{"prompt_tokens":212,"completion_tokens":98,"total_tokens":310,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#;
const TOOLS: &str = r#"[{"type":"function","function":{"name":"get_order","description":"Look an order up by its reference","parameters":{"type":"object","properties":{"reference":{"type":"string"},"with_lines":{"type":"boolean"}},"required":["reference"]}}},{"type":"function","function":{"name":"search_articles","description":"Search the help centre","parameters":{"type":"object","properties":{"query":{"type":"string"}},"required":["query"]}}}]"#;
const SYSTEM: &str =
    "You help the customers of a furniture shop. Be brief and kind, and look things up before you answer.";
/// Parts of a sentence, eight of each.
const SUBJECTS: &str =
    "The carpenter|Our supplier|The customer|A reader|The warehouse|My neighbour|The workshop|She";
const VERBS: &str = "asked about|delivered|forgot|returned|described|repaired|measured|admired";
const OBJECTS: &str = "the oak table|a set of chairs|the shelf|the long invoice|a drawer|the old cabinet|several lamps|a garden bench";
const ENDS: &str = "before the shop opened|because the colour was wrong|and wrote a \"short\" note|after a long week|\
                    without trouble|although it was raining|while the kettle boiled|as the manual suggests";

/// A whole HTTP request of about `bytes` bytes of body to the proxy on `port`.
pub(crate) fn request(port: u16, bytes: usize, seed: u64, mode: Mode) -> Vec<u8> {
    let streamed = match mode {
        Mode::Chat => "",
        Mode::Burst | Mode::Paced | Mode::Held => r#","stream":true,"stream_options":{"include_usage":true}"#,
    };
    let fixed = TOOLS.len() + SYSTEM.len() + 110 + streamed.len();
    // An odd number of turns, so that the user speaks first and last.
    let turns = (bytes / 6_000) | 1;
    let share = bytes.saturating_sub(fixed + turns * 34) / turns;
    let mut random = Random(seed * 2 + 1);
    let mut messages = vec![format!(r#"{{"role":"system","content":"{SYSTEM}"}}"#)];
    for turn in 0..turns {
        let role = if turn % 2 == 0 { "user" } else { "assistant" };
        messages.push(format!(r#"{{"role":"{role}","content":{}}}"#, Value::from(random.prose(share))));
    }
    let body = format!(
        r#"{{"model":"bench-model","messages":[{}],"tools":{TOOLS},"temperature":0.2,"max_tokens":400{streamed}}}"#,
        messages.join(",")
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nAccept: application/json\r\nUser-Agent: tollgate-bench\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// How the mock answers; one at a time, as one row is measured at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One JSON body.
    Chat,
    /// A stream, all events in one write.
    Burst,
    /// A stream, a content chunk each 5 ms.
    Paced,
    /// A stream without end, a content chunk a second.
    Held,
}

/// The baked answers, with their HTTP framing.
pub(crate) struct Answers {
    /// Head and body of a chat answer.
    pub(crate) chat: Vec<u8>,
    /// Head and opening event of a stream.
    pub(crate) opening: Vec<u8>,
    /// One content event each.
    pub(crate) content: Vec<Vec<u8>>,
    /// Finish, usage, `[DONE]` and the end of the body.
    pub(crate) closing: Vec<u8>,
    /// All of a stream.
    pub(crate) burst: Vec<u8>,
    /// The text that a chat answer carries.
    chat_text: String,
    /// The text that a stream carries.
    stream_text: String,
}

impl Answers {
    /// Bakes everything.
    pub(crate) fn bake() -> Self {
        let mut random = Random(77);
        let chat_text = random.prose(480);
        let body = format!(
            r#"{{{ID},"object":"chat.completion",{ABOUT},"choices":[{{"index":0,"message":{{"role":"assistant","content":{},"refusal":null,"annotations":[]}},"logprobs":null,"finish_reason":"stop"}}],{USAGE}}}"#,
            Value::from(chat_text.as_str())
        );
        let chat = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nx-request-id: req_0bench\r\n\r\n{body}",
            body.len()
        );
        let words: Vec<String> =
            (0..CHUNKS).map(|_| format!(" {}", random.pick(OBJECTS).rsplit(' ').next().unwrap())).collect();
        let mut opening = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\nx-request-id: req_0bench\r\n\r\n".to_vec();
        opening.extend(choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null"));
        let content: Vec<Vec<u8>> = words
            .iter()
            .map(|word| choice(&format!(r#"{{"content":{}}}"#, Value::from(word.as_str())), "null"))
            .collect();
        let mut closing = choice("{}", r#""stop""#);
        closing.extend(event(&format!(
            r#"{{{ID},"object":"chat.completion.chunk",{ABOUT},"choices":[],{USAGE}}}"#
        )));
        closing.extend(event("[DONE]"));
        closing.extend(b"0\r\n\r\n");
        let burst = [opening.clone(), content.concat(), closing.clone()].concat();
        Self {
            chat: chat.into_bytes(),
            opening,
            content,
            closing,
            burst,
            chat_text,
            stream_text: words.concat(),
        }
    }

    /// Whether a whole body, without framing, says all that the mock said.
    pub(crate) fn check(&self, mode: Mode, body: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(body).map_err(|error| error.to_string())?;
        let said = match mode {
            Mode::Chat => {
                let answer: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
                let usage = &answer["usage"]["total_tokens"];
                return match &answer["choices"][0]["message"]["content"] {
                    Value::String(content) if *content == self.chat_text && *usage == 310 => Ok(()),
                    other => Err(format!("answered {other}, usage {usage}")),
                };
            }
            Mode::Burst | Mode::Paced | Mode::Held => events_text(text)?,
        };
        if said == self.stream_text { Ok(()) } else { Err(format!("streamed {said:?}")) }
    }
}

/// The text of a stream that has all its events.
fn events_text(text: &str) -> Result<String, String> {
    let events: Vec<&str> =
        text.split_terminator("\n\n").map(|event| event.trim_start_matches("data: ")).collect();
    if events.len() != EVENTS || events.last() != Some(&"[DONE]") {
        return Err(format!("{} events, the last {:?}", events.len(), events.last()));
    }
    let (mut said, mut is_stopped, mut is_counted) = (String::new(), false, false);
    for event in &events[..EVENTS - 1] {
        let event: Value = serde_json::from_str(event).map_err(|error| error.to_string())?;
        let choice = &event["choices"][0];
        said.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        is_stopped |= choice["finish_reason"] == "stop";
        is_counted |= event["usage"]["total_tokens"] == 310;
    }
    if is_stopped && is_counted { Ok(said) } else { Err("no finish or no usage".to_owned()) }
}

fn choice(delta: &str, finish: &str) -> Vec<u8> {
    event(&format!(
        r#"{{{ID},"object":"chat.completion.chunk",{ABOUT},"choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}"#
    ))
}

/// An event as an HTTP chunk of its own.
fn event(data: &str) -> Vec<u8> {
    format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8).into_bytes()
}

/// xorshift: the same texts on every machine.
struct Random(u64);

impl Random {
    fn pick(&mut self, parts: &'static str) -> &'static str {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        parts.split('|').nth(usize::from((self.0 >> 32).to_le_bytes()[0] & 7)).unwrap()
    }

    /// Sentences of `bytes` bytes in all, a new paragraph now and then.
    fn prose(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 100);
        while text.len() < bytes {
            let words = [SUBJECTS, VERBS, OBJECTS, ENDS].map(|parts| self.pick(parts));
            text.push_str(&words.join(" "));
            text.push_str(if self.0.is_multiple_of(6) { ".\n\n" } else { ". " });
        }
        text.truncate(bytes);
        text
    }
}

//! The trace that a request belongs to, and what is noted of it until its record is made. Its spans are made of the same
//! redacted line (`telemetry/otlp/spans.rs`): nothing raw gets there. What a client says of sampling is not heard.

use crate::usage::Usage;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Methods by their names; a client may write any.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];
/// So many requests to upstreams are noted of one request.
const TRIES_MAX: usize = 32;

/// Where a span is in the world. Shown as W3C's `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Never zero.
    pub trace: u128,
    /// Never zero.
    pub span: u64,
    pub is_sampled: bool,
}

impl Context {
    /// What a `traceparent` says; `None` where it is none. A later version may say more behind it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = hex(parts.next()?, 2)?;
        let (trace, span) = (hex(parts.next()?, 32)?, hex(parts.next()?, 16)?);
        let flags = hex(parts.next()?, 2)?;
        let is_known = match version {
            0 => parts.next().is_none(),
            0xff => false,
            _ => true,
        };
        let span = u64::try_from(span).ok()?;
        (is_known && trace > 0 && span > 0).then_some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }

    /// Tells an upstream, and nothing else of the trace.
    pub fn tell(self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::try_from(self.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
    }

    /// The context of another span in the same trace: the how-manieth one that this one makes.
    fn beneath(self, number: u64) -> Self {
        Self { span: mixed(self.span, number), ..self }
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }
}

/// The context that headers name; `None` where they name none, or several.
pub fn named(headers: &HeaderMap) -> Option<Context> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let context = Context::parse(values.next()?.to_str().ok()?);
    context.filter(|_| values.next().is_none())
}

/// A method as spans have it: from a list.
pub fn method(name: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == name).unwrap_or("_OTHER")
}

/// A number in so many lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { u128::from_str_radix(text, 16).ok() } else { None }
}

/// Ids that differ for every number and look like any other (SplitMix64), so that only the first one of a request has to be
/// drawn.
fn mixed(seed: u64, number: u64) -> u64 {
    let mut mixed = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).max(1)
}

/// A request's trace, as it is noted.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Of the span that stands for the request itself.
    pub context: Context,
    /// The client's span, where it named one.
    pub parent: Option<u64>,
    /// The context of the request that brought an MCP message with a context of its own.
    pub link: Option<Context>,
    /// HTTP's method and the path's pattern, from lists.
    pub method: &'static str,
    pub route: &'static str,
    /// Whether it came over TLS.
    pub is_secure: bool,
    pub time: SystemTime,
    pub started: Instant,
    pub lasted: Duration,
    /// What an MCP message asks for, where one came alone.
    pub mcp: Option<McpCall>,
    /// The tool that the request calls, redacted.
    pub tool: Option<Box<str>>,
    pub is_stream: bool,
    pub usage: Option<Usage>,
    /// How many tokens an answer may have, as the request says.
    pub tokens_max: Option<u64>,
    pub reply: Option<Reply>,
    tries: Arc<Mutex<Tries>>,
}

/// What an answer says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The model that answered; redacted once the request is over.
    pub model: Option<String>,
    /// Why each of the answers stopped, by its number, from a list.
    pub reasons: Vec<(u64, &'static str)>,
}

/// A message of the Model Context Protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpCall {
    /// From a list.
    pub method: &'static str,
    /// The tool or prompt; `None` for what has no name of few.
    pub name: Option<Box<str>>,
    /// The revision, where it is known by then.
    pub version: Option<&'static str>,
}

/// One request to an upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    pub span: u64,
    pub upstream: Arc<str>,
    /// HTTP's, from a list.
    pub method: &'static str,
    /// Name and port of the server; `None` for a process.
    pub server: Option<(Box<str>, u16)>,
    /// The upstream's URL, as it is configured: no credential is in it, and nothing of the request's.
    pub url: Option<Box<str>>,
    pub started: Instant,
    /// `None` while it is under way.
    pub ended: Option<(Instant, Came)>,
    pub mcp: Option<McpCall>,
}

/// The requests to upstreams.
#[derive(Debug, Default)]
struct Tries {
    count: usize,
    /// The first of them, where the request is sampled.
    noted: Vec<Try>,
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// An HTTP status.
    Status(u16),
    /// An answer of another protocol.
    Answer,
    /// An error, by a word for its kind.
    Failed(&'static str),
    /// An error of JSON-RPC.
    Code(i64),
}

/// What goes along with a request to upstreams. Clones are the same.
#[derive(Debug, Clone)]
pub struct Outbound {
    context: Context,
    tries: Arc<Mutex<Tries>>,
}

/// A request to an upstream, as it is about to go.
pub struct Going<'g> {
    pub upstream: Arc<str>,
    pub method: &'static str,
    pub server: Option<(&'g str, u16)>,
    /// The upstream's own URL, written down where the request is sampled.
    pub url: Option<&'g dyn fmt::Display>,
    pub mcp: Option<McpCall>,
}

/// A request to an upstream under way.
#[derive(Debug)]
pub struct Underway {
    /// What it tells the upstream.
    pub context: Context,
    number: usize,
    tries: Arc<Mutex<Tries>>,
}

/// A decision's place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Of the request's span.
    pub context: Context,
    pub at: SystemTime,
}

/// What goes along with a record.
#[derive(Debug)]
pub enum Traced {
    Request(Box<Trace>),
    Decision(Moment),
}

impl Traced {
    /// The context of the request's span.
    pub fn context(&self) -> Context {
        match self {
            Self::Request(trace) => trace.context,
            Self::Decision(moment) => moment.context,
        }
    }
}

impl Trace {
    /// A trace that goes on from the client's span, if it named one. What is sampled is decided here, by the caller.
    pub fn new(
        context: Context,
        parent: Option<u64>,
        (method, route): (&'static str, &'static str),
        (time, started): (SystemTime, Instant),
    ) -> Self {
        Self {
            context,
            parent,
            link: None,
            method,
            route,
            is_secure: false,
            time,
            started,
            lasted: Duration::ZERO,
            mcp: None,
            tool: None,
            is_stream: false,
            usage: None,
            tokens_max: None,
            reply: None,
            tries: Arc::default(),
        }
    }

    /// Goes on from a span that a message names, rather than the request that brought it. To be called before anything
    /// was noted.
    pub fn adopt(&mut self, named: Context) {
        let brought = self.parent.map(|span| Context { span, ..self.context });
        self.link = brought.filter(|brought| (brought.trace, brought.span) != (named.trace, named.span));
        self.context.trace = named.trace;
        self.parent = Some(named.span);
    }

    /// What goes along with requests to upstreams.
    pub fn outbound(&self) -> Outbound {
        Outbound { context: self.context, tries: Arc::clone(&self.tries) }
    }

    /// A decision of this request, as of now.
    pub fn moment(&self) -> Moment {
        Moment { context: self.context, at: self.time }
    }

    /// The id of the span that stands for all tries together.
    pub fn call_span(&self) -> u64 {
        self.context.beneath(0).span
    }

    /// The requests to upstreams.
    pub fn tries(&self) -> Vec<Try> {
        lock(&self.tries).noted.clone()
    }
}

impl Outbound {
    /// Notes a request to an upstream.
    pub fn begin(&self, going: Going<'_>, now: Instant) -> Underway {
        let mut tries = lock(&self.tries);
        let number = tries.count;
        tries.count += 1;
        let context = self.context.beneath(u64::try_from(number).unwrap_or(u64::MAX).saturating_add(1));
        if context.is_sampled && number < TRIES_MAX {
            let Going { upstream, method, server, url, mcp } = going;
            let (span, server) = (context.span, server.map(|(host, port)| (host.into(), port)));
            let url = url.map(|url| url.to_string().into());
            tries.noted.push(Try { span, upstream, method, server, url, started: now, ended: None, mcp });
        }
        drop(tries);
        Underway { context, number, tries: Arc::clone(&self.tries) }
    }
}

impl Underway {
    /// What came of it.
    pub fn end(self, came: Came, now: Instant) {
        if let Some(noted) = lock(&self.tries).noted.get_mut(self.number) {
            noted.ended = Some((now, came));
        }
    }
}

fn lock(tries: &Mutex<Tries>) -> MutexGuard<'_, Tries> {
    tries.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_w3c_says() {
        let context = Context::parse(VALID).unwrap();
        assert_eq!((context.span, context.is_sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(context.to_string(), VALID);
        let version = |version: &str, behind: &str| {
            Context::parse(&format!("{version}{}{behind}", VALID.get(2..).unwrap()))
        };
        assert_eq!(version("cc", "-what-the-future-brings"), Some(context));
        assert_eq!(version("cc", ""), Some(context));
        for (text, behind) in [("00", "-x"), ("00", "-"), ("ff", ""), ("cc", "x"), ("0", ""), ("0A", "")] {
            assert_eq!(version(text, behind), None, "{text} {behind}");
        }
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Context::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_not_and_what_is_read_is_written_again(text in "[0-9a-f\\-]{0,70}|\\PC{0,70}") {
            if let Some(context) = Context::parse(&text) {
                prop_assert_eq!(Context::parse(&context.to_string()), Some(context));
            }
        }

        #[test]
        fn a_context_survives_its_writing(trace in 1..u128::MAX, span in 1..u64::MAX, is_sampled: bool) {
            let context = Context { trace, span, is_sampled };
            prop_assert_eq!(Context::parse(&context.to_string()), Some(context));
            // All spans of a request are different ones.
            let made: std::collections::HashSet<u64> =
                (0..40).map(|number| context.beneath(number).span).chain([span]).collect();
            prop_assert!(made.len() == 41 && !made.contains(&0));
        }
    }

    fn trace() -> Trace {
        let context = Context { trace: 7, span: 9, is_sampled: true };
        Trace::new(context, Some(3), ("POST", "/mcp"), (SystemTime::UNIX_EPOCH, crate::clock::now()))
    }

    #[test]
    fn tries_are_noted_in_order_and_bounded() {
        let trace = trace();
        let (outbound, now) = (trace.outbound(), trace.started);
        let going = || Going {
            upstream: "openai".into(),
            method: "POST",
            server: Some(("api", 443)),
            url: Some(&"https://api/v1"),
            mcp: None,
        };
        let first = outbound.begin(going(), now);
        let second = outbound.begin(going(), now);
        assert_ne!(first.context.span, second.context.span);
        second.end(Came::Status(200), now);
        let tries = trace.tries();
        assert_eq!((tries[0].ended, tries[1].ended), (None, Some((now, Came::Status(200)))));
        assert_eq!(tries[0].span, first.context.span);
        let unsampled = Trace { context: Context { is_sampled: false, ..trace.context }, ..self::trace() };
        let spans = [(); 2].map(|()| unsampled.outbound().begin(going(), now).context.span);
        assert_ne!(spans[0], spans[1], "a try has an id of its own even where nothing is noted of it");
        assert_eq!(unsampled.tries(), []);
        struct Never;
        impl fmt::Display for Never {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                unreachable!("nothing is written down of what is not sampled")
            }
        }
        let never = Going { url: Some(&Never), ..going() };
        unsampled.outbound().begin(never, now).end(Came::Answer, now);
        assert_eq!(tries[0].url.as_deref(), Some("https://api/v1"));
        for _ in 0..1000 {
            outbound.begin(going(), now).end(Came::Answer, now);
        }
        assert_eq!(trace.tries().len(), TRIES_MAX);
    }

    #[test]
    fn a_message_s_own_context_comes_before_the_request_s() {
        let named = Context { trace: 8, span: 4, is_sampled: false };
        let mut trace = trace();
        trace.adopt(named);
        assert_eq!((trace.context.trace, trace.context.span, trace.parent), (8, 9, Some(4)));
        assert!(trace.context.is_sampled, "what is sampled is not the client's to say");
        assert_eq!(trace.link.map(|link| (link.trace, link.span)), Some((7, 3)));
    }
}

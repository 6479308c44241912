//! A whole answer and a stream, judged by a tenant's policy.

use super::*;
use crate::{
    asked::fixture::{asked, decisions},
    clock,
};
use crate::{call::Place, tenant::OnDeny};
use serde_json::{Value, json};

const LIMITS: HoldLimits = HoldLimits { nesting: 32, tool_arguments: 4096 };

fn exchange(on_deny: OnDeny) -> Exchange {
    let terms = Terms { input_estimate: 10, ..Terms::plain(Api::Chat, LIMITS) };
    Exchange::new(asked(on_deny), terms, vec!["delete_offered".into()])
}

/// A whole answer as it leaves; calls that wait are decided so.
fn judged(exchange: &mut Exchange, body: Bytes, ruling: &Ruling) -> Result<Bytes, Refusal> {
    exchange.take_whole(body, clock::now())?;
    loop {
        if let Some(bytes) = exchange.whole()? {
            return Ok(bytes);
        }
        let asks = exchange.asks();
        assert!(!asks.is_empty(), "nobody is asked, and nothing leaves");
        for (number, _) in asks {
            exchange.rule(number, ruling.clone(), clock::wall());
        }
    }
}

fn approved() -> Ruling {
    Ruling::Approved { by: "ada".into() }
}

/// A cut stream is settled on what came until then, if that can be true; its output is told at the end.
#[test]
fn what_a_cut_answer_reported_is_believed_only_where_it_can_be_true() {
    let terms = Terms { input_estimate: 10, stream: true, ..Terms::plain(Api::Messages, LIMITS) };
    let used = |input, cached_input, output| Usage { input, cached_input, output, ..Usage::default() };
    let refused = End::Refused(Refusal::UpstreamTimeout);
    let check = |usage: Option<Usage>, produced, complete, cut| {
        let told = Told { usage, produced, ..Told::default() };
        assert_eq!(terms.usage(&told, 0, &End::Complete), complete, "{usage:?}");
        for end in [&End::ClientGone, &refused] {
            assert_eq!(terms.usage(&told, 0, end), cut, "{usage:?} {end:?}");
        }
    };
    let (good, estimate) = (used(12, 4, 30), (Some(used(10, 0, 25)), true));
    check(Some(good), 100, (Some(good), false), (Some(good), false));
    check(None, 100, estimate, estimate);
    // What was told at the start.
    check(Some(used(12, 4, 0)), 100, estimate, (Some(used(12, 4, 25)), true));
    check(Some(used(12, 4, 1)), 100, (Some(used(12, 4, 1)), false), (Some(used(12, 4, 25)), true));
    for never in [used(90_000_000, 0, 30), used(0, 0, 30), used(12, 13, 30)] {
        check(Some(never), 100, estimate, estimate);
    }
}

/// Of a whole answer that is refused unread nothing was used; of a stream, what came.
#[test]
fn a_whole_answer_that_cannot_be_understood_uses_nothing() {
    let of = |stream, usage, produced, end| {
        let terms = Terms { input_estimate: 10, stream, ..Terms::plain(Api::Messages, LIMITS) };
        terms.usage(&Told { usage, produced, ..Told::default() }, 0, &end).0.map(|usage| usage.tokens())
    };
    let refused = || End::Refused(Refusal::UpstreamTimeout);
    let counted = Some(Usage { input: 12, output: 3, ..Usage::default() });
    assert_eq!(of(false, None, 0, refused()), None);
    assert_eq!(of(false, counted, 0, refused()), Some(15), "it was read");
    assert_eq!(of(false, counted, 100, refused()), Some(15), "it says all that was used");
    assert_eq!(of(true, counted, 100, refused()), Some(37), "the rest was not heard");
    assert_eq!(of(false, None, 100, refused()), Some(35), "some of it was seen");
    assert_eq!(of(true, None, 0, refused()), Some(10));
    for end in [End::Complete, End::ClientGone] {
        assert_eq!(of(false, None, 0, end), Some(10));
    }
}

/// What a request that goes on from an answer is billed for again.
#[test]
fn an_answers_tokens_are_what_it_used_or_what_it_says_when_it_is_looked_up() {
    let of = |input_estimate, usage, end| {
        let terms = Terms { input_estimate, stream: true, ..Terms::plain(Api::Responses, LIMITS) };
        let mut exchange = Exchange::new(asked(OnDeny::Notice), terms, Vec::new());
        exchange.told = Told { usage, produced: 40, ..Told::default() };
        exchange.tokens(&end)
    };
    let used = |input, output| Some(Usage { input, output, ..Usage::default() });
    assert_eq!(of(100, used(300, 20), End::Complete), 320);
    assert_eq!(of(100, used(300, 2), End::ClientGone), 310);
    assert_eq!(of(100, used(300, 0), End::Complete), 110);
    assert_eq!(of(100, None, End::Complete), 110);
    assert_eq!(of(0, used(300, 20), End::Complete), 320);
    assert_eq!((of(0, None, End::Complete), of(0, used(90_000_000, 1), End::Complete)), (0, 0));
}

fn answer(names: &[&str]) -> Bytes {
    let call = |name: &&str| json!({ "id": "a", "function": { "name": name, "arguments": "{}" } });
    let calls: Vec<Value> = names.iter().map(call).collect();
    let choice = json!({ "message": { "tool_calls": calls }, "finish_reason": "tool_calls" });
    json!({ "choices": [choice], "usage": { "prompt_tokens": 3, "completion_tokens": 4 } }).to_string().into()
}

/// Whoever leaves while a person is asked pays for what the provider says it took.
#[test]
fn what_an_answer_took_is_known_while_its_calls_wait() {
    let mut exchange = exchange(OnDeny::Notice);
    let waiting = answer(&["pay"]);
    exchange.take_whole(waiting, clock::now()).unwrap();
    if exchange.whole().unwrap().is_none() {
        assert_eq!(exchange.told.usage.map(|usage| usage.tokens()), Some(7));
    } else {
        panic!("nobody is asked");
    }
}

fn request(entry: Entry) -> Box<crate::records::RequestEntry> {
    match entry {
        Entry::Request(request) => request,
        Entry::Decision(_) => panic!("a request's line was expected"),
    }
}

#[test]
fn a_whole_answer_is_judged_by_the_tenants_policy() {
    let mut exchange = exchange(OnDeny::Notice);
    let allowed = answer(&["get"]);
    assert_eq!(judged(&mut exchange, allowed.clone(), &approved()).unwrap(), allowed);
    let denied = Ruling::Denied { by: "eve".into() };
    let left = judged(&mut exchange, answer(&["get", "delete", "pay", "kb__get"]), &denied).unwrap();
    let left: Value = serde_json::from_slice(&left).unwrap();
    let message = &left["choices"][0]["message"];
    let calls: Vec<(&str, &str)> = message["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (&call["function"]["name"], &call["function"]["arguments"]))
        .map(|(name, arguments)| (name.as_str().unwrap(), arguments.as_str().unwrap()))
        .collect();
    assert_eq!(calls, [("get", "{}"), ("kb__get", r#"{"tenant":"acme"}"#)]);
    let content = message["content"].as_str().unwrap();
    assert!(content.contains("`delete` was denied: Ask support."), "{content}");
    assert!(content.contains("`pay` was denied: a person denied this call"), "{content}");
    let evidence = exchange.evidence();
    // Asked about first; the answer is read again once that is decided.
    let expected = ["ask", "allow", "allow", "deny", "deny", "allow"].map(|decision| ("emitted", decision));
    assert_eq!(decisions(&evidence), expected);
    let (rest, entry) = exchange.finish(&End::Complete, 200, clock::now());
    let entry = request(entry);
    assert!(rest.is_empty());
    assert_eq!((entry.status, entry.error, entry.tools_denied.len()), (200, None, 3));
    assert_eq!((entry.input_tokens, entry.output_tokens), (Some(3), Some(4)));
    assert!(entry.completion.is_some() && entry.ttft.is_some());
}

#[test]
fn a_tenant_may_want_an_error_instead() {
    let mut exchange = exchange(OnDeny::Error);
    let refused = judged(&mut exchange, answer(&["get", "delete"]), &approved()).unwrap_err();
    assert_eq!((refused.status(), refused.code()), (403, "tool_not_allowed"));
    let (evidence, entry) = exchange.finish(&End::Refused(refused), 403, clock::now());
    assert_eq!(decisions(&evidence), [("emitted", "allow"), ("emitted", "deny")]);
    assert_eq!(request(entry).error, Some("tool_not_allowed"));
}

#[test]
fn a_stream_that_breaks_off_denies_what_it_held() {
    let mut exchange = exchange(OnDeny::Notice).streamed();
    let mut out = Vec::new();
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": "Hi", "tool_calls": [{ "index": 0, "id": "a", "function": { "name": "get", "arguments": "{" } }] } }] });
    let read = exchange.read(format!("data: {chunk}\n\n").as_bytes(), clock::now(), &mut out);
    assert_eq!(read, Progress::Continue);
    assert!(exchange.holds() && exchange.evidence().is_empty());
    assert!(matches!(exchange.end(&mut out), Progress::Failed(Refusal::UpstreamError { .. })));
    assert!(!exchange.holds());
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("Hi") && out.contains("\"error\"") && !out.contains("get"), "{out}");
    let (evidence, entry) = exchange.finish(&End::ClientGone, 200, clock::now());
    assert_eq!(decisions(&evidence), [("emitted", "deny")]);
    assert_eq!(request(entry).tools_denied.len(), 2);
}

/// A stream of text, calls and text of another choice.
fn streamed(names: &[&str]) -> Vec<u8> {
    let mut chunks = vec![json!({ "choices": [{ "index": 0, "delta": { "content": "Hi" } }] })];
    for (at, name) in names.iter().enumerate() {
        for part in [json!({ "name": name, "arguments": "{\"a\"" }), json!({ "arguments": ":1}" })] {
            let call = json!({ "index": at, "id": format!("call_{at}"), "function": part });
            chunks.push(json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [call] } }] }));
        }
    }
    chunks.push(json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] }));
    chunks.push(
        json!({ "choices": [{ "index": 1, "delta": { "content": "there" }, "finish_reason": "stop" }] }),
    );
    let mut out: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    out.push_str("data: [DONE]\n\n");
    out.into_bytes()
}

/// What left of a stream that came in these pieces; each call is decided when so many more pieces have come.
fn left(pieces: &[&[u8]], later: usize, rulings: &dyn Fn(&WaitingCall) -> Ruling) -> (String, Exchange) {
    let (mut exchange, mut out) = (exchange(OnDeny::Notice).streamed(), Vec::new());
    let (mut progress, mut waiting, mut since) = (Progress::Continue, Vec::new(), 0);
    for piece in pieces.iter().copied().map(Some).chain([None]) {
        if progress != Progress::Continue {
            break;
        }
        progress = match piece {
            Some(piece) if exchange.has_room() => exchange.read(piece, clock::now(), &mut out),
            Some(_) => continue,
            None => exchange.end(&mut out),
        };
        while exchange.is_suspended() {
            waiting.extend(exchange.asks());
            since += 1;
            if since <= later && piece.is_some() {
                break;
            }
            assert!(exchange.holds() && !waiting.is_empty());
            for (number, call) in waiting.drain(..) {
                exchange.rule(number, rulings(&call), clock::wall());
            }
            since = 0;
            progress = exchange.resume(&mut out);
        }
    }
    assert_eq!(progress, Progress::Done, "{}", String::from_utf8_lossy(&out));
    (String::from_utf8(out).unwrap(), exchange)
}

#[test]
fn a_call_that_waits_leaves_as_if_it_had_not_waited_however_the_stream_is_split() {
    let input = streamed(&["get", "pay", "delete", "pay"]);
    let by_amount = |call: &WaitingCall| {
        assert_eq!((call.tool.as_str(), call.args.as_str()), ("pay", "{\"a\":1}"));
        Ruling::Approved { by: "ada".into() }
    };
    let (expected, _) = left(&[&input], 0, &by_amount);
    assert_eq!(expected.matches("\"pay\"").count(), 2, "{expected}");
    assert!(!expected.contains("\"delete\"") && expected.contains("there"), "{expected}");
    for at in 0..input.len() {
        let (first, second) = input.split_at(at);
        for later in [0, 1] {
            assert_eq!(left(&[first, second], later, &by_amount).0, expected, "split at {at}, {later} later");
        }
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    for later in [0, 3, 1000] {
        let (out, mut exchange) = left(&bytes, later, &by_amount);
        assert_eq!(out, expected, "decided {later} later");
        let evidence = exchange.evidence();
        let asked = decisions(&evidence).into_iter().filter(|(_, decision)| *decision == "ask").count();
        let decided =
            evidence.iter().filter(|entry| matches!(entry, Entry::Decision(line) if line.by.is_some()));
        assert_eq!((asked, decided.count()), (2, 2), "each call is asked about once, and decided once");
    }
}

#[test]
fn a_denied_or_forgotten_call_is_told_and_nothing_of_it_leaves() {
    let input = streamed(&["pay"]);
    for (ruling, reason) in [
        (Ruling::Denied { by: "eve".into() }, "a person denied this call"),
        (Ruling::Expired, "no person approved this call within 10m"),
        (Ruling::Full, "too many calls wait for a person already"),
    ] {
        let (out, exchange) = left(&[&input], 0, &|_| ruling.clone());
        assert!(out.contains(reason) && !out.contains("\\\"a\\\""), "{out}");
        let (_, entry) = exchange.finish(&End::Complete, 200, clock::now());
        assert_eq!(request(entry).tools_denied.len(), 2);
    }
}

#[test]
fn what_comes_before_a_call_leaves_while_it_waits() {
    let input = streamed(&["get", "pay"]);
    let (mut exchange, mut out) = (exchange(OnDeny::Notice).streamed(), Vec::new());
    assert_eq!(exchange.read(&input, clock::now(), &mut out), Progress::Continue);
    let sent = String::from_utf8(out.clone()).unwrap();
    assert!(sent.contains("Hi") && !sent.contains("pay") && !sent.contains("there"), "{sent}");
    // A client that leaves while it waits: denied, on record.
    exchange.leave();
    let (evidence, _) = exchange.finish(&End::ClientGone, 200, clock::now());
    assert_eq!(decisions(&evidence), [("emitted", "ask"), ("emitted", "deny"), ("emitted", "deny")]);
    assert_eq!(Place::Emitted.as_str(), "emitted");
}

#[test]
fn a_call_beyond_a_rules_limit_is_denied_and_counts_once_however_the_stream_is_split() {
    let input = streamed(&["mail", "pay", "mail", "mail"]);
    for size in [input.len(), 1, 7] {
        let pieces: Vec<&[u8]> = input.chunks(size).collect();
        for later in [0, 5] {
            // Two mails an hour.
            let (out, mut exchange) = left(&pieces, later, &|_| approved());
            assert_eq!(out.matches("\"mail\"").count(), 2, "{out}");
            assert_eq!(out.matches("`mail` was denied: its limit of 2/hour is used up").count(), 1, "{out}");
            let evidence = exchange.evidence();
            let mut told: Vec<&str> =
                decisions(&evidence).into_iter().map(|(_, decision)| decision).collect();
            told.sort_unstable();
            assert_eq!(told, ["allow", "allow", "allow", "ask", "deny"], "in pieces of {size}");
        }
    }
}

//! J and T: bodies that two parsers read in two ways, and what clients say of themselves.

use crate::{
    before::recorded,
    fault::{Upstream, statuses, talk, whole},
    hostile_tenants::SAID,
    mcp::ask as ask_mcp,
    support::{ACME, Answer, GLOBEX, Gateway, chat, tools, wellbeing::written},
};
use std::{fmt::Write as _, io::Write, process::Command, time::Duration};
use tollgate::{
    dialect::{self, Api},
    json::{self, Value},
};

fn probe(members: &str) -> String {
    format!(r#"{{"model":"probe","messages":[{{"role":"user","content":"hi"}}]{members}}}"#)
}

/// Sends bytes that need not be text.
fn send(gateway: &Gateway, headers: &str, body: &[u8]) -> u16 {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    let answers = talk(gateway.port, &[head.as_bytes(), body].concat(), Duration::from_secs(10));
    statuses(&answers).first().copied().unwrap_or(0)
}

#[test]
fn j1_keys_that_stand_twice_are_refused_at_every_depth() {
    let (gateway, upstream) = recorded();
    for body in [
        r#"{"model":"probe","model":"probe","messages":[]}"#.to_owned(),
        r#"{"model":"probe","mode\u006c":"other","messages":[]}"#.to_owned(),
        probe(r#","tools":[],"tools":[]"#),
        probe(r#","tool_choice":"none","tool_choice":"auto""#),
        probe(r#","stream":true,"\u0073tream":false"#),
        probe(r#","tools":[{"type":"function","function":{"name":"a","n\u0061me":"b"}}]"#),
        probe(r#","metadata":{"a":{"b":[{"c":1,"c":2}]}}"#),
        probe(r#","messages":[]"#),
        probe(r#","x":{"":1,"":2}"#),
        // Read without regard to case, as Go does, these stand twice.
        probe(r#","Model":"other""#),
        probe(r#","STREAM":true"#),
        probe(r#","Tools":[{"type":"function","function":{"name":"x"}}]"#),
        probe(r#","Tool_Choice":"auto""#),
        probe(r#","tools":[{"type":"function","function":{"name":"a","Name":"b"}}]"#),
        probe(r#","max_tokens":1,"MAX_TOKENS":2"#),
        // The long s and the Kelvin sign are s and k to whoever folds case.
        probe("\u{2c}\"\u{17f}tream\":true"),
    ] {
        let status = gateway.chat(ACME, &body).status;
        assert_eq!(status, 400, "{body}");
    }
    assert_eq!(upstream.requests(), 0, "{}", upstream.text());
}

/// J1: arguments of calls, wherever a call comes from: who reads them without regard to case would see another amount.
#[test]
fn j1_arguments_that_are_read_in_two_ways_are_denied_wherever_a_call_comes_from() {
    let billing = Upstream::acting(|_, socket| socket.write_all(whole(200, "{}").as_bytes()).is_ok());
    let tenants = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools: [{ allow: [get_a, crm__get_weather, billing__refund], when: args.amount <= 100 }]
";
    let gateway = Gateway::with_mock(tenants, |mock| {
        format!(
            "  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\" }}\n  billing: {{ kind: http, url: \"http://127.0.0.1:{}/api\", operations: {{ refund: \"POST /refunds\" }} }}\n",
            billing.port
        )
    })
    .watched();
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let session = ask_mcp(&gateway, "/mcp", ACME, "", initialize);
    let session = format!("mcp-session-id: {}\r\n", session.header("mcp-session-id").unwrap());
    for (arguments, passes) in [
        (r#"{"city":"Bern","amount":1}"#, true),
        (r#"{"city":"Bern","amount":1,"Amount":200}"#, false),
        (r#"{"city":"Bern","AMOUNT":200,"amount":1}"#, false),
        (r#"{"city":"Bern","amount":1,"amount":200}"#, false),
        (r#"{"city":"Bern","amount":1,"am\u006funt":200}"#, false),
    ] {
        for more in ["", r#","stream":true"#] {
            let call = format!("!call get_a {arguments}");
            let told = gateway.chat(ACME, &chat(&call, &(tools(&["get_a"]) + more)));
            let calls = told.body.contains(r#""tool_calls":[{"#);
            assert_eq!((told.status, calls), (200, passes), "{arguments} {told:?}");
        }
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"crm__get_weather","arguments":{arguments}}}}}"#
        );
        let told = ask_mcp(&gateway, "/mcp", ACME, &session, &call);
        assert_eq!(told.body.contains("in Bern"), passes, "{arguments} {told:?}");
        let before = billing.requests();
        let told = gateway.post("/tools/billing/refunds", ACME, arguments);
        assert_eq!(
            (told.status == 200, billing.requests() > before),
            (passes, passes),
            "{arguments} {told:?}"
        );
    }
}

/// J8: what is called at a server or an API is on record as what a model calls is: without its values.
#[test]
fn j8_arguments_of_servers_and_apis_are_redacted_as_those_of_models_are() {
    const SECRET: &str = "jane.j8@example.com";
    let billing = Upstream::acting(|_, socket| socket.write_all(whole(200, "{}").as_bytes()).is_ok());
    let tenants = crate::before::TENANTS;
    let gateway = Gateway::with_mock(tenants, |mock| {
        format!(
            "  crm: {{ kind: mcp, url: \"http://127.0.0.1:{mock}/mcp\" }}\n  billing: {{ kind: http, url: \"http://127.0.0.1:{}/api\", operations: {{ refund: \"POST /refunds\" }} }}\n",
            billing.port
        )
    })
    .watched();
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let session = ask_mcp(&gateway, "/mcp", ACME, "", initialize);
    let session = format!("mcp-session-id: {}\r\n", session.header("mcp-session-id").unwrap());
    let nested = serde_json::json!({ "deep": SECRET }).to_string();
    let forms = [
        serde_json::json!({ "city": SECRET }),
        serde_json::json!({ "city": "x", "to": [SECRET] }),
        serde_json::json!({ "city": "x", "to": { "name": [{ "mail": SECRET }] } }),
        serde_json::json!({ "city": "x", "body": nested }),
    ];
    for arguments in &forms {
        let called = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "crm__get_weather", "arguments": arguments } });
        assert_eq!(ask_mcp(&gateway, "/mcp", ACME, &session, &called.to_string()).status, 200);
        assert_eq!(gateway.post("/tools/billing/refunds", ACME, &arguments.to_string()).status, 200);
        let call = format!("!call get_a {arguments}");
        assert_eq!(gateway.chat(ACME, &chat(&call, &tools(&["get_a"]))).status, 200);
    }
    gateway.wait("every call", |gateway| {
        let lines = gateway.lines("audit", "acme", 1);
        let redacted = |place: &str| {
            let of = lines.iter().filter(|line| line["place"] == place);
            of.filter(|line| line["args"].to_string().contains("[EMAIL")).count()
        };
        ["mcp", "http", "emitted"].iter().all(|place| redacted(place) == forms.len())
    });
    for (name, text) in written(gateway.dir.path()) {
        assert!(!text.contains(SECRET), "{name}: {text}");
    }
}

#[test]
fn j2_depth_size_and_digits() {
    let (gateway, upstream) = recorded();
    let gateway = gateway.with_large_bodies();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for body in [
        probe(&format!(r#","x":{}"#, deep(100_000))),
        "[".repeat(100_000),
        r#"{"a":"#.repeat(100_000),
        probe(r#","x":1e400"#),
        probe(r#","x":-1e400"#),
        probe(r#","x":01"#),
        probe(r#","x":NaN"#),
        probe(r#","x":Infinity"#),
        probe(r#","x":0x10"#),
        probe(r#","x":1."#),
        probe(r#","x":+1"#),
        probe(&format!(r#","x":{}"#, "9".repeat(1 << 20))),
        probe(&format!(r#","x":[{}0]"#, "0,".repeat(1_000_000))),
        probe("") + "x",
        probe("") + "{}",
    ] {
        let told = gateway.chat(ACME, &body);
        assert_eq!(
            (told.status, told.code().as_str()),
            (400, "invalid_request"),
            "{}",
            &body[..body.len().min(80)]
        );
    }
    assert_eq!(upstream.requests(), 0);
    // Arguments within a string may be as deep as they like: they are decided on as what they are, text.
    let arguments = serde_json::Value::from(deep(100_000));
    let history = format!(
        r#"{{"model":"probe","messages":[{{"role":"user","content":"hi"}},{{"role":"assistant","tool_calls":[{{"id":"c","type":"function","function":{{"name":"get_x","arguments":{arguments}}}}}]}},{{"role":"tool","tool_call_id":"c","content":"x"}}]}}"#
    );
    // What stands in a string is text to the gateway: what was called before is handed on as it is.
    assert_eq!(gateway.chat(ACME, &history).status, 200);
    let digits = "123456789012345678901234567890";
    let exact =
        probe(&format!(r#","seed":9007199254740993,"x":{digits},"y":0.1000000000000000055511151231257827"#));
    assert_eq!(gateway.chat(ACME, &exact).status, 200);
    let seen = upstream.text();
    assert!(seen.contains("9007199254740993") && seen.contains(digits), "{seen}");
    assert!(seen.contains("0.1000000000000000055511151231257827"), "{seen}");
}

#[test]
fn j3_j4_only_plain_utf8_json_is_read() {
    let (gateway, upstream) = recorded();
    let good = probe("");
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bad: Vec<Vec<u8>> = vec![
        [b"\xef\xbb\xbf", good.as_bytes()].concat(),
        utf16,
        good.replace("hi", "\u{1}").into_bytes(),
        good.replace("hi", r"\ud800").into_bytes(),
        good.replace("hi", r"\udc00\ud800").into_bytes(),
        good.replace("hi", r"\x41").into_bytes(),
        [&good.as_bytes()[..20], b"\xff", &good.as_bytes()[20..]].concat(),
        good.replace("hi", "~~").bytes().map(|byte| if byte == b'~' { 0xc0 } else { byte }).collect(),
        Vec::new(),
        b"null".to_vec(),
        b"[]".to_vec(),
    ];
    for body in bad {
        assert_eq!(send(&gateway, "", &body), 400, "{:?}", String::from_utf8_lossy(&body));
    }
    for headers in [
        "content-type: text/plain\r\n",
        "content-type: application/json; charset=utf-16\r\n",
        "content-type: application/json\r\ncontent-type: text/plain\r\n",
        "content-type: multipart/form-data; boundary=x\r\n",
        "content-type: application/jsonx\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-encoding: gzip\r\n",
        "content-encoding: br\r\n",
        "content-encoding: zstd\r\n",
        "content-encoding: deflate\r\n",
        "content-encoding: gzip, gzip\r\n",
        "content-encoding: identity\r\ncontent-encoding: gzip\r\n",
    ] {
        assert_eq!(send(&gateway, headers, good.as_bytes()), 415, "{headers}");
    }
    assert_eq!(upstream.requests(), 0);
    for headers in
        ["", "content-type: application/json;charset=\"UTF-8\"\r\n", "content-encoding: identity\r\n"]
    {
        assert_eq!(send(&gateway, headers, good.as_bytes()), 200, "{headers}");
    }
}

/// So many documents are compared with two other parsers; `TOLLGATE_FUZZ` asks for more.
const DOCUMENTS: usize = 3000;

/// J5: what the gateway accepts, Python and JavaScript read in the same way.
#[test]
fn j5_what_is_accepted_is_read_alike_elsewhere() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for count in batches() {
        read_alike_elsewhere(count, &mut dice);
    }
}

fn read_alike_elsewhere(count: usize, dice: &mut Dice) {
    let documents: Vec<Vec<u8>> = (0..count).map(|_| document(dice)).collect();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("documents"), hex(&documents)).unwrap();
    let ours: Vec<Option<String>> =
        documents.iter().map(|document| json::parse(document, 64).ok().as_ref().map(view)).collect();
    let accepted = ours.iter().flatten().count();
    assert!(
        accepted > count / 10 && accepted < count,
        "{accepted} of {count}: the documents are too much alike"
    );
    for (program, script) in [("python3", PYTHON), ("node", NODE)] {
        let name = if program == "node" { "-e" } else { "-c" };
        let output = Command::new(program).args([name, script]).current_dir(dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let theirs = String::from_utf8(output.stdout).unwrap();
        let theirs: Vec<&str> = theirs.lines().collect();
        assert_eq!(theirs.len(), count);
        for ((document, ours), theirs) in documents.iter().zip(&ours).zip(theirs) {
            if let Some(ours) = ours {
                assert_eq!(ours, theirs, "{program}: {}", String::from_utf8_lossy(document));
            }
        }
    }
}

/// J5: what is accepted of a whole request, a reader that folds case and takes the last of two keys, as Go's does, reads alike.
#[test]
fn j5_what_is_accepted_a_reader_that_folds_case_reads_alike() {
    let mut dice = Dice(0x5851_f42d_4c95_7f2d);
    for count in batches() {
        read_alike_by_who_folds_case(count, &mut dice);
    }
}

fn read_alike_by_who_folds_case(count: usize, dice: &mut Dice) {
    let documents: Vec<Vec<u8>> = (0..count)
        .map(|_| {
            let text = document(dice);
            let begin: &[u8] = br#"{"model":"m","input":"hi""#;
            match text.strip_prefix(b"{") {
                Some(rest) if rest.starts_with(b"}") => [begin, rest].concat(),
                Some(rest) => [begin, b",", rest].concat(),
                None => text,
            }
        })
        .collect();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("documents"), hex(&documents)).unwrap();
    let ours: Vec<Option<String>> = documents
        .iter()
        .map(|document| {
            let value = json::parse(document, 64).ok()?;
            dialect::understand(Api::Responses, &value).ok()?;
            Some(view(&value))
        })
        .collect();
    let accepted = ours.iter().flatten().count();
    assert!(accepted > count / 50 && accepted < count, "{accepted} of {count}");
    let output = Command::new("python3").args(["-c", FOLDING]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = String::from_utf8(output.stdout).unwrap();
    for ((document, ours), theirs) in documents.iter().zip(&ours).zip(theirs.lines()) {
        if let Some(ours) = ours {
            assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(document));
        }
    }
}

/// As Go's encoding/json fills a structure: a key is a field's without regard to case, and the last one counts.
const FOLDING: &str = r#"
import json, struct
def refuse(_): raise ValueError
def fold(key): return ''.join({'\u017f': 's', '\u212a': 'k'}.get(c, c.lower() if c.isascii() else c) for c in key)
class Fields(list): pass
def of(pairs, name):
    found = [value for key, value in pairs if fold(key) == name]
    return found[-1] if found else None
def show(v): return json.dumps(v) if isinstance(v, (str, bool)) or v is None else 'n' + struct.pack('>d', float(v) + 0.0).hex() if isinstance(v, (int, float)) else 'dict' if isinstance(v, Fields) else 'list'
for line in open('documents'):
    try:
        d = json.loads(bytes.fromhex(line.strip()).decode(), parse_constant=refuse, object_pairs_hook=Fields)
        t = of(d, 'tools')
        names = [show(of(x, 'name')) if isinstance(x, Fields) else '?' for x in t] if isinstance(t, list) and not isinstance(t, Fields) else []
        print(show(of(d, 'model')), show(of(d, 'stream')), show(of(d, 'max_tokens')), len(d), ' '.join(names))
    except (ValueError, AttributeError, RecursionError, OverflowError, TypeError):
        print('refused')
"#;

fn asked_for(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|count| count.parse().ok()).unwrap_or(otherwise)
}

/// `TOLLGATE_FUZZ` asks for more documents; so many are held in memory at a time.
fn batches() -> impl Iterator<Item = usize> {
    const BATCH: usize = 50_000;
    let all = asked_for("TOLLGATE_FUZZ", DOCUMENTS);
    (0..all).step_by(BATCH).map(move |begin| BATCH.min(all - begin))
}

fn hex(documents: &[Vec<u8>]) -> String {
    let mut all = String::new();
    for document in documents {
        for byte in document {
            write!(all, "{byte:02x}").unwrap();
        }
        all.push('\n');
    }
    all
}

const PYTHON: &str = r#"
import json, struct
def refuse(_): raise ValueError
def show(v): return json.dumps(v) if isinstance(v, (str, bool)) or v is None else 'n' + struct.pack('>d', float(v) + 0.0).hex() if isinstance(v, (int, float)) else type(v).__name__
for line in open('documents'):
    try:
        d = json.loads(bytes.fromhex(line.strip()).decode(), parse_constant=refuse)
        t = d.get('tools')
        names = [show(x.get('name')) if isinstance(x, dict) else '?' for x in t] if isinstance(t, list) else []
        print(show(d.get('model')), show(d.get('stream')), show(d.get('max_tokens')), len(d), ' '.join(names))
    except (ValueError, AttributeError, RecursionError, OverflowError):
        print('refused')
"#;

const NODE: &str = r#"
const escape = s => JSON.stringify(s).replace(/[\u007f-\uffff]/g, c => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
const bits = n => { const b = Buffer.alloc(8); b.writeDoubleBE(n + 0); return b.toString('hex'); };
const show = v => typeof v === 'string' ? escape(v) : typeof v === 'boolean' ? String(v) : v === null || v === undefined ? 'null' : typeof v === 'number' ? 'n' + bits(v) : Array.isArray(v) ? 'list' : 'dict';
for (const line of require('fs').readFileSync('documents', 'latin1').split('\n').slice(0, -1)) {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(line, 'hex'));
    const d = JSON.parse(text);
    if (d === null || typeof d !== 'object' || Array.isArray(d)) throw new SyntaxError();
    const own = (o, k) => Object.hasOwn(o, k) ? o[k] : undefined;
    const t = own(d, 'tools');
    const names = Array.isArray(t) ? t.map(x => x !== null && typeof x === 'object' && !Array.isArray(x) ? show(own(x, 'name')) : '?') : [];
    console.log([show(own(d, 'model')), show(own(d, 'stream')), show(own(d, 'max_tokens')), Object.keys(d).length, names.join(' ')].join(' '));
  } catch (e) { if (e instanceof SyntaxError || e instanceof TypeError) console.log('refused'); else throw e; }
}
"#;

/// What decisions are made on, as the scripts show it.
fn view(value: &Value<'_>) -> String {
    let Value::Object(members) = value else { return "refused".to_owned() };
    let of = |members: &[(std::borrow::Cow<'_, str>, Value<'_>)], key: &str| {
        show(members.iter().find(|(name, _)| name == key).map(|(_, value)| value))
    };
    let names: Vec<String> = match members.iter().find(|(name, _)| name == "tools") {
        Some((_, Value::Array(tools))) => tools
            .iter()
            .map(|tool| match tool {
                Value::Object(members) => of(members, "name"),
                _ => "?".to_owned(),
            })
            .collect(),
        _ => Vec::new(),
    };
    let [model, stream, most] = ["model", "stream", "max_tokens"].map(|key| of(members, key));
    format!("{model} {stream} {most} {} {}", members.len(), names.join(" "))
}

fn show(value: Option<&Value<'_>>) -> String {
    match value {
        None | Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(truth)) => truth.to_string(),
        Some(Value::String(text)) => {
            let mut shown = String::from("\"");
            for unit in text.encode_utf16() {
                match u8::try_from(unit) {
                    Ok(b'"') => shown.push_str("\\\""),
                    Ok(b'\\') => shown.push_str("\\\\"),
                    Ok(b'\n') => shown.push_str("\\n"),
                    Ok(b'\t') => shown.push_str("\\t"),
                    Ok(b'\r') => shown.push_str("\\r"),
                    Ok(8) => shown.push_str("\\b"),
                    Ok(12) => shown.push_str("\\f"),
                    Ok(byte @ 32..127) => shown.push(char::from(byte)),
                    _ => write!(shown, "\\u{unit:04x}").unwrap(),
                }
            }
            shown + "\""
        }
        // To the bit; 0 and -0 are one number.
        Some(number @ Value::Number(_)) => format!("n{:016x}", (number.as_f64().unwrap() + 0.0).to_bits()),
        Some(Value::Array(_)) => "list".to_owned(),
        Some(Value::Object(_)) => "dict".to_owned(),
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}

/// A request as a hostile client writes it: mostly well, with something odd.
fn document(dice: &mut Dice) -> Vec<u8> {
    let keys = [
        r#""model""#,
        r#""stream""#,
        r#""max_tokens""#,
        r#""tools""#,
        r#""mode\u006c""#,
        r#""Model""#,
        r#""STREAM""#,
        r#""tool\u017fs""#,
        "\"tool\u{17f}\"",
        r#""Name""#,
        r#""max_to\u212aens""#,
        r#""name""#,
        r#""n\u0061me""#,
        r#""""#,
        r#""__proto__""#,
        r#""model\u0000""#,
        "\"mod\u{e9}l\"",
        r#""\/x""#,
    ];
    let values = [
        r#""gpt-5""#,
        "true",
        "false",
        "null",
        "1",
        "16",
        "0",
        "1.5",
        "1e2",
        "1E+2",
        "1e-2",
        "123456789012",
        "1e400",
        "01",
        ".5",
        "5.",
        "NaN",
        "Infinity",
        "-",
        r#""\ud83d\ude00""#,
        r#""\ud800""#,
        r#""\u0000\b\f\n\r\t\"\\\/""#,
        "\"\u{1f600}\u{2028}\u{7f}\u{feff}\"",
        "\"\t\"",
        "\"\u{1}\"",
        r#""\x41""#,
        r#""\u00e9""#,
        "[]",
        "{}",
        r#"[1,]"#,
        r#"{"a":1,}"#,
        r#"{"a":1,"a":2}"#,
        "'x'",
        "tru",
        "[[[[]]]]",
        "// x",
        "/**/1",
        r#""unended"#,
    ];
    let spaces = ["", "", "", " ", "\n", "\t", "\r\n", "\u{a0}", "\u{c}"];
    let mut text = String::from("{");
    for member in 0..dice.roll(5) {
        if member > 0 {
            text.push(',');
        }
        let key = if dice.roll(3) == 0 { dice.pick(&keys) } else { keys[member % 4] };
        let value = if key == r#""tools""# {
            let tool = |dice: &mut Dice| match dice.roll(4) {
                0 => dice.pick(&values).to_owned(),
                1 => format!("{{{}:{}}}", dice.pick(&keys), dice.pick(&values)),
                _ => format!(r#"{{"type":"function","name":"t{}"}}"#, dice.roll(9)),
            };
            let tools: Vec<String> = (0..dice.roll(3)).map(|_| tool(dice)).collect();
            format!("[{}]", tools.join(","))
        } else if dice.roll(2) == 0 {
            dice.pick(&values[..18]).to_owned()
        } else {
            dice.pick(&["\"gpt-5\"", "true", "1", "16", "null"]).to_owned()
        };
        let (before, behind) = (dice.pick(&spaces[..7]), dice.pick(&spaces[..7]));
        write!(text, "{before}{key}{behind}:{before}{value}{behind}").unwrap();
    }
    text.push('}');
    // Of minus nothing Python makes nothing, which is no other number.
    let mut bytes = text.replace("-0", "-1").into_bytes();
    if dice.roll(8) == 0 && !bytes.is_empty() {
        let at = dice.roll(bytes.len());
        match dice.roll(4) {
            0 => drop(bytes.remove(at)),
            1 => bytes.insert(at, dice.pick(b"\"\\,:{}[]0x\0\xff\xc3 ")),
            2 => bytes.truncate(at),
            _ => bytes.extend_from_slice(b" x"),
        }
    }
    if dice.roll(50) == 0 {
        bytes.splice(0..0, *b"\xef\xbb\xbf");
    }
    bytes
}

#[test]
fn j7_names_that_only_look_like_an_allowed_tool_are_others() {
    let tenants = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools: [{ allow: get_x }]
";
    let gateway = Gateway::with(tenants, "").watched();
    for name in [
        "Get_x",
        "get_X",
        "get_x ",
        " get_x",
        "get_x.",
        "\u{ff47}et_x",
        "get\u{200b}_x",
        "g\u{435}t_x",
        "get_x\\u0000",
        "get_x\\n",
    ] {
        let before = gateway.seen().as_array().unwrap().len();
        let told = gateway.chat(ACME, &chat("hi", &tools(&["get_x", name])));
        assert_eq!(told.status, 200, "{name:?} {told:?}");
        // The upstream is offered the one, by its exact name, and nothing else.
        let seen = gateway.seen();
        let seen = seen.as_array().unwrap();
        assert_eq!(seen.len(), before + 1, "{name:?}");
        let sent: serde_json::Value =
            serde_json::from_str(seen.last().unwrap()["body"].as_str().unwrap()).unwrap();
        let offered: Vec<&serde_json::Value> =
            sent["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
        assert_eq!(offered, ["get_x"], "{name:?}");
        // The other one is denied on record, by its own name.
        let name: String = serde_json::from_str(&format!("\"{name}\"")).unwrap();
        gateway.wait("its denial", |gateway| {
            let lines = gateway.lines("audit", "acme", 1);
            lines.iter().any(|line| line["tool"] == name.as_str() && line["decision"] == "deny")
        });
    }
}

#[test]
fn t1_what_a_client_says_of_itself_changes_nothing() {
    let (gateway, upstream) = recorded();
    let headers = SAID;
    let body = probe("");
    let all: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    assert_eq!(send(&gateway, &all, body.as_bytes()), 200);
    let seen = upstream.text().to_ascii_lowercase();
    let head = seen.split("\r\n\r\n").next().unwrap();
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        assert!(!head.contains(&format!("\n{}:", name.to_ascii_lowercase())), "{name}: {head}");
        assert!(
            value == "a" || value == "trailers" || !head.contains(&value.to_ascii_lowercase()),
            "{name}: {head}"
        );
    }
    assert_eq!(gateway.lines("log", "acme", 1)[0]["tenant"], "acme");
    // Nor do they stand in for a credential.
    let anonymous: String =
        headers.iter().filter(|h| !h.starts_with("Proxy")).map(|h| format!("{h}\r\n")).collect();
    let request =
        format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{anonymous}\r\n");
    assert_eq!(gateway.raw(&request).status, 401);
}

#[test]
fn t3_paths_that_are_written_otherwise_are_other_paths() {
    let (gateway, upstream) = recorded();
    let tricks = [
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/chat/completions//",
        "/./v1/chat/completions",
        "/v1/./chat/completions",
        "/v1/x/../chat/completions",
        "/v1/chat/completions/.",
        "/v1/chat/completions/..",
        "/V1/chat/completions",
        "/v1/Chat/completions",
        "/v1/chat/completions%20",
        "/v1/chat/completions%00",
        "/v1/chat/completions%0a",
        "/v1/chat/completions;x",
        "/v1;x/chat/completions",
        "/v1/chat/completions%3f",
        "/v1/chat/completions%23",
        "/v1/chat%2fcompletions",
        "/v1%2fchat/completions",
        "/v1/chat%252fcompletions",
        "/%76%31/chat/completions",
        "/v1/chat/%63ompletions",
        "/v1/chat/completions%2f",
        "/v1/chat/completions%5c",
        "/v1/chat/%2e%2e/completions",
        "/..;/v1/chat/completions",
        "/v1/..;/v1/chat/completions",
        "/admin/status",
        "/admin/../v1/models",
        "/metrics",
        "/livez",
        "/readyz",
        "/v1/chat/completions.json",
        "/v1/chat/completions:80",
        "/v1/chat/completions&x",
        "/v1/chat/completions,",
        "/v1/chat/completions%c0%af",
        "/v1/chat/completions%ff",
        "/tollgate.yaml",
        "/mcp%2f",
        "/mcp/../admin/status",
        "/v1/models/../usage",
    ];
    assert!(tricks.len() >= 40);
    for path in tricks {
        let told: Answer = gateway.post(path, ACME, &probe(""));
        let nobody = gateway.post(path, "unknown", &probe(""));
        // `/v1/models/../usage` is a model's name, which may be anything, and is only read.
        let expected = if path.starts_with("/v1/models/") { 405 } else { 404 };
        assert_eq!((told.status, nobody.status), (expected, expected), "{path} {told:?} {nobody:?}");
        assert_eq!(told.code(), nobody.code(), "{path}");
    }
    assert_eq!(upstream.requests(), 0);
}

#[test]
fn t4_t11_every_bad_credential_gets_one_answer_and_none_is_written_down() {
    let (gateway, _upstream) = recorded();
    let long = "k".repeat(20_000);
    let hostile = [
        "unknown",
        "marker'--",
        "marker\" OR 1=1",
        "marker;DROP TABLE keys",
        "marker{{7*7}}",
        "${jndi:marker}",
        "../../marker",
        "marker%0d%0aX: y",
        "<script>marker",
        "marker\u{e9}\u{202e}",
        &ACME[..ACME.len() - 1],
        &long,
        "null",
        "undefined",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtYXJrZXIifQ.",
    ];
    let ask = |key: &str| {
        let answer = gateway.raw(&format!(
            "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        ));
        let request_id = answer.header("x-request-id").unwrap().to_owned();
        let headers: Vec<String> = answer
            .headers
            .lines()
            .filter(|line| !line.starts_with("date:") && !line.starts_with("x-request-id:"))
            .map(ToOwned::to_owned)
            .collect();
        (answer.status, answer.body.replace(&request_id, "ID"), headers)
    };
    let first = ask("unknown");
    assert_eq!(first.0, 401);
    for key in hostile {
        assert_eq!(ask(key), first, "{key}");
    }
    let metrics = gateway.admin_get("/metrics").body;
    let stderr = gateway.stderr();
    for text in [metrics, stderr] {
        assert!(!text.contains("marker"), "{text}");
    }
    // Of keys that cannot stand in a header, nothing is read at all.
    for key in ["a\0b", "a\rb", "a\nb"] {
        let request =
            format!("GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n\r\n");
        let answers = talk(gateway.port, request.as_bytes(), Duration::from_millis(500));
        assert_eq!(statuses(&answers), [400], "{key:?}");
    }
    assert!(!GLOBEX.is_empty());
}

#[test]
fn t12_names_that_clients_make_up_make_no_series() {
    let gateway = Gateway::start().watched();
    let series = || gateway.admin_get("/metrics").body.lines().count();
    for n in 0..20 {
        assert_eq!(gateway.chat(ACME, &chat("hi", "").replace("gpt-5", &format!("warm-{n}"))).status, 404);
    }
    let before = series();
    let names = asked_for("TOLLGATE_NAMES", 1000);
    for begin in (0..names).step_by(500) {
        let mut socket = gateway.connect();
        let mut requests = String::new();
        for n in begin..names.min(begin + 500) {
            let body = chat("hi", &tools(&[&format!("tool_{n}")])).replace("gpt-5", &format!("made-up-{n}"));
            let close = if n + 1 == names.min(begin + 500) { "connection: close\r\n" } else { "" };
            write!(requests, "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: {ACME}\r\n{close}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
        }
        socket.write_all(requests.as_bytes()).unwrap();
        let (text, _) = crate::fault::read_until_end(&mut socket, Duration::from_secs(20));
        assert_eq!(statuses(&text).len(), names.min(begin + 500) - begin);
    }
    assert!(series() <= before + 5, "{before} -> {}", series());
}

/// T9: an MCP server that the provider is to call is used by rule only, whatever its URL.
#[test]
fn t9_a_url_in_a_tool_is_used_by_rule_only() {
    let tenants = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools:
      - allow: builtin__mcp
        when: args.server_url.startsWith(\"https://mcp.acme.example/\")
";
    let gateway = Gateway::with(tenants, "").watched();
    let ask = |url: &str| {
        let tool = format!(
            r#","tools":[{{"type":"mcp","server_label":"x","server_url":"{url}","require_approval":"never"}}]"#
        );
        let body = format!(r#"{{"model":"gpt-5","input":"hi"{tool}}}"#);
        gateway.post("/v1/responses", ACME, &body);
        gateway.seen().to_string().contains(url)
    };
    assert!(ask("https://mcp.acme.example/v1"));
    for url in
        ["https://evil.example/", "http://169.254.169.254/latest", "https://mcp.acme.example.evil.example/"]
    {
        assert!(!ask(url), "{url}");
    }
}

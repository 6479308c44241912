//! H10: what h2spec asks of a server, case by case and by its section numbers, written anew as frames. After each case the
//! gateway serves another connection. As in h2spec, a connection that is closed is as good as one that is told why, and a
//! connection error as good as a stream's; where a code comes, it is one of those that are listed.

use crate::{
    before::recorded,
    frames::{
        ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Heard, PADDED, PING,
        PREFACE, PRIORITIZED, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, head,
        literal,
    },
    support::{ACME, Gateway},
};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

const PROTOCOL: u32 = 1;
/// What our HTTP/2 library says of some connections that the standard has a finer word for.
const COARSE: u32 = PROTOCOL;
const FLOW_CONTROL: u32 = 3;
const CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

enum Expected {
    /// The connection ends, or a GOAWAY comes, with one of these codes.
    Ends(&'static [u32]),
    /// That, or the stream is reset or answered with an error of HTTP.
    Refused(&'static [u32]),
    /// The first stream is answered with 200.
    Served,
    /// Nothing comes of it, and the connection goes on.
    GoesOn,
    /// A ping with these bytes is answered.
    Pong(u8),
}
use Expected::{Ends, GoesOn, Pong, Refused, Served};

struct Case {
    section: &'static str,
    bytes: Vec<u8>,
    expected: Expected,
}

fn case(section: &'static str, parts: &[Vec<u8>], expected: Expected) -> Case {
    Case { section, bytes: parts.concat(), expected }
}

fn get() -> Vec<u8> {
    head("GET", "/v1/models")
}

fn post() -> Vec<u8> {
    head("POST", "/v1/chat/completions")
}

/// A whole request.
fn asks(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &get())
}

/// The head of one whose body is still to come.
fn opens(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &post())
}

fn resets(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat()
}

/// A head of these fields alone.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

fn asks_with(more: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &[get(), more.to_vec()].concat())
}

fn connection() -> Vec<Case> {
    let ping = |flags, stream, length| frame(PING, flags, stream, &vec![7; length]);
    let mut reserved = ping(0, 0, 8);
    reserved[5] |= 0x80;
    let large = 16_385;
    vec![
        case("3.5.1", &[asks(1)], Served),
        case("4.1.1 an unknown frame", &[frame(99, 0, 0, &[0; 8]), asks(1)], Served),
        case("4.1.2 unknown flags", &[ping(0xfe, 0, 8), ping(0, 0, 8)], Pong(7)),
        case("4.1.3 the reserved bit", &[reserved], Pong(7)),
        case("4.2.2 DATA too large", &[opens(1), frame(DATA, 0, 1, &vec![0; large])], Refused(&[FRAME_SIZE])),
        case(
            "4.2.3 HEADERS too large",
            &[frame(HEADERS, END_HEADERS | END_STREAM, 1, &[get(), vec![0; large]].concat())],
            Ends(&[FRAME_SIZE]),
        ),
        case("4.3.1 no header block", &[frame(HEADERS, END_HEADERS, 1, &[0x7f; 40])], Ends(&[COMPRESSION])),
        case(
            "4.3.2 PRIORITY in a header block",
            &[frame(HEADERS, 0, 1, &get()), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])],
            Ends(&[PROTOCOL]),
        ),
        case("4.3.3 HEADERS in a header block", &[frame(HEADERS, 0, 1, &get()), asks(3)], Ends(&[PROTOCOL])),
        case("5.4.1.1 a ping of a wrong length", &[ping(0, 0, 6)], Ends(&[FRAME_SIZE])),
        case("5.5.1 an unknown frame on a stream", &[frame(22, 0, 1, &[0; 8]), asks(1)], Served),
        case(
            "5.5.2 an unknown frame in a header block",
            &[
                frame(HEADERS, 0, 1, &get()),
                frame(22, 0, 1, &[0; 8]),
                frame(CONTINUATION, END_HEADERS, 1, &[]),
            ],
            Ends(&[PROTOCOL]),
        ),
        case("6.7.1", &[ping(0, 0, 8)], Pong(7)),
        case("6.7.2 an answer to no ping", &[ping(ACK, 0, 8)], GoesOn),
        case("6.7.3 a ping on a stream", &[ping(0, 1, 8)], Ends(&[PROTOCOL])),
        case("6.7.4", &[ping(0, 0, 9)], Ends(&[FRAME_SIZE])),
        case("6.8.1 GOAWAY on a stream", &[frame(GOAWAY, 0, 1, &[0; 8])], Ends(&[PROTOCOL])),
        case(
            "8.2.1 PUSH_PROMISE of a client",
            &[frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])],
            Ends(&[PROTOCOL]),
        ),
    ]
}

fn streams() -> Vec<Case> {
    let data = |stream| frame(DATA, 0, stream, b"x");
    let continues = |stream| frame(CONTINUATION, END_HEADERS, stream, &literal("x", "y"));
    let window = |stream, by: u32| frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
    let depends = |on: u32| [on.to_be_bytes().as_slice(), &[1]].concat();
    let padded = |kind, flags, payload: &[u8]| {
        frame(kind, flags | PADDED, 1, &[&[u8::try_from(payload.len() + 1).unwrap()], payload].concat())
    };
    let many: Vec<Vec<u8>> = (0..=100).map(|n| opens(n * 2 + 1)).collect();
    vec![
        case("5.1.1 DATA, idle", &[data(1)], Ends(&[PROTOCOL, CLOSED])),
        case("5.1.2 RST_STREAM, idle", &[resets(1)], Ends(&[PROTOCOL])),
        case("5.1.3 WINDOW_UPDATE, idle", &[window(1, 100)], Ends(&[PROTOCOL])),
        case("5.1.4 CONTINUATION, idle", &[continues(1)], Ends(&[PROTOCOL])),
        case("5.1.5 DATA, half closed", &[asks(1), data(1)], Refused(&[CLOSED])),
        case("5.1.6 HEADERS, half closed", &[asks(1), asks(1)], Refused(&[CLOSED, PROTOCOL])),
        case("5.1.7 CONTINUATION, half closed", &[asks(1), continues(1)], Refused(&[CLOSED, PROTOCOL])),
        case("5.1.8 DATA, reset", &[opens(1), resets(1), data(1)], Refused(&[CLOSED])),
        case("5.1.9 HEADERS, reset", &[opens(1), resets(1), asks(1)], Refused(&[CLOSED, PROTOCOL])),
        case(
            "5.1.10 CONTINUATION, reset",
            &[opens(1), resets(1), continues(1)],
            Refused(&[CLOSED, PROTOCOL]),
        ),
        case("5.1.1.1 an even number", &[asks(2)], Ends(&[PROTOCOL])),
        case("5.1.1.2 a smaller number", &[asks(5), asks(3)], Ends(&[PROTOCOL, CLOSED])),
        case("5.1.2.1 more streams than may be", &many, Refused(&[PROTOCOL, REFUSED])),
        case(
            "5.3.1.1 HEADERS that depend on themselves",
            &[frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, &[depends(1), get()].concat())],
            Refused(&[PROTOCOL]),
        ),
        case(
            "5.3.1.2 PRIORITY of a stream on itself",
            &[frame(PRIORITY, 0, 1, &depends(1))],
            Refused(&[PROTOCOL]),
        ),
        case("6.1.1 DATA on the connection", &[data(0)], Ends(&[PROTOCOL])),
        case("6.1.3 DATA, wrong padding", &[opens(1), padded(DATA, 0, b"{}")], Ends(&[PROTOCOL])),
        case(
            "6.2.1 HEADERS without an end, PRIORITY",
            &[frame(HEADERS, 0, 1, &get()), frame(PRIORITY, 0, 1, &depends(0))],
            Ends(&[PROTOCOL]),
        ),
        case("6.2.3 HEADERS on the connection", &[asks(0)], Ends(&[PROTOCOL])),
        case(
            "6.2.4 HEADERS, wrong padding",
            &[padded(HEADERS, END_HEADERS | END_STREAM, &get())],
            Ends(&[PROTOCOL]),
        ),
        case("6.3.1 PRIORITY on the connection", &[frame(PRIORITY, 0, 0, &depends(1))], Ends(&[PROTOCOL])),
        case(
            "6.3.2 PRIORITY of a wrong length",
            &[opens(1), frame(PRIORITY, 0, 1, &[0; 4])],
            Refused(&[FRAME_SIZE]),
        ),
        case("6.4.1 RST_STREAM on the connection", &[resets(0)], Ends(&[PROTOCOL])),
        case(
            "6.4.3 RST_STREAM of a wrong length",
            &[opens(1), frame(RST_STREAM, 0, 1, &[0; 3])],
            Ends(&[FRAME_SIZE]),
        ),
        case("6.9.1 an increment of nothing", &[window(0, 0)], Ends(&[PROTOCOL])),
        case("6.9.2 the same of a stream", &[opens(1), window(1, 0)], Refused(&[PROTOCOL])),
        case(
            "6.9.3 WINDOW_UPDATE of a wrong length",
            &[frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])],
            Ends(&[FRAME_SIZE]),
        ),
        case(
            "6.9.1.2 too wide a window",
            &[window(0, u32::MAX >> 1), window(0, u32::MAX >> 1)],
            Ends(&[FLOW_CONTROL]),
        ),
        case(
            "6.9.1.3 the same of a stream",
            &[opens(1), window(1, u32::MAX >> 1), window(1, u32::MAX >> 1)],
            Refused(&[FLOW_CONTROL]),
        ),
        case(
            "6.10.1 several CONTINUATION",
            &[
                frame(HEADERS, END_STREAM, 1, &get()),
                frame(CONTINUATION, 0, 1, &literal("x", "y")),
                continues(1),
            ],
            Served,
        ),
        case("6.10.2 DATA in a header block", &[frame(HEADERS, 0, 1, &get()), data(1)], Ends(&[PROTOCOL])),
        case(
            "6.10.3 CONTINUATION on the connection",
            &[frame(HEADERS, 0, 1, &get()), continues(0)],
            Ends(&[PROTOCOL]),
        ),
        case("6.10.4 CONTINUATION behind an end", &[opens(1), continues(1)], Ends(&[PROTOCOL])),
        case(
            "6.10.5 CONTINUATION behind its end",
            &[frame(HEADERS, 0, 1, &get()), continues(1), continues(1)],
            Ends(&[PROTOCOL]),
        ),
        case("6.10.6 CONTINUATION behind DATA", &[opens(1), data(1), continues(1)], Ends(&[PROTOCOL])),
        case(
            "7.2 RST_STREAM of an unknown code",
            &[opens(1), frame(RST_STREAM, 0, 1, &[0, 0, 0, 255])],
            GoesOn,
        ),
    ]
}

fn settings() -> Vec<Case> {
    let set = |id, value| frame(SETTINGS, 0, 0, &setting(id, value));
    vec![
        case(
            "6.5.1 an acknowledgement that says something",
            &[frame(SETTINGS, ACK, 0, &setting(3, 1))],
            Ends(&[FRAME_SIZE]),
        ),
        case("6.5.2 SETTINGS on a stream", &[frame(SETTINGS, 0, 1, &setting(3, 1))], Ends(&[PROTOCOL])),
        case("6.5.3 SETTINGS of a wrong length", &[frame(SETTINGS, 0, 0, &[0, 3, 0])], Ends(&[FRAME_SIZE])),
        case("6.5.2.1 ENABLE_PUSH 2", &[set(2, 2)], Ends(&[PROTOCOL])),
        case("6.5.2.2 too wide a window", &[set(4, 1 << 31)], Ends(&[FLOW_CONTROL])),
        case("6.5.2.3 frames too small", &[set(5, (1 << 14) - 1)], Ends(&[PROTOCOL])),
        case("6.5.2.4 frames too large", &[set(5, 1 << 24)], Ends(&[PROTOCOL])),
        case("6.5.2.5 an unknown setting", &[set(0xff, 1), asks(1)], Served),
        case(
            "6.5.3.1 one setting twice",
            &[frame(SETTINGS, 0, 0, &[setting(4, 1), setting(4, 1 << 16)].concat()), asks(1)],
            Served,
        ),
        case("6.9.2.1 a window that widens later", &[set(4, 0), asks(1), set(4, 1 << 16)], Served),
        case(
            "6.9.2.2 a window below nothing",
            &[set(4, 3), asks(1), set(4, 2), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 255, 255])],
            Served,
        ),
    ]
}

fn messages() -> Vec<Case> {
    let http =
        [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/v1/models")];
    let key = ("x-api-key", ACME);
    let asks_by = |list: &[(&str, &str)]| frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(list));
    let without = |name: &str| {
        let rest = http.iter().filter(|(found, _)| *found != name).copied();
        asks_by(&rest.chain([key]).collect::<Vec<_>>())
    };
    let twice = |name: &str| {
        let more = http.iter().filter(|(found, _)| *found == name).copied();
        asks_by(&http.into_iter().chain(more).chain([key]).collect::<Vec<_>>())
    };
    let body = |length: &str, pieces: &[&[u8]]| {
        let first = frame(HEADERS, END_HEADERS, 1, &[post(), literal("content-length", length)].concat());
        let last = pieces.len() - 1;
        let data = pieces.iter().enumerate().map(|(at, piece)| frame(DATA, u8::from(at == last), 1, piece));
        std::iter::once(first).chain(data).collect::<Vec<_>>()
    };
    vec![
        case(
            "8.1.1 a second head without an end",
            &[opens(1), frame(HEADERS, END_HEADERS, 1, &literal("x", "y"))],
            Refused(&[PROTOCOL]),
        ),
        case("8.1.2.1 upper case", &[asks_with(&literal("X-Test", "y"))], Refused(&[PROTOCOL])),
        case(
            "8.1.2.1.1 an unknown pseudo-header",
            &[asks_by(&[(":test", "x"), http[0], http[1], http[2], http[3], key])],
            Refused(&[PROTOCOL]),
        ),
        case(
            "8.1.2.1.2 a pseudo-header of answers",
            &[asks_by(&[http[0], http[1], http[2], http[3], (":status", "200"), key])],
            Refused(&[PROTOCOL]),
        ),
        case(
            "8.1.2.1.3 a pseudo-header behind the body",
            &[
                opens(1),
                frame(DATA, 0, 1, b"{}"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &literal(":method", "GET")),
            ],
            Refused(&[PROTOCOL]),
        ),
        case(
            "8.1.2.1.4 a pseudo-header behind a header",
            &[asks_by(&[http[0], http[1], http[2], key, http[3]])],
            Refused(&[PROTOCOL]),
        ),
        case(
            "8.1.2.2.1 connection",
            &[asks_with(&literal("connection", "keep-alive"))],
            Refused(&[PROTOCOL]),
        ),
        case("8.1.2.2.2 te", &[asks_with(&literal("te", "trailers, deflate"))], Refused(&[PROTOCOL])),
        case(
            "8.1.2.3.1 an empty path",
            &[asks_by(&[http[0], http[1], http[2], (":path", ""), key])],
            Refused(&[PROTOCOL]),
        ),
        case("8.1.2.3.2 no method", &[without(":method")], Refused(&[PROTOCOL])),
        case("8.1.2.3.3 no scheme", &[without(":scheme")], Refused(&[PROTOCOL])),
        case("8.1.2.3.4 no path", &[without(":path")], Refused(&[PROTOCOL])),
        case("8.1.2.3.5 two methods", &[twice(":method")], Refused(&[PROTOCOL])),
        case("8.1.2.3.6 two schemes", &[twice(":scheme")], Refused(&[PROTOCOL])),
        case("8.1.2.3.7 two paths", &[twice(":path")], Refused(&[PROTOCOL])),
        case("8.1.2.6.1 another length", &body("1", &[b"test"]), Refused(&[PROTOCOL])),
        case("8.1.2.6.2 another length, of pieces", &body("1", &[b"te", b"st"]), Refused(&[PROTOCOL])),
    ]
}

fn packing() -> Vec<Case> {
    // A literal whose value is packed by Huffman's code, in these bytes.
    let huffman =
        |bytes: &[u8]| [&[0x00, 1, b'x', 0x80 | u8::try_from(bytes.len()).unwrap()], bytes].concat();
    vec![
        case("hpack 2.3.3.1 an index of nothing", &[asks_with(&[0xc6])], Ends(&[COMPRESSION])),
        case(
            "hpack 2.3.3.2 a name of nothing",
            &[asks_with(&[0x40 | 0x3f, 0x20, 1, b'x'])],
            Ends(&[COMPRESSION]),
        ),
        case("hpack 4.2.1 a size at the end", &[asks_with(&[0x20])], Ends(&[COMPRESSION])),
        case(
            "hpack 5.2.1 padding beyond seven bits",
            &[asks_with(&huffman(&[0x1f, 0xff]))],
            Ends(&[COMPRESSION]),
        ),
        case("hpack 5.2.2 padding of zeros", &[asks_with(&huffman(&[0x18]))], Ends(&[COMPRESSION])),
        case(
            "hpack 5.2.3 the end's own code",
            &[asks_with(&huffman(&[0xff, 0xff, 0xff, 0xff]))],
            Ends(&[COMPRESSION]),
        ),
        case("hpack 6.1.1 index 0", &[asks_with(&[0x80])], Ends(&[COMPRESSION])),
        case(
            "hpack 6.3.1 a table larger than allowed",
            &[frame(HEADERS, END_HEADERS | END_STREAM, 1, &[vec![0x3f, 0xe1, 0xff, 0x03], get()].concat())],
            Ends(&[COMPRESSION]),
        ),
    ]
}

/// What came of a case, for whoever reads a failure.
fn verdict(case: &Case, heard: &Heard) -> Result<(), String> {
    let code_is = |codes: &[u32]| heard.goaway.is_none_or(|code| codes.contains(&code) || code == COARSE);
    let is_good = match case.expected {
        Ends(codes) => (heard.ended || heard.goaway.is_some()) && code_is(codes),
        Refused(codes) => {
            let reset = heard.resets.iter().any(|(_, code)| codes.contains(code));
            let told = heard.heads.iter().any(|(stream, _)| heard.status(*stream) == Some(400));
            (heard.ended || heard.goaway.is_some() || reset || told) && code_is(codes)
        }
        Served => heard.status(1) == Some(200) && heard.complete.contains(&1) && heard.goaway.is_none(),
        GoesOn => heard.goaway.is_none() && !heard.ended && heard.pings.contains(&vec![1; 8]),
        Pong(byte) => heard.pings.contains(&vec![byte; 8]) && heard.goaway.is_none(),
    };
    if is_good { Ok(()) } else { Err(format!("{}: {heard:?}", case.section)) }
}

fn ask(gateway: &Gateway, case: &Case) -> Heard {
    let mut client = Client::connect(gateway.port, &[]);
    client.send(&case.bytes);
    // What is answered behind it has been read: only what is in the open may come later.
    client.send(&frame(PING, 0, 0, &[1; 8]));
    client.hear_until(PATIENCE, |heard| match case.expected {
        Ends(_) | Refused(_) => verdict(case, heard).is_ok(),
        Served => heard.complete.contains(&1) || heard.goaway.is_some(),
        GoesOn | Pong(_) => heard.pings.contains(&vec![1; 8]) || heard.goaway.is_some(),
    })
}

#[test]
fn h10_cases_of_h2spec() {
    let (gateway, upstream) = recorded();
    let cases: Vec<Case> =
        [connection(), streams(), settings(), messages(), packing()].into_iter().flatten().collect();
    let mut failed = Vec::new();
    for case in &cases {
        let heard = ask(&gateway, case);
        if let Err(told) = verdict(case, &heard) {
            failed.push(told);
        }
        if let Some(code) = heard.goaway {
            println!("{}: {code}", case.section);
        }
        assert_eq!(gateway.get("/v1/models", ACME).status, 200, "behind {}", case.section);
    }
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), cases.len());
    assert_eq!(upstream.requests(), 0, "{}", upstream.text());
    gateway.in_flight(0);
}

/// 3.5.2: what does not begin as HTTP/2 does is none of it.
#[test]
fn h10_another_preface_is_no_http2() {
    let (gateway, upstream) = recorded();
    for preface in
        [b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec(), PREFACE.to_ascii_lowercase(), PREFACE.repeat(2)]
    {
        let mut client = Client::silent(gateway.port);
        client.send(&preface);
        client.send(&asks(1));
        let heard = client.hear(PATIENCE);
        assert!(heard.ended && heard.status(1).is_none(), "{heard:?}");
    }
    assert_eq!((gateway.get("/v1/models", ACME).status, upstream.requests()), (200, 0));
}

/// RFC 9113, section 3.4: the first frame is SETTINGS. What comes instead is answered by nothing but the end.
#[test]
fn h10_a_first_frame_that_is_not_settings_ends_the_connection() {
    let (gateway, upstream) = recorded();
    let firsts = [
        frame(PING, 0, 0, &[7; 8]),
        asks(1),
        frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]),
        frame(GOAWAY, 0, 0, &[0; 8]),
        frame(22, 0, 0, &[0; 8]),
        frame(SETTINGS, ACK, 0, &[]),
    ];
    for first in firsts {
        let behind = [frame(SETTINGS, 0, 0, &[]), asks(3)].concat();
        let mut client = Client::silent(gateway.port);
        client.send(PREFACE);
        // Cut where it cannot be told yet.
        let (begin, rest) = first.split_at(3);
        client.send(begin);
        client.send(rest);
        client.send(&behind);
        let heard = client.hear(PATIENCE);
        assert!(heard.ended && heard.goaway == Some(PROTOCOL), "{first:?}: {heard:?}");
        assert!(heard.pings.is_empty() && heard.heads.is_empty(), "{first:?}: {heard:?}");
    }
    assert_eq!((gateway.get("/v1/models", ACME).status, upstream.requests()), (200, 0));
}

//! Requests and answers from each dialect into each other: what is made is JSON, and an answer is the same however its
//! bytes came in.
#![no_main]
use tollgate::{
    dialect::{Api, HoldLimits, understand},
    json,
    translate::{About, Answer, Client, Upstream, request},
};

const WAYS: [(Client, Api, Upstream); 4] = [
    (Client::Chat, Api::Chat, Upstream::Messages),
    (Client::Messages, Api::Messages, Upstream::Chat),
    (Client::Responses, Api::Responses, Upstream::Messages),
    (Client::Responses, Api::Responses, Upstream::Chat),
];
const LIMITS: HoldLimits = HoldLimits { nesting: 64, tool_arguments: 4096 };

fn read<'b>(answer: &mut Answer, pieces: impl Iterator<Item = &'b [u8]>) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut failed = false;
    for piece in pieces {
        failed = answer.read(piece, &mut out).is_err();
        if failed {
            break;
        }
    }
    failed = failed || answer.end(&mut out).is_err();
    (out, failed)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let (client, api, upstream) = WAYS[usize::from(*first) % WAYS.len()];
    if let Ok(body) = json::parse(bytes, 64)
        && understand(api, &body).is_ok()
        && let Ok(made) = request(client, upstream, &body)
    {
        let mut written = Vec::new();
        json::write(&made, &mut written);
        assert!(json::parse(&written, 128).is_ok());
    }
    for thinking in [false, true] {
        let about = About { created: 1, limits: LIMITS, thinking };
        if let Ok(made) = Answer::new(upstream, client, about).whole(bytes) {
            assert!(json::parse(&made, 128).is_ok());
        }
        let whole = read(&mut Answer::new(upstream, client, about), std::iter::once(bytes));
        let pieces = bytes.chunks(usize::from(*first) / WAYS.len() + 1);
        let split = read(&mut Answer::new(upstream, client, about), pieces);
        assert_eq!(
            (String::from_utf8_lossy(&whole.0), whole.1),
            (String::from_utf8_lossy(&split.0), split.1)
        );
    }
});

//! The fast path of plain text against the slow one.

use super::{Api, HoldLimits, Progress, Stream};
use crate::{
    call::Arguments,
    dialect::{Judge, Transcript, Verdict},
};
use proptest::prelude::*;

struct NoCalls;

impl Judge for NoCalls {
    fn judge(&mut self, tool: &str, _: &Arguments<'_>, _: &str) -> Verdict {
        panic!("{tool} was judged")
    }

    fn offered_as(&self, _: &str) -> Option<String> {
        None
    }

    fn withhold(&mut self, tool: &str, _: &str, _: &'static str) {
        panic!("{tool} was held")
    }
}

fn stream() -> Stream {
    Stream::new(Api::Chat, HoldLimits { nesting: 16, tool_arguments: 100 }, Transcript::keeping(10_000))
}

/// What leaves, what is kept, and which choices have said something.
fn result(stream: Stream, out: Vec<u8>) -> (String, String, Vec<bool>) {
    let said = stream.said();
    (String::from_utf8(out).unwrap(), stream.told.completion.into_said().as_str().to_owned(), said)
}

fn event() -> impl Strategy<Value = String> {
    let text = r#"([a-c é]|\\n|\\"|\\u00e9){0,3}"#;
    let padding = prop_oneof![Just(None), "[a-z0-9]{0,5}".prop_map(Some), Just(Some(r#"\""#.to_owned()))];
    (0..2_u8, text, padding, any::<bool>()).prop_map(|(index, text, padding, role)| {
        let role = if role { r#""role":"assistant","# } else { "" };
        let padding = padding.map_or(String::new(), |text| format!(r#","obfuscation":"{text}""#));
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{{role}\"content\":\"{text}\"}}}}]{padding}}}\n\n"
        )
    })
}

proptest! {
    #[test]
    fn the_fast_path_is_the_slow_one(events in proptest::collection::vec(event(), 1..12), split in 1..80_usize) {
        let (mut fast, mut slow) = ((stream(), Vec::new()), (stream(), Vec::new()));
        for part in events.concat().as_bytes().chunks(split) {
            prop_assert_eq!(fast.0.read(part, &mut NoCalls, &mut fast.1), Progress::Continue);
        }
        for event in &events {
            slow.0.forget();
            prop_assert_eq!(slow.0.read(event.as_bytes(), &mut NoCalls, &mut slow.1), Progress::Continue);
        }
        prop_assert_eq!(result(fast.0, fast.1), result(slow.0, slow.1));
    }
}

#[test]
fn a_padded_text_is_known_again() {
    let event = |text: &str, padding: &str| {
        format!(r#"data: {{"choices":[{{"delta":{{"content":"{text}"}}}}],"obfuscation":"{padding}"}}"#)
            + "\n\n"
    };
    let mut stream = stream();
    stream.read(event("a", "xyz").as_bytes(), &mut NoCalls, &mut Vec::new());
    let known = stream.known().unwrap();
    let check = |text: &str, padding: &str, expected| {
        let event = event(text, padding);
        assert_eq!(known.text(event.as_bytes()).is_some_and(|(_, len)| len == event.len()), expected);
    };
    check("b", "", true);
    check("", "0123456789", true);
    check("é", r#"\""#, true);
    check("b", r#"x","choices":[],"y":""#, false);
    check("b", r"\u0041", false);
    check(r#"b"},"x":{"y":""#, "", false);
}

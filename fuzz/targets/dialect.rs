//! A denied call's arguments come out of no stream, whatever the upstream writes, at every split.
#![no_main]
use tollgate::{
    call::Arguments,
    dialect::{Api, HoldLimits, Judge, Progress, Stream, Transcript, Verdict, notice, understand},
    json,
};

struct Denies;

impl Judge for Denies {
    fn judge(&mut self, tool: &str, _: &Arguments<'_>, _: &str) -> Verdict {
        Verdict::Remove { notice: notice(tool, "no") }
    }

    fn offered_as(&self, _: &str) -> Option<String> {
        None
    }

    fn withhold(&mut self, _: &str, _: &str, _: &'static str) {}
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let api = [Api::Chat, Api::Messages, Api::Responses][usize::from(first % 3)];
    if let Ok(body) = json::parse(bytes, 64) {
        let _ = understand(api, &body);
    }
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let limits = HoldLimits { nesting: 64, tool_arguments: 4096 };
        let mut stream = Stream::new(api, limits, Transcript::keeping(1 << 16));
        let mut out = Vec::new();
        for piece in pieces {
            if !matches!(stream.read(piece, &mut Denies, &mut out), Progress::Continue) {
                break;
            }
        }
        out
    };
    let whole = read(&mut std::iter::once(bytes));
    let split = read(&mut bytes.chunks(usize::from(first / 3).max(1)));
    assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&split));
});

//! Every dialect, its requests, its answers and its streams: nothing of a denied call comes out, however the bytes came in.
#![no_main]
use tollgate::{
    call::Arguments,
    dialect::{
        Api, HoldLimits, Judge, Kept, Progress, Stream, Told, Transcript, Verdict, notice, prompt, restrict,
        understand, whole,
    },
    json,
};

const APIS: [Api; 7] = [
    Api::Chat,
    Api::Messages,
    Api::Responses,
    Api::Completions,
    Api::Embeddings,
    Api::Moderations,
    Api::CountTokens,
];
const LIMITS: HoldLimits = HoldLimits { nesting: 64, tool_arguments: 4096 };

/// Denies every call, and counts them.
#[derive(Default)]
struct Denies(usize);

impl Judge for Denies {
    fn judge(&mut self, tool: &str, _: &Arguments<'_>, _: &str) -> Verdict {
        self.0 += 1;
        Verdict::Remove { notice: notice(tool, "no") }
    }

    fn offered_as(&self, _: &str) -> Option<String> {
        None
    }

    fn withhold(&mut self, _: &str, _: &str, _: &'static str) {
        self.0 += 1;
    }
}

/// What comes out of a stream, and how many calls were in it.
fn read<'b>(api: Api, pieces: impl Iterator<Item = &'b [u8]>) -> (Vec<u8>, usize) {
    let (mut judge, mut out) = (Denies::default(), Vec::new());
    let mut stream = Stream::new(api, LIMITS, Transcript::keeping(1 << 16));
    let mut progress = Progress::Continue;
    for piece in pieces {
        progress = stream.read(piece, &mut judge, &mut out);
        if progress != Progress::Continue {
            break;
        }
    }
    if progress == Progress::Continue {
        stream.end(&mut judge, &mut out);
    }
    (out, judge.0)
}

fn request(api: Api, bytes: &[u8]) {
    let Ok(body) = json::parse(bytes, 64) else { return };
    let Ok(request) = understand(api, &body) else { return };
    let kept: Vec<Kept> = request.offers.iter().map(|_| Kept::Out).collect();
    let restricted = restrict(api, &body, &kept);
    let _ = prompt(api, &body, bytes.len());
    let mut written = Vec::new();
    json::write(&restricted, &mut written);
    assert!(json::parse(&written, 80).is_ok());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let api = APIS[usize::from(*first) % APIS.len()];
    request(api, bytes);

    let mut judge = Denies::default();
    if let Ok(Some(answer)) = whole(api, bytes, LIMITS, &mut Told::default(), &mut judge) {
        let mut judge = Denies::default();
        let again = whole(api, &answer, LIMITS, &mut Told::default(), &mut judge);
        assert!(again.is_ok() && judge.0 == 0, "a call is left: {}", String::from_utf8_lossy(&answer));
    }

    let (out, _) = read(api, std::iter::once(bytes));
    let (split, _) = read(api, bytes.chunks(usize::from(*first) / APIS.len() + 1));
    assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&split));
    let (_, calls) = read(api, std::iter::once(&out[..]));
    assert_eq!(calls, 0, "a call is left: {}", String::from_utf8_lossy(&out));
});

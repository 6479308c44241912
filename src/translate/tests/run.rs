//! A run of an answer through the translator, in pieces, as the gateway does it.

use super::{About, Answer, Client, Upstream};
use crate::{dialect::HoldLimits, refusal::Refusal, usage::Usage};

pub(super) const LIMITS: HoldLimits = HoldLimits { nesting: 32, tool_arguments: 4096 };
pub(super) const ABOUT: About = About { created: 1_800_000_000, limits: LIMITS, thinking: true };

/// An upstream's API and a client's.
pub(super) type Pair = (Upstream, Client);

pub(super) const PAIRS: [Pair; 4] = [
    (Upstream::Chat, Client::Messages),
    (Upstream::Messages, Client::Chat),
    (Upstream::Chat, Client::Responses),
    (Upstream::Messages, Client::Responses),
];

/// The pairs with this upstream.
pub(super) fn pairs_of(upstream: Upstream) -> impl Iterator<Item = Pair> {
    PAIRS.into_iter().filter(move |pair| pair.0 == upstream)
}

/// What came of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) out: Vec<u8>,
    pub(super) usage: Option<Usage>,
    pub(super) failed: Option<Refusal>,
}

impl Run {
    /// What leaves, and behind it, as a comment, why it ends there.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8(self.out.clone()).expect("UTF-8 leaves");
        match &self.failed {
            None => text,
            Some(refusal) => format!("{text}: {}\n\n", refusal.message()),
        }
    }
}

/// Reads a stream in these pieces, to its end or until it fails.
pub(super) fn run<'p>(pair: Pair, about: About, pieces: impl IntoIterator<Item = &'p [u8]>) -> Run {
    let mut answer = Answer::new(pair.0, pair.1, about);
    let mut out = Vec::new();
    let mut failed = None;
    let mut came = 0;
    for piece in pieces {
        came += piece.len();
        failed = answer.read(piece, &mut out).err();
        // A Responses answer is held, with what its items take beside their text: a KiB is counted for one.
        assert!(answer.bytes_held() <= 16 * came + 2048, "{} bytes held of {came}", answer.bytes_held());
        if failed.is_some() {
            let before = out.len();
            assert_eq!(answer.read(b"data: [DONE]\n\n", &mut out), Ok(()));
            assert_eq!(answer.end(&mut out), Ok(()));
            assert_eq!(out.len(), before, "something behind a failure");
            break;
        }
    }
    if failed.is_none() {
        failed = answer.end(&mut out).err();
    }
    Run { out, usage: answer.usage(), failed }
}

/// The stream in one piece.
pub(super) fn once(pair: Pair, input: &[u8]) -> Run {
    run(pair, ABOUT, [input])
}

//! What the OpenAI dialect promises, as laws over golden streams, random plans and arbitrary bytes.

mod client;
mod golden;
mod known;
mod laws;
mod mutations;
mod plan;
mod requests;
mod shapes;

use super::{restrict, understand, whole};
use crate::dialect::{
    Api, HoldLimits, Progress, Stream, notice,
    tests::{
        golden::{Goldens, both_ways},
        script::{self, Reading, Run, Script},
    },
};

const GOLDEN: Goldens = Goldens { api: Api::Chat, dir: "src/dialect/openai/tests/golden", count: 50 };

/// A stream of Chat Completions in these pieces.
fn run<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, script: Script) -> Run {
    script::run(Api::Chat, pieces, script, Reading::Plain)
}

/// The stream in one piece, judged by name.
fn once(input: &[u8]) -> Run {
    script::once(Api::Chat, input)
}

/// The stream event by event, with and without the fast path.
fn fast_and_slow(input: &[u8]) -> [Run; 2] {
    both_ways(Api::Chat, input, &Script::default())
}

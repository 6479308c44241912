//! What the Messages dialect promises, as laws over golden streams, random plans and arbitrary bytes.

mod client;
mod golden;
mod mutations;
mod plan;
mod requests;

use crate::dialect::{
    Api,
    tests::{
        golden::Goldens,
        script::{self, Run},
        wire::{Keys, folded},
    },
};

const GOLDEN: Goldens = Goldens { api: Api::Messages, dir: "src/dialect/anthropic/tests/golden", count: 50 };

/// Every call that a client sees was released by the judge, with this name and this input, and as often; and nothing
/// ran at the provider that was not released too.
#[track_caller]
fn were_released(seen: &client::Seen, run: &Run) {
    let mut released: Vec<(&str, &str)> =
        run.log.iter().filter_map(|ruling| Some((&*ruling.tool, ruling.released()?))).collect();
    let read = |text: &str| serde_json::from_str(if text.is_empty() { "{}" } else { text }).ok().map(folded);
    for (name, input) in seen.calls() {
        let same = |text: &str| text == input || read(text).is_some() && read(text) == read(input);
        let at = released.iter().position(|(known, text)| *known == name && same(text));
        let at = at.unwrap_or_else(|| panic!("{name} {input} was not released: {run:?}"));
        released.remove(at);
    }
    for tool in seen.hosted() {
        let at = released.iter().position(|(released, _)| *released == tool);
        let at = at.unwrap_or_else(|| panic!("{tool} was not released: {run:?}"));
        released.remove(at);
    }
}

/// The same of a stream, however the client reads keys.
#[track_caller]
fn only_released(run: &Run) {
    for keys in [Keys::Exact, Keys::Folded] {
        were_released(&client::read_stream(&run.out, keys), run);
    }
}

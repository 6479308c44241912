//! What the Responses dialect promises, as laws over golden streams, random plans and arbitrary bytes.

mod client;
mod golden;
mod mutations;
mod plan;
mod requests;

use crate::dialect::{
    Api,
    tests::{
        golden::Goldens,
        script::{self, FORCED, Run},
        wire::{Keys, folded},
    },
};
use client::By;
use serde_json::Value;

const GOLDEN: Goldens = Goldens { api: Api::Responses, dir: "src/dialect/responses/tests/golden", count: 70 };

/// Whether a call of these arguments is one that was released with those.
fn same(text: Option<&str>, released: &str) -> bool {
    let read = |text: &str| serde_json::from_str(text).ok().map(folded);
    match text {
        None => true,
        // A rewritten call of free text carries the forced `input` alone.
        Some("forced") if released == FORCED => true,
        // What stands as an object in its item is no text.
        Some(text) => {
            text == released
                || (text.starts_with(['{', '[']) && read(text).is_some() && read(text) == read(released))
        }
    }
}

/// Every one of these calls was released by the judge, with this name and these arguments, and as often.
#[track_caller]
fn were_released(items: &[Value], run: &Run) {
    let mut released: Vec<(&str, &str)> =
        run.log.iter().filter_map(|ruling| Some((&*ruling.tool, ruling.released()?))).collect();
    for item in items {
        let Some((tool, text)) = client::call(item) else { continue };
        // A tool of the provider's may have been offered by a longer name.
        let named = |known: &str| {
            known == tool
                || (known.starts_with(&tool) && text.is_none())
                || tool == "computer" && known.starts_with("computer")
                // Where no shell of the provider's was offered, it is the client's, whatever the item says.
                || tool == "builtin__shell" && known == "shell"
        };
        let at =
            released.iter().position(|(known, released)| named(known) && same(text.as_deref(), released));
        let at = at.unwrap_or_else(|| panic!("{item} was not released: {run:?}"));
        released.remove(at);
    }
}

/// Every call that a client sees was released, in each of its copies. However the client reads keys, and however it
/// finds items.
#[track_caller]
fn only_released(run: &Run) {
    for (keys, by) in [(Keys::Exact, By::Index), (Keys::Exact, By::Id), (Keys::Folded, By::Index)] {
        let seen = client::read_stream(&run.out, keys, by);
        // What began and has not ended holds no arguments yet.
        let has_ended = |index: &u64| seen.ended.iter().any(|(ended, _)| ended == index);
        let found = |item: &Value| by == By::Index || item["id"].is_string();
        let whole = seen.pieces.iter().filter(|(index, item)| has_ended(index) && found(item));
        were_released(&whole.map(|(_, item)| item.clone()).collect::<Vec<_>>(), run);
        were_released(&seen.items(), run);
        were_released(seen.output(), run);
    }
}

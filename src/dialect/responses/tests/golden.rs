//! The golden streams of Responses: what leaves of them, how they are read, and what a cut does.

use super::{By, GOLDEN, Keys, Run, client, only_released, script};
use crate::dialect::{
    Api, notice,
    tests::{golden::regular, script::Script, wire::text},
};
use serde_json::{Value, json};

#[test]
fn golden_streams_leave_as_expected() {
    GOLDEN.leave_as_expected();
}

#[test]
fn every_split_reads_the_same() {
    GOLDEN.read_the_same_however_they_are_split();
}

fn seen(run: &Run) -> client::Seen {
    client::read_stream(&run.out, Keys::Exact, By::Index)
}

/// Whether what left ends as the dialect ends a stream, its events numbered one by one.
#[track_caller]
fn ends(run: &Run, what: &str) {
    let seen = seen(run);
    assert!(seen.last.is_some() || seen.error.is_some(), "{what} ends as if it were whole: {run:?}");
    assert_eq!(run.failed.is_some(), seen.error.is_some(), "{what}");
    assert!(!run.text().contains("[DONE]"), "{what}");
    if seen.numbers.iter().any(Option::is_none) {
        // The error event is ours, and has one always.
        let none = seen.numbers.iter().filter(|number| number.is_none()).count();
        assert!(none >= seen.numbers.len() - 1, "{what}: {run:?}");
    } else {
        let dense: Vec<Option<u64>> = (0..).map(Some).take(seen.numbers.len()).collect();
        assert_eq!(seen.numbers, dense, "{what}: {run:?}");
    }
}

#[test]
fn a_stream_that_stops_anywhere_releases_nothing_unjudged_and_ends_in_an_error() {
    for golden in GOLDEN.all() {
        let mut before = None;
        for at in golden.places() {
            let run = golden.cut(at);
            if before.replace(run.clone()).as_ref() == Some(&run) {
                continue;
            }
            only_released(&run);
            ends(&run, &format!("{} cut at {at}", golden.name));
        }
    }
}

#[test]
fn nothing_of_a_denied_call_leaves() {
    for golden in GOLDEN.all() {
        let run = golden.run();
        assert!(!run.text().contains("canary"), "{}: {run:?}", golden.name);
    }
    let with = GOLDEN.all().iter().filter(|golden| golden.input.windows(6).any(|at| at == b"canary")).count();
    assert!(with > 30, "{with} streams have something to hide");
}

/// Every copy of a call, in events, items and the response, says the same.
#[track_caller]
fn copies_agree(run: &Run, what: &str) {
    let seen = seen(run);
    for (index, item) in &seen.ended {
        let Some((tool, Some(arguments))) = client::call(item) else { continue };
        let place = seen.pieces.iter().position(|(began, _)| began == index);
        let place = place.unwrap_or_else(|| panic!("{what}: {item} did not begin"));
        let began = &seen.pieces[place].1;
        let mut ended = item.clone();
        if let Some(status) = began.get("status") {
            ended["status"] = status.clone();
        }
        assert_eq!(began, &ended, "{what}: the pieces of {tool} are another call");
        let told: Vec<&String> =
            seen.arguments.iter().filter(|(at, _)| *at == Some(place)).map(|(_, text)| text).collect();
        assert!(told.iter().all(|told| **told == arguments), "{what}: {told:?} is not {arguments}");
        let copy = seen.output().iter().find(|copy| copy.get("id") == item.get("id"));
        assert!(seen.output().is_empty() || copy == Some(item), "{what}: {copy:?} is not {item}");
    }
}

#[test]
fn every_copy_of_a_call_is_the_one_that_was_judged() {
    for golden in GOLDEN.all() {
        let run = golden.run();
        copies_agree(&run, &golden.name);
        only_released(&run);
    }
}

#[test]
fn any_of_parallel_calls_can_be_taken_out() {
    let input = String::from_utf8(GOLDEN.named("three_calls").input).unwrap().replace("delete_b", "get_b");
    let all = [("get_a", "aaa1"), ("get_b", "bbb1"), ("get_c", "ccc1")];
    for subset in 0..8_usize {
        let removed: Vec<usize> = (0..3).filter(|at| subset & (1 << at) != 0).collect();
        let names: Vec<&str> = removed.iter().map(|&at| all[at].0).collect();
        let script = Script::removing(&names);
        let run = script::run(Api::Responses, [input.as_bytes()], script, script::Reading::Plain);
        let seen = seen(&run);
        copies_agree(&run, &format!("without {names:?}"));
        ends(&run, &format!("without {names:?}"));
        assert_eq!(seen.items(), seen.output(), "without {names:?}");
        for (at, (name, canary)) in all.into_iter().enumerate() {
            let item = &seen.output()[at];
            if removed.contains(&at) {
                let part = json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": notice(name, "not here") });
                let message = json!({ "id": format!("msg_1_{at}"), "type": "message", "status": "completed", "role": "assistant", "content": [part] });
                assert_eq!(item, &message, "without {names:?}");
                assert_eq!(&seen.pieces[at].1["content"], &message["content"], "without {names:?}");
                let hidden = [format!("fc_{name}"), format!("call_{name}"), canary.to_owned()];
                assert!(!hidden.iter().any(|hidden| run.text().contains(hidden)), "{name} is in {run:?}");
            } else {
                let call = json!({ "id": format!("fc_{name}"), "type": "function_call", "status": "completed", "name": name,
                    "call_id": format!("call_{name}"), "arguments": format!(r#"{{"v":"{canary}"}}"#) });
                assert_eq!(item, &call, "without {names:?}");
            }
        }
        let kept: Vec<&str> = run.kept.as_ref().unwrap().denied.iter().map(|call| &*call.tool).collect();
        assert_eq!(kept, names);
    }
}

/// Streams whose last response says something else than what came before it.
const SAYS_MORE: [&str; 9] = [
    "arguments_in_done_only",
    "copies_disagree",
    "indexes_left_out",
    "more_behind_the_item",
    "name_changes",
    "name_changes_in_response",
    "output_empty",
    "output_in_other_order",
    "too_long_in_pieces_only",
];

#[test]
fn a_stream_put_together_is_the_whole_answer_judged() {
    let mut compared = 0;
    for golden in GOLDEN.all() {
        let streamed = golden.run();
        let Some(upstream) = from_upstream(&golden.input) else { continue };
        if streamed.failed.is_some() || SAYS_MORE.contains(&&*golden.name) {
            continue;
        }
        let whole = script::whole(Api::Responses, upstream.to_string().as_bytes(), golden.script.clone());
        assert_eq!(whole.failed, None, "{}", golden.name);
        let whole_output: Value = serde_json::from_slice(&whole.out).unwrap();
        let seen = seen(&streamed);
        assert_eq!(seen.last.as_ref(), Some(&whole_output), "{}", golden.name);
        assert_eq!(streamed.usage, whole.usage, "{}", golden.name);
        // A stream may have shown an item under another id before.
        let (mut kept, whole_kept) = (streamed.kept.unwrap(), whole.kept.unwrap());
        kept.items.retain(|id| whole_kept.items.contains(id) || id.starts_with("msg_1_"));
        assert_eq!(kept, whole_kept, "{}", golden.name);
        compared += 1;
    }
    assert!(compared > 30, "{compared} streams were compared");
}

/// The response that ends a stream as it came, if its items were all told before it too.
fn from_upstream(input: &[u8]) -> Option<Value> {
    let regular = regular(input, "response.completed")?;
    let last = regular.rsplit("data: ").next().and_then(|last| serde_json::from_str::<Value>(last).ok())?;
    let response = last.get("response").filter(|_| text(&last, "type") == "response.completed")?;
    response["output"].is_array().then(|| response.clone())
}

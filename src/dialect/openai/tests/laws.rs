//! Laws over random answers: what a client holds in the end is what the model produced, without what was denied.

use super::{
    Api, Reading, Run, Script, client, once,
    plan::{Manner, Plan, plan},
    run,
    script::{self, Ruling},
};
use crate::{
    dialect::tests::{
        dice::{Dice, pieces},
        golden::events,
    },
    usage::Usage,
};
use proptest::prelude::*;

fn dice() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..400)
}

/// The notices that a client must find, in order, behind the text of each choice.
fn told(plan: &Plan) -> Vec<String> {
    let notice = |name: &str| super::notice(name, "not here");
    plan.choices
        .iter()
        .map(|spoken| {
            let denied: Vec<String> =
                spoken.calls.iter().filter(|call| call.denied()).map(|call| notice(&call.name)).collect();
            let apart = if spoken.text.concat().is_empty() || denied.is_empty() { "" } else { "\n\n" };
            format!("{apart}{}", denied.join("\n"))
        })
        .collect()
}

/// Nothing of a denied or rewritten call but its name is in the output: not its id, not its input.
fn nothing_denied_leaks(plan: &Plan, out: &[u8]) -> Result<(), TestCaseError> {
    let text = std::str::from_utf8(out).unwrap();
    for call in plan.choices.iter().flat_map(|spoken| &spoken.calls).filter(|call| call.denied()) {
        let escaped = format!("\\u{:04x}", u32::from(call.canary));
        prop_assert!(!text.contains(call.canary) && !text.contains(&escaped), "{:?} leaked: {}", call, text);
    }
    Ok(())
}

/// The messages are the plan's without its denied calls, with a notice for each of those.
fn messages_are_the_plans(plan: &Plan, seen: &client::Seen) -> Result<(), TestCaseError> {
    let mut expected = plan.expected();
    for (message, told) in expected.values_mut().zip(told(plan)) {
        message.content.push_str(&told);
    }
    prop_assert_eq!(&seen.messages, &expected);
    Ok(())
}

/// The verdicts of each choice; a stream judges a choice when it finishes, a whole answer one after the other.
fn sorted(script: &[Ruling]) -> Vec<String> {
    let mut found: Vec<String> = script.iter().map(|ruling| format!("{ruling:?}")).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_client_holds_what_was_allowed_and_nothing_else(dice in dice(), cuts in prop::collection::vec(1..60_usize, 1..8)) {
        let mut dice = Dice(&dice);
        let plan = plan(&mut dice);
        let input = plan.stream(&mut dice, Manner::Odd);
        let found = once(input.as_bytes());
        prop_assert_eq!(&found.failed, &None, "{}", input);
        let seen = client::read_stream(&found.out);
        messages_are_the_plans(&plan, &seen)?;
        nothing_denied_leaks(&plan, &found.out)?;
        prop_assert_eq!(found.usage, Some(Usage { input: 5, output: 6, ..Usage::default() }));
        prop_assert!(found.log.iter().all(|ruling| ruling.verdict.is_some()));
        // Split anywhere, and without the fast path, it reads the same.
        prop_assert_eq!(&run(pieces(input.as_bytes(), &cuts), Script::default()), &found);
        let slow = script::run(Api::Chat, events(input.as_bytes()), Script::default(), Reading::Forgetful);
        prop_assert_eq!(&slow, &found);
    }

    #[test]
    fn a_whole_answer_and_a_stream_say_the_same(dice in dice()) {
        let mut dice = Dice(&dice);
        let plan = plan(&mut dice);
        let body = plan.whole().to_string();
        let Run { out, log, completion, failed, .. } = script::whole(Api::Chat, body.as_bytes(), Script::default());
        prop_assert_eq!(failed, None);
        let seen = client::read_whole(&out);
        messages_are_the_plans(&plan, &seen)?;
        nothing_denied_leaks(&plan, &out)?;
        let changes = plan.choices.iter().flat_map(|spoken| &spoken.calls).any(|call| call.denied() || call.rewritten());
        prop_assert_eq!(changes, out != body.as_bytes(), "an answer is written anew only where it changed");
        let streamed = once(plan.stream(&mut dice, Manner::Odd).as_bytes());
        prop_assert_eq!(client::read_stream(&streamed.out).messages, seen.messages);
        prop_assert_eq!(sorted(&streamed.log), sorted(&log));
        if plan.choices.len() == 1 {
            prop_assert_eq!(streamed.completion, completion);
        }
    }

    #[test]
    fn what_is_allowed_and_regular_arrives_as_it_came(dice in dice()) {
        let mut dice = Dice(&dice);
        let mut plan = plan(&mut dice);
        for call in plan.choices.iter_mut().flat_map(|spoken| &mut spoken.calls) {
            call.name.insert_str(0, "get_");
        }
        let input = plan.stream(&mut dice, Manner::Regular);
        let found = once(input.as_bytes());
        prop_assert_eq!(client::read_stream(&found.out), client::read_stream(input.as_bytes()));
        if plan.choices.iter().all(|spoken| spoken.calls.is_empty()) {
            prop_assert_eq!(&*found.out, input.as_bytes());
            prop_assert!(found.log.is_empty());
        }
    }
}

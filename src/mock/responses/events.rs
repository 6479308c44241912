//! A response as a stream of events, in OpenAI's order, with the oddities that were asked for.

use serde_json::{Value, json};

use super::{
    super::{
        dialect::Event,
        directions::{IndexForm, LastCopy},
        layout,
        write::{object, text},
    },
    Turn,
    item::{Happening, Item, with},
    response,
};

/// An event that has no number yet.
type Unnumbered = (String, Vec<(&'static str, String)>);

/// All events, from `response.created` to the last.
pub(super) fn events(turn: &Turn<'_>, items: Vec<Item>) -> Vec<Event> {
    let form = &turn.plan.form;
    // Calls that only the last event has stand behind everything that the stream has too.
    let (items, unseen): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| form.last_copy != LastCopy::Only || !item.is_call);
    let copies: Vec<Value> =
        items.iter().chain(&unseen).map(|item| last_copy(item, &form.last_copy)).collect();
    let talk = usize::from(turn.plan.reasoning.is_some()) + usize::from(turn.plan.speech.is_some());
    let mut rows = items.into_iter().enumerate().map(|(at, item)| row(at, item, form.index));
    let mut events: Vec<Unnumbered> = ["response.created", "response.in_progress"]
        .map(|name| (name.to_owned(), vec![("response", response::begun(turn))]))
        .into();
    events.extend(rows.by_ref().take(talk).flatten());
    events.extend(layout::ordered(rows.collect(), form));
    let last = format!("response.{}", response::word(turn.plan.finish));
    events.push((last, vec![("response", response::ended(turn, &copies))]));
    events.into_iter().enumerate().map(numbered).collect()
}

fn numbered((number, (name, members)): (usize, Unnumbered)) -> Event {
    let head = [("type", text(&name)), ("sequence_number", number.to_string())];
    let data = object(head.into_iter().chain(members));
    Event { name: Some(name), data }
}

fn row(at: usize, item: Item, index: IndexForm) -> Vec<Unnumbered> {
    let place = || match index {
        IndexForm::Dense => Some(("output_index", at.to_string())),
        IndexForm::Zero => Some(("output_index", "0".to_owned())),
        IndexForm::Absent => None,
    };
    let whole = |word: &str, item: &Value| {
        let members = place().into_iter().chain([("item", item.to_string())]);
        (format!("response.output_item.{word}"), members.collect())
    };
    let id = item.done.get("id").unwrap_or(&Value::Null).to_string();
    let between = item.between.into_iter().map(|Happening { name, members }| {
        let members = [("item_id", id.clone())].into_iter().chain(place()).chain(members);
        (name, members.collect())
    });
    let mut row = vec![whole("added", &item.added)];
    row.extend(between);
    row.push(whole("done", &item.done));
    row
}

fn last_copy(item: &Item, copy: &LastCopy) -> Value {
    match copy {
        LastCopy::Differs(arguments) if item.is_call => {
            let key = if item.done.get("input").is_some() { "input" } else { "arguments" };
            with(&item.done, json!({ key: arguments }))
        }
        LastCopy::Differs(_) | LastCopy::Same | LastCopy::Only => item.done.clone(),
    }
}

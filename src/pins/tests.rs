//! Laws of pins: what is approved is served, whatever way it is written, and nothing else is; what is shown to people
//! tells any two definitions apart; no approval is lost, and none is given to what was not seen.

use super::{
    book::{FIRST_USE, Item},
    difference::{Fate, in_lines, lines},
    disk::{self, Kept},
    hygiene::Neighbours,
    *,
};
use crate::{
    json::{self, Value},
    mcp::list::{self, Definitions, Kind},
};
use proptest::prelude::*;
use std::path::Path;

const NOW: &str = "2026-11-26T20:00:00.000Z";

fn value() -> impl Strategy<Value = Value<'static>> {
    let text = "[a-c\u{200b}\\\\\n\"é]{0,4}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-300..300_i32).prop_map(|n| Value::Number(n.to_string().into())),
        text.prop_map(Value::string),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let members = prop::collection::btree_map(text, inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            members.prop_map(|members| Value::Object(
                members.into_iter().map(|(key, member)| (key.into(), member)).collect()
            )),
        ]
    })
}

fn definition() -> impl Strategy<Value = Value<'static>> {
    let member = prop_oneof![
        Just("description"),
        Just("inputSchema"),
        Just("outputSchema"),
        Just("annotations"),
        Just("icons"),
        Just("_meta"),
        Just("title")
    ];
    prop::collection::btree_map(member, value(), 0..5).prop_map(|members| {
        let name = std::iter::once(("name", Value::string("tool")));
        Value::Object(name.chain(members).map(|(key, member)| (key.into(), member)).collect())
    })
}

/// The same value written otherwise: members in another order, white space between, numbers with a point.
fn rewritten(value: &Value<'_>, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push_str("[ ");
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "\n, " } else { "" });
                rewritten(item, out);
            }
            out.push_str(" ]");
        }
        Value::Object(members) => {
            out.push_str("{\t");
            for (at, (key, member)) in members.iter().rev().enumerate() {
                out.push_str(if at > 0 { " ," } else { "" });
                out.push_str(&format!("{} : ", Value::string(&**key)));
                rewritten(member, out);
            }
            out.push('}');
        }
        Value::Number(digits) => out.push_str(&format!("{digits}.0e0")),
        Value::String(text) => {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            out.push_str(&format!("\"{escaped}\""));
        }
        Value::Bool(_) | Value::Null => out.push_str(&value.to_string()),
    }
}

/// Changes one leaf, key or length, the so-manieth of all; `None` beyond the last.
fn mutated(value: &Value<'static>, nth: &mut usize) -> Option<Value<'static>> {
    let mut is_it = || {
        let it = *nth == 0;
        *nth = nth.wrapping_sub(1);
        it
    };
    match value {
        Value::Null => is_it().then_some(Value::Bool(false)),
        Value::Bool(truth) => is_it().then_some(Value::Bool(!truth)),
        Value::Number(digits) => is_it().then(|| Value::Number(format!("{digits}1").into())),
        Value::String(text) => is_it().then(|| Value::string(format!("{text}\u{200b}"))),
        Value::Array(items) => {
            if is_it() {
                let longer = items.iter().cloned().chain([Value::Null]);
                return Some(Value::Array(longer.collect()));
            }
            items.iter().enumerate().find_map(|(at, item)| {
                let mut items = items.clone();
                items[at] = mutated(item, nth)?;
                Some(Value::Array(items))
            })
        }
        Value::Object(members) => {
            if is_it() {
                let longer = members.iter().cloned().chain([("zz".into(), Value::Null)]);
                return Some(Value::Object(longer.collect()));
            }
            members.iter().enumerate().find_map(|(at, (_, member))| {
                let mut members = members.clone();
                members[at].1 = mutated(member, nth)?;
                Some(Value::Object(members))
            })
        }
    }
}

fn seen(values: &[&Value<'static>]) -> Observed {
    let which = |value: &Value<'_>| match value.get("name").and_then(Value::as_str) {
        Some(name) => Which::Tool(name.to_owned()),
        None => Which::Instructions,
    };
    values.iter().map(|value| (which(value), Pinned::new((*value).clone()))).collect()
}

fn parsed(text: &str) -> Value<'static> {
    json::parse(text.as_bytes(), json::NESTING_MAX).unwrap().into_owned()
}

fn judged(book: &Book, value: &Value<'static>) -> Option<Withheld> {
    let seen = seen(&[value]);
    let (which, pinned) = seen.first_key_value().unwrap();
    verdict(Some(book), which, pinned, Mode::Enforce)
}

/// A book after a person approved all that a server said.
fn approved(values: &[&Value<'static>]) -> Book {
    let mut book = Book { server: "crm".into(), ..Book::default() };
    let seen = seen(values);
    observe(&mut book, &seen, Mode::Enforce, NOW);
    for (which, pinned) in &seen {
        assert!(book.approve(which, pinned.digest, "ada", NOW));
    }
    book
}

proptest! {
    #[test]
    fn what_is_approved_is_served_however_it_is_written(definition in definition()) {
        let mut text = String::new();
        rewritten(&definition, &mut text);
        let again = parsed(&text);
        prop_assert_eq!(Digest::of_tool(&definition), Digest::of_tool(&again));
        prop_assert_eq!(judged(&approved(&[&definition]), &again), None);
        prop_assert_eq!(lines(Some(&definition), Some(&again)), Vec::new());
    }

    #[test]
    fn whatever_else_changes_is_withheld_and_shown(definition in definition(), nth in 1..40_usize) {
        let mut left = nth;
        let Some(changed) = mutated(&definition, &mut left) else { return Ok(()) };
        let book = approved(&[&definition]);
        let expected = if changed.get("name") == definition.get("name") { Withheld::Changed } else { Withheld::New };
        prop_assert_eq!(judged(&book, &changed), Some(expected));
        let differing = lines(Some(&definition), Some(&changed));
        prop_assert!(differing.iter().any(|(fate, _)| *fate != Fate::Kept), "{} {}", definition, changed);
        for (_, line) in differing {
            prop_assert!(!line.chars().any(|c| c.is_control() || hygiene::is_hidden(c)), "{:?}", line);
        }
    }

    #[test]
    fn a_difference_leads_from_one_to_the_other(a in definition(), b in definition()) {
        let (old, new) = (in_lines(&a), in_lines(&b));
        prop_assert_eq!(old == new, Digest::of_tool(&a) == Digest::of_tool(&b));
        let differing = lines(Some(&a), Some(&b));
        let of = |fate: Fate| differing.iter().filter(|(found, _)| *found == fate).count();
        prop_assert_eq!(old.len() + of(Fate::Came), new.len() + of(Fate::Went));
    }

    #[test]
    fn a_book_is_read_as_it_was_written(a in definition(), b in definition(), text in "[a\n\u{200b}]{1,5}") {
        let mut book = approved(&[&a, &Value::string(text)]);
        observe(&mut book, &seen(&[&b]), Mode::Enforce, "later");
        prop_assert_eq!(Book::read(book.to_text().as_bytes()), Ok(book));
    }

    #[test]
    fn a_book_that_was_meddled_with_is_none(definition in definition(), nth in 1..20_usize) {
        let mut left = nth;
        let Some(changed) = mutated(&definition, &mut left) else { return Ok(()) };
        let text = approved(&[&definition]).to_text();
        let meddled = text.replace(&definition.to_string(), &changed.to_string());
        prop_assert!(Book::read(meddled.as_bytes()).is_err(), "{}", meddled);
        for end in (0..text.len() - 2).filter(|end| text.is_char_boundary(*end)) {
            prop_assert!(Book::read(&text.as_bytes()[..end]).is_err());
        }
    }
}

#[test]
fn what_becomes_of_tools_that_come_change_and_go() {
    let tool = |name: &str, about: &str| parsed(&format!(r#"{{"name":"{name}","description":"{about}"}}"#));
    let (get, put) = (tool("get", "Gets."), tool("put", "Puts."));
    let mut book = approved(&[&get]);
    assert_eq!((judged(&book, &get), judged(&book, &put)), (None, Some(Withheld::New)));
    // It comes, and goes before anybody approved it.
    observe(&mut book, &seen(&[&get, &put]), Mode::Enforce, NOW);
    let state =
        |book: &Book, name: &str| book.items.get(&Which::Tool(name.into())).map(|item| book.state(item));
    assert_eq!(state(&book, "put"), Some(State::New));
    observe(&mut book, &seen(&[&get]), Mode::Enforce, NOW);
    assert_eq!(state(&book, "put"), None);
    // An approved one goes, and comes back under another name: that is no approved one.
    let renamed = tool("fetch", "Gets.");
    observe(&mut book, &seen(&[&renamed]), Mode::Enforce, NOW);
    assert_eq!(state(&book, "get"), Some(State::Gone));
    assert_eq!(state(&book, "fetch"), Some(State::Renamed("get".into())));
    assert_eq!(judged(&book, &renamed), Some(Withheld::Renamed));
    // Approved as it was seen, and not as it is by now.
    let digest = Digest::of_tool(&renamed);
    observe(&mut book, &seen(&[&tool("fetch", "Gets all.")]), Mode::Enforce, NOW);
    assert!(!book.approve(&Which::Tool("fetch".into()), digest, "ada", NOW));
    assert_eq!(judged(&book, &renamed), Some(Withheld::Renamed));
    // What came back as it was is approved still.
    observe(&mut book, &seen(&[&get]), Mode::Enforce, NOW);
    assert_eq!((state(&book, "get"), judged(&book, &get)), (Some(State::Approved), None));
}

#[test]
fn a_recording_approves_what_is_first_and_serves_what_is_not() {
    let tool = |about: &str| parsed(&format!(r#"{{"name":"get","description":"{about}"}}"#));
    let mut book = Book::default();
    observe(&mut book, &seen(&[&tool("one")]), Mode::Record, NOW);
    let item = |book: &Book| -> Item { book.items[&Which::Tool("get".into())].clone() };
    assert_eq!(item(&book).approved.unwrap().by, FIRST_USE);
    observe(&mut book, &seen(&[&tool("two")]), Mode::Record, NOW);
    assert_eq!(book.state(&item(&book)), State::Changed);
    let pinned = Pinned::new(tool("two"));
    let which = Which::Tool("get".into());
    assert_eq!(verdict(Some(&book), &which, &pinned, Mode::Record), None);
    assert_eq!(verdict(Some(&book), &which, &pinned, Mode::Enforce), Some(Withheld::Changed));
    assert_eq!(verdict(None, &which, &pinned, Mode::Enforce), Some(Withheld::Unreadable));
    // A server that names its tools anew with each list does not grow its book without end.
    for round in 0..25 {
        let named = |at: usize| parsed(&format!(r#"{{"name":"t{round}_{at}"}}"#));
        let many: Vec<Value<'_>> = (0..1000).map(named).collect();
        observe(&mut book, &seen(&many.iter().collect::<Vec<_>>()), Mode::Record, &format!("{round:02}"));
    }
    assert!(book.items.len() <= 10_000, "{}", book.items.len());
    assert!(book.items.contains_key(&Which::Tool("t24_0".into())));
}

#[test]
fn instructions_are_pinned_by_themselves() {
    let book = approved(&[&Value::string("Be kind."), &parsed(r#"{"name":"instructions"}"#)]);
    assert_eq!(instructions_verdict(Some(&book), "Be kind.", Mode::Enforce), None);
    assert_eq!(instructions_verdict(Some(&book), "Be cruel.", Mode::Enforce), Some(Withheld::Changed));
    assert_eq!(instructions_verdict(Some(&Book::default()), "Be kind.", Mode::Enforce), Some(Withheld::New));
    assert_eq!(instructions_verdict(None, "Be kind.", Mode::Enforce), Some(Withheld::Unreadable));
    assert_eq!(instructions_verdict(None, "Be kind.", Mode::Record), None);
}

fn watch(dir: &Path, mode: Mode) -> Watch {
    Watch::new("crm", mode, "http://crm/mcp", dir.to_owned(), Neighbours::default())
}

/// What of a list is served.
fn served(watch: &Watch, tools: &str, instructions: Option<&str>) -> Vec<String> {
    let page = list::page(Kind::Tools, &parsed(&format!(r#"{{"tools":[{tools}]}}"#))).unwrap();
    let mut tools = Definitions::new(page.definitions);
    watch.decide(&mut tools, instructions);
    tools.iter().map(|tool| tool.name.to_string()).collect()
}

fn approve_all(dir: &Path) {
    let Kept::Book(seen) = disk::read(dir, "crm") else { panic!() };
    let changed = disk::change(dir, "crm", |book| {
        for (which, item) in &seen.items {
            if let Some((pinned, _)) = &item.pending {
                assert!(book.approve(which, pinned.digest, "ada", NOW));
            }
        }
    });
    changed.unwrap();
}

const GET: &str = r#"{"name":"get","description":"Gets."}"#;

#[test]
fn a_watch_sees_what_is_approved_beside_it_and_fails_closed() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let watching = watch(dir, Mode::Enforce);
    assert!(served(&watching, GET, Some("Be kind.")).is_empty());
    assert!(!watching.shows_instructions("Be kind."));
    assert_eq!((watching.counts()["new"], watching.counts()["approved"]), (2, 0));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&disk::file(dir, "crm")), mode(&disk::directory(dir))), (0o600, 0o700));
    approve_all(dir);
    assert_eq!(served(&watching, GET, Some("Be kind.")), ["get"]);
    assert!(watching.shows_instructions("Be kind.") && !watching.shows_instructions("Be cruel."));
    let changed = GET.replace("Gets.", "Gets. <IMPORTANT>");
    assert!(served(&watching, &changed, Some("Be kind.")).is_empty());
    // A gateway that starts anew knows what this one knew.
    assert!(served(&watch(dir, Mode::Enforce), &changed, None).is_empty());
    assert_eq!(served(&watch(dir, Mode::Enforce), GET, None), ["get"]);
    std::fs::write(disk::file(dir, "crm"), "{}").unwrap();
    assert!(served(&watching, GET, None).is_empty());
    assert_eq!(served(&watch(dir, Mode::Record), GET, None), ["get"]);
    assert_eq!(std::fs::read_to_string(disk::file(dir, "crm")).unwrap(), "{}", "it is left as it is");
    std::fs::remove_file(disk::file(dir, "crm")).unwrap();
    assert!(served(&watching, GET, None).is_empty(), "it is as if nothing had been approved");
    approve_all(dir);
    assert_eq!(served(&watching, GET, None), ["get"]);
}

#[test]
fn no_approval_is_lost_between_two_that_write() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let name = |at: usize| format!("t{at}");
    let listed = |count: usize| {
        (0..count).map(|at| format!(r#"{{"name":"{}"}}"#, name(at))).collect::<Vec<_>>().join(",")
    };
    let watching = watch(dir, Mode::Enforce);
    served(&watching, &listed(1), None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for count in 2..40 {
                served(&watching, &listed(count), None);
            }
        });
        scope.spawn(|| {
            for at in 0..39 {
                let (which, digest) =
                    (Which::Tool(name(at)), Digest::of_tool(&parsed(&format!(r#"{{"name":"t{at}"}}"#))));
                while !disk::change(dir, "crm", |book| book.approve(&which, digest, "ada", NOW)).unwrap().0 {
                    std::thread::yield_now();
                }
            }
        });
    });
    assert_eq!(served(&watching, &listed(39), None).len(), 39);
}

//! Keys of a tenant that come and go, and what they are narrowed to.

use super::{Direction, Kind, Note, Side, listed, models};
use crate::{
    config::{At, raw, values::When},
    offline::universe::{Name, Universe},
    policy::glob::Glob,
    records::rfc3339,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, UNIX_EPOCH},
};

/// Keys that were added, removed, widened, narrowed, or expire at another time.
pub(super) fn compare(tenant: &str, sides: [Side<'_>; 2], universe: &Universe) -> Vec<Note> {
    let [old, new] = sides.map(|side| {
        let keys = side.held.map(|held| held.raw.keys.as_slice()).unwrap_or_default();
        keys.iter().map(|key| (key.id.value.as_str(), key)).collect::<BTreeMap<_, _>>()
    });
    let ids: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let mut notes = Vec::new();
    let tools: BTreeSet<Name> = universe.names().cloned().collect();
    let models = models::names(sides);
    for id in ids {
        let say = |direction, text: String| {
            Note::new(Kind::Key, id, direction, format!("{tenant}: the key {id} {text}"))
        };
        match (old.get(id), new.get(id)) {
            (None, Some(key)) => notes.push(Note::new(
                Kind::Key,
                id,
                Direction::Gains,
                format!("{tenant} gains the key {id}{}", about(key)),
            )),
            (Some(_), None) => {
                notes.push(Note::new(
                    Kind::Key,
                    id,
                    Direction::Loses,
                    format!("{tenant} loses the key {id}"),
                ));
            }
            (Some(was), Some(now)) => {
                if was.sha256.value != now.sha256.value {
                    notes.push(say(Direction::Changes, "is another credential now".to_owned()));
                }
                notes.extend(expiry(was, now).map(|(direction, text)| say(direction, text)));
                let lists = [
                    ("tools", was.tools.as_ref(), now.tools.as_ref(), &tools),
                    ("models", was.models.as_ref(), now.models.as_ref(), &models),
                ];
                for (what, was, now, names) in lists {
                    notes.extend(
                        narrowing(what, was, now, names).map(|(direction, text)| say(direction, text)),
                    );
                }
                let priority =
                    |key: &raw::Key| key.priority.as_ref().map_or("normal", |at| at.value.as_str());
                if priority(was) != priority(now) {
                    let text = format!("has the priority {}, was {}", priority(now), priority(was));
                    notes.push(say(Direction::Changes, text));
                }
            }
            (None, None) => {}
        }
    }
    notes
}

fn about(key: &raw::Key) -> String {
    let mut about = String::new();
    if let Some(expires) = &key.expires {
        about.push_str(&format!(", which expires {}", end(expires.value)));
    }
    for (what, list) in [("models", &key.models), ("tools", &key.tools)] {
        if let Some(list) = list {
            about.push_str(&format!(", narrowed to the {what} {}", shown(list)));
        }
    }
    about
}

fn shown(list: &[At<String>]) -> String {
    let mut names: Vec<String> = list.iter().map(|at| at.value.clone()).collect();
    names.sort_unstable();
    if names.is_empty() { "none".to_owned() } else { listed(&names) }
}

/// When it ends: at a moment, or after a day.
fn end(when: When) -> String {
    let text = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)).replace(".000Z", "Z")
    };
    match when {
        When::Day { start_unix_s } => {
            format!("after {}", text(start_unix_s).split('T').next().unwrap_or_default())
        }
        When::Moment { unix_s } => format!("at {}", text(unix_s)),
    }
}

fn expiry(was: &raw::Key, now: &raw::Key) -> Option<(Direction, String)> {
    let [was, now] = [was, now].map(|key| key.expires.as_ref().map(|at| at.value));
    match (was, now) {
        (None, Some(now)) => Some((Direction::Loses, format!("expires now, {}", end(now)))),
        (Some(was), None) => {
            Some((Direction::Gains, format!("does not expire any more; it did {}", end(was))))
        }
        (Some(was), Some(now)) if was.end_unix_s() != now.end_unix_s() => {
            let later = now.end_unix_s() > was.end_unix_s();
            let (direction, word) =
                if later { (Direction::Gains, "later") } else { (Direction::Loses, "earlier") };
            Some((direction, format!("expires {word}: {}, was {}", end(now), end(was))))
        }
        _ => None,
    }
}

/// How a key's own list changes what it reaches. `None` stands for no narrowing at all.
fn narrowing(
    what: &str,
    was: Option<&Vec<At<String>>>,
    now: Option<&Vec<At<String>>>,
    names: &BTreeSet<Name>,
) -> Option<(Direction, String)> {
    let compiled = |list: &Vec<At<String>>| list.iter().map(|at| Glob::new(&at.value)).collect::<Vec<_>>();
    let (was, now) = match (was, now) {
        (None, None) => return None,
        (None, Some(now)) => {
            return Some((Direction::Loses, format!("is narrowed to the {what} {} now", shown(now))));
        }
        (Some(was), None) => {
            let text = format!("is widened to all {what} of the tenant; it had {}", shown(was));
            return Some((Direction::Gains, text));
        }
        (Some(was), Some(now)) if shown(was) == shown(now) && was.len() == now.len() => return None,
        (Some(was), Some(now)) => (was, now),
    };
    let (old, new) = (compiled(was), compiled(now));
    let reaches = |globs: &[Glob], name: &Name| {
        name.sample().is_some_and(|sample| globs.iter().any(|glob| glob.matches(&sample)))
    };
    let differs = |more: &[Glob], less: &[Glob]| -> Vec<String> {
        let gained = names.iter().filter(|name| reaches(more, name) && !reaches(less, name));
        gained.map(ToString::to_string).collect()
    };
    let (gained, lost) = (differs(&new, &old), differs(&old, &new));
    Some(match (gained.is_empty(), lost.is_empty()) {
        (false, true) => (Direction::Gains, format!("is widened: it gains the {what} {}", listed(&gained))),
        (true, false) => (Direction::Loses, format!("is narrowed: it loses the {what} {}", listed(&lost))),
        (false, false) => {
            let text = format!("gains the {what} {}, and loses {}", listed(&gained), listed(&lost));
            (Direction::Changes, text)
        }
        (true, true) => {
            (Direction::Changes, format!("lists other {what}: was {}, now {}", shown(was), shown(now)))
        }
    })
}

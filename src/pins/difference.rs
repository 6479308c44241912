//! Two definitions side by side, for people: as lines, those that went and those that came. Two definitions that differ
//! never look alike: what nobody sees is escaped.

use super::{
    canonical::{canonical, sorted},
    hygiene::shown,
};
use crate::json::Value;

/// Around a change, so many lines are shown that are the same.
const AROUND: usize = 3;
/// Beyond so many pairs of lines, what differs is shown as a whole.
const PAIRS_MAX: usize = 4_000_000;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Kept,
    Went,
    Came,
}

/// The lines that differ, with a few around them. `None` for nothing at all.
pub fn lines(before: Option<&Value<'_>>, after: Option<&Value<'_>>) -> Vec<(Fate, String)> {
    let (old, new) = (before.map(in_lines).unwrap_or_default(), after.map(in_lines).unwrap_or_default());
    near(compared(&old, &new))
}

/// A definition as lines: members in their canonical order, a text of several lines as such.
pub fn in_lines(value: &Value<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if let Value::String(text) = value {
        block(text, 0, &mut out);
    } else {
        tell("", value, 0, "", &mut out);
    }
    out
}

fn tell(key: &str, value: &Value<'_>, depth: usize, end: &str, out: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let opens = |bracket: char| format!("{indent}{key}{bracket}");
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push(opens('{'));
            let members = sorted(value);
            let count = members.len();
            for (at, (name, member)) in members.into_iter().enumerate() {
                let name = format!("{}: ", shown(&Value::string(name.to_owned()).to_string()));
                tell(&name, member, depth + 1, if at + 1 < count { "," } else { "" }, out);
            }
            out.push(format!("{indent}}}{end}"));
        }
        Value::Array(items) if !items.is_empty() => {
            out.push(opens('['));
            for (at, item) in items.iter().enumerate() {
                tell("", item, depth + 1, if at + 1 < items.len() { "," } else { "" }, out);
            }
            out.push(format!("{indent}]{end}"));
        }
        Value::String(text) if text.contains('\n') => {
            out.push(format!("{indent}{key}|"));
            block(text, depth + 1, out);
        }
        _ => {
            let text = String::from_utf8(canonical(value)).unwrap_or_default();
            out.push(format!("{indent}{key}{}{end}", shown(&text)));
        }
    }
}

/// A text line by line. A backslash is doubled: what is escaped is told from what was written so.
fn block(text: &str, depth: usize, out: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    out.extend(text.split('\n').map(|line| format!("{indent}{}", shown(&line.replace('\\', "\\\\")))));
}

/// The longest row of lines that both have is kept.
fn compared(old: &[String], new: &[String]) -> Vec<(Fate, String)> {
    let same =
        |pairs: &mut dyn Iterator<Item = (&String, &String)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut old.iter().zip(new));
    let (old_rest, new_rest) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = same(&mut old_rest.iter().rev().zip(new_rest.iter().rev()));
    let (old_mid, old_tail) = old_rest.split_at(old_rest.len() - tail);
    let (new_mid, _) = new_rest.split_at(new_rest.len() - tail);
    let with =
        |fate: Fate, lines: &[String]| lines.iter().map(|line| (fate, line.clone())).collect::<Vec<_>>();
    let mut out = with(Fate::Kept, old.get(..head).unwrap_or_default());
    if old_mid.len().saturating_mul(new_mid.len()) > PAIRS_MAX {
        out.extend(with(Fate::Went, old_mid));
        out.extend(with(Fate::Came, new_mid));
    } else {
        out.extend(longest(old_mid, new_mid));
    }
    out.extend(with(Fate::Kept, old_tail));
    out
}

fn longest(old: &[String], new: &[String]) -> Vec<(Fate, String)> {
    // How long the longest common row is from here on, by place in the old and in the new.
    let width = new.len() + 1;
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    let length = |lengths: &[u32], i: usize, j: usize| lengths.get(i * width + j).copied().unwrap_or(0);
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            let found = if a == b {
                length(&lengths, i + 1, j + 1) + 1
            } else {
                length(&lengths, i + 1, j).max(length(&lengths, i, j + 1))
            };
            if let Some(cell) = lengths.get_mut(i * width + j) {
                *cell = found;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                out.push((Fate::Kept, a.clone()));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || length(&lengths, i + 1, j) >= length(&lengths, i, j + 1) => {
                out.push((Fate::Went, a.clone()));
                i += 1;
            }
            (_, Some(b)) => {
                out.push((Fate::Came, b.clone()));
                j += 1;
            }
            (_, None) => return out,
        }
    }
}

/// Only what differs and what is near it; `…` stands for what is left out.
fn near(all: Vec<(Fate, String)>) -> Vec<(Fate, String)> {
    let changes: Vec<usize> =
        all.iter().enumerate().filter(|(_, (fate, _))| *fate != Fate::Kept).map(|(at, _)| at).collect();
    let (mut out, mut left_out) = (Vec::new(), false);
    for (at, line) in all.into_iter().enumerate() {
        let next = changes.partition_point(|change| *change < at);
        let close = |change: Option<&usize>| change.is_some_and(|change| change.abs_diff(at) <= AROUND);
        if close(changes.get(next)) || next.checked_sub(1).is_some_and(|before| close(changes.get(before))) {
            if left_out {
                out.push((Fate::Kept, "…".to_owned()));
            }
            left_out = false;
            out.push(line);
        } else {
            left_out = true;
        }
    }
    out
}

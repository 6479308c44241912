//! How a text or the arguments of a call are cut into the deltas of a stream, and whose turn it is. The same in every
//! dialect.

use super::directions::{Form, Order};

const WORDS_MAX: usize = 64;
const FRAGMENT_BYTES: usize = 16;

/// Text in as many deltas as the form asks for; one a word without it.
pub(super) fn pieces(text: &str, form: &Form) -> Vec<String> {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    let letters: Vec<String> = text.chars().map(String::from).collect();
    let (units, count) = match form.text_chunks {
        Some(count) => (letters, count),
        None => (words.iter().map(|word| (*word).to_owned()).collect(), WORDS_MAX),
    };
    let (total, count) = (units.len(), count.min(units.len()));
    // Piece `i` ends before unit `total * (i + 1) / count`, so that sizes differ by at most one.
    let mut rest = units.into_iter();
    let end = |piece: usize| total * piece / count;
    (0..count).map(|piece| rest.by_ref().take(end(piece + 1) - end(piece)).collect()).collect()
}

/// Arguments in pieces of about the form's size, cut between characters.
pub(super) fn fragments(arguments: &str, form: &Form) -> Vec<String> {
    let size = match form.order {
        Order::Whole => usize::MAX,
        Order::OneByOne | Order::Interleaved => form.fragment_bytes.unwrap_or(FRAGMENT_BYTES),
    };
    let mut fragments: Vec<String> = Vec::new();
    for letter in arguments.chars() {
        match fragments.last_mut() {
            Some(last) if last.len().saturating_add(letter.len_utf8()) <= size => last.push(letter),
            _ => fragments.push(letter.into()),
        }
    }
    fragments
}

/// The rows one after another or, where the form wants that, in turn.
pub(super) fn ordered<T>(rows: Vec<Vec<T>>, form: &Form) -> Vec<T> {
    match form.order {
        Order::Interleaved => in_turn(rows),
        Order::OneByOne | Order::Whole => rows.into_iter().flatten().collect(),
    }
}

/// The first of each row, then the second of each, and so on.
pub(super) fn in_turn<T>(rows: Vec<Vec<T>>) -> Vec<T> {
    let mut rows: Vec<_> = rows.into_iter().map(Vec::into_iter).collect();
    let mut turns = Vec::new();
    loop {
        let before = turns.len();
        turns.extend(rows.iter_mut().filter_map(Iterator::next));
        if turns.len() == before {
            return turns;
        }
    }
}

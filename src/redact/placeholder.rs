//! Placeholders as they stand in text that was redacted before: `[ENTITY:token]`.
//! They are walls: nothing is looked for inside one, and no detector sees across one.

use std::ops::Range;

use super::{entity, pattern::Pattern, secret::TOKEN_LEN};

const NAME_MAX: usize = 64;

/// The stretches of `text` between placeholders, first to last; empty ones are left out.
pub(super) fn stretches<'a>(text: &'a str, own: &'a [Pattern]) -> impl Iterator<Item = Range<usize>> + 'a {
    let known =
        move |name: &str| entity::is_known(name) || own.iter().any(|pattern| &**pattern.name() == name);
    stretches_between(text, known)
}

/// The same, whatever the placeholders' names.
pub(super) fn stretches_of_any(text: &str) -> Vec<Range<usize>> {
    stretches_between(text, |_| true).collect()
}

fn stretches_between(text: &str, known: impl Fn(&str) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut opens = memchr::memchr_iter(b'[', text.as_bytes());
    let mut from = 0;
    std::iter::from_fn(move || {
        while from < text.len() {
            let wall = opens.find_map(|open| {
                let length = text.get(open..).filter(|_| open >= from).and_then(|rest| length(rest, &known));
                length.map(|length| open..open + length)
            });
            let start = from;
            let wall = wall.unwrap_or(text.len()..text.len());
            from = wall.end;
            if start < wall.start {
                return Some(start..wall.start);
            }
        }
        None
    })
}

/// Whether something was taken out of a text: a placeholder of any name stands in it, known here or not.
pub fn holds_placeholder(text: &[u8]) -> bool {
    let is_one = |open: usize| {
        let rest = text.get(open + 1..).unwrap_or_default();
        let is_name = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_';
        let colon = rest.iter().take(NAME_MAX + 1).position(|b| !is_name(b)).unwrap_or(0);
        let token = rest.get(colon + 1..colon + 1 + TOKEN_LEN).unwrap_or_default();
        colon > 0
            && rest.get(colon) == Some(&b':')
            && rest.get(colon + 1 + TOKEN_LEN) == Some(&b']')
            && token.iter().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
    };
    memchr::memchr_iter(b'[', text).any(is_one)
}

/// The length of the placeholder that `text` starts with.
fn length(text: &str, known: impl Fn(&str) -> bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let rest = bytes.get(1..)?;
    let colon = rest
        .iter()
        .take(NAME_MAX + 1)
        .position(|b| !(b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_'))?;
    let name = text.get(1..=colon)?;
    let token = rest.get(colon + 1..colon + 1 + TOKEN_LEN)?;
    let whole = rest.get(colon) == Some(&b':')
        && rest.get(colon + 1 + TOKEN_LEN) == Some(&b']')
        && token.iter().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    (whole && known(name)).then_some(colon + TOKEN_LEN + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = stretches(text, &[]).filter_map(|r| text.get(r)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn only_exact_placeholders_are_walls() {
        check("", &[]);
        check("a b", &["a b"]);
        check("a [JWT:abcdefghijklmnop] b", &["a ", " b"]);
        check("[JWT:abcdefghijklmnop][JWT:abcdefghijklmnop]", &[]);
        check("[[JWT:abcdefghijklmnop]]", &["[", "]"]);
        check("[JWT:abcdefghijklmno1]", &["[JWT:abcdefghijklmno1]"]);
        check("[JWT:abcdefghijklmno]", &["[JWT:abcdefghijklmno]"]);
        check("[OTHER:abcdefghijklmnop]", &["[OTHER:abcdefghijklmnop]"]);
        check("[JWTé:abcdefghijklmnop", &["[JWTé:abcdefghijklmnop"]);
    }

    #[test]
    fn a_placeholder_is_known_whatever_its_name() {
        let check = |text: &str, expected| assert_eq!(holds_placeholder(text.as_bytes()), expected, "{text}");
        check("a [JWT:abcdefghijklmnop] b", true);
        check("[[OTHER_1:abcdefghijklmn27]", true);
        check("[JWT:abcdefghijklmno1]", false);
        check("[JWT:abcdefghijklmnop", false);
        check("[:abcdefghijklmnop]", false);
        check("[jwt:abcdefghijklmnop]", false);
        check("[1, 2]", false);
    }

    #[test]
    fn a_tenants_own_names_are_placeholders_too() {
        let own = [Pattern::new("CASE_ID", "x").unwrap()];
        assert_eq!(stretches("[CASE_ID:abcdefghijklmnop]", &own).next(), None);
    }
}

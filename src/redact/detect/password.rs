//! PASSWORD in speech: "my password is …", "das Kennwort lautet …", "… comme mot de passe", "credentials are admin:…",
//! `--password …`, `curl -u user:…`, and where a table, a tag or an attribute has the word before the value.

use super::assignment::is_long_number;
use super::behind::{ARTICLES, is_called};
use super::bytes::{
    Classes, before, byte, digits_end, is_jumbled, is_space, run_end, run_start, slice,
    starts_with_ignoring_case,
};
use super::pair::LOGINS;
use super::reference::{is_code, is_path, is_reference, is_variable};
pub(super) use super::signed::is_strong;
use super::signed::{is_broken, is_led, is_scrambled, is_signed};
use super::words::{is_passphrase, is_scattered};
use super::{Finding, Scan, asked, called, column, command, ends, list, noun, pair, shell, speech};
use crate::redact::encoded;
use crate::redact::entity::Entity;

const WORDS: &[&[u8]] = &[
    b"passwords",
    b"password",
    b"passworts",
    b"passwort",
    b"passphrase",
    b"passcode",
    b"passwd",
    b"passe",
    b"kennwort",
    b"pass",
    b"pwd",
    b"pw",
    b"p/w",
];
pub(super) const LINKS: &[&[u8]] = &[
    b"is",
    b"ist",
    b"lautet",
    b"est",
    b"was",
    b"war",
    b"=",
    b":",
    b"becomes",
    b"wird",
    b"now",
    b"to",
    b"auf",
    b"c'est",
    b"sera",
    b"hei\xC3\x9Ft",
    b"heisst",
    b"->",
    b"=>",
    b"are",
    b"sind",
    b"bleibt",
    b"remains",
    b"reads",
    b"vaut",
    b"jetzt",
    b"neu",
    b"be",
    b"being",
    b"equals",
    b"w\xC3\xA4re",
    b"sei",
    b"devient",
    b"\xC3\xA9tait",
    b"zu",
    b"als",
    b"comme",
    b"as",
    b"via",
    b"mit",
    b"with",
    b"avec",
    b"-",
    "\u{2013}".as_bytes(),
    "\u{2014}".as_bytes(),
    "\u{2192}".as_bytes(),
    b"typed",
    b"entered",
    b"tap\xC3\xA9",
    b"saisi",
    b"en",
    b"replaced",
    b"remplac\xC3\xA9",
    b"chang\xC3\xA9",
    b"modifi\xC3\xA9",
    b"reste",
    b"restait",
    b"stays",
];
/// Those of them behind which something else may stand.
const TYPED: &[&[u8]] =
    &[b"typed", b"entered", b"tap\xC3\xA9", b"saisi", b"en", b"replaced", b"remplac\xC3\xA9"];
/// Those behind which a number is the password.
const VERBS: &[&[u8]] = &[b"is", b"ist", b"lautet", b"est", b"=", b":", b"->", b"=>"];
/// Words that may stand between the verb and the password.
const ADVERBS: &[&[u8]] = &[
    b"still",
    b"devenu",
    b"now",
    b"currently",
    b"just",
    b"simply",
    b"actually",
    b"always",
    b"noch",
    b"immer",
    b"jetzt",
    b"nun",
    b"aktuell",
    b"derzeit",
    b"weiterhin",
    b"einfach",
    b"toujours",
    b"encore",
    b"maintenant",
    b"d\xC3\xA9sormais",
    b"simplement",
    b"set",
    b"changed",
    b"nur",
    b"bien",
    b"below",
    b"follows",
    b"unten",
    b"folgt",
    b"wie",
    b"ci-dessous",
    b"replaced",
    b"remplac\xC3\xA9",
    b"pass\xC3\xA9",
    b"by",
    b"par",
    b"de",
    b"bisher",
    b"fr\xC3\xBCher",
    b"zuvor",
    b"vorher",
    b"previously",
    b"formerly",
    b"avant",
    b"auparavant",
];
/// Behind the noun, before a value: "mot de passe provisoire \u{2026}".
const STATES: &[&[u8]] =
    &[b"provisoire", b"temporaire", b"initial", b"actuel", b"tempor\xC3\xA4r", b"neu", b"initialement"];
/// Words between the noun and the verb: "the password for the staging host is …".
const BETWEEN_MAX: usize = 5;
/// A longer word is no word of a sentence.
const WORD_MAX: usize = 24;
/// How far a sentence is looked at before and behind a password.
const AROUND: usize = 56;
/// Blanks and signs that quote or indent a line.
const INDENT_MAX: usize = 12;
const VALUE_MAX: usize = 128;

/// At the first letter of the noun.
pub(super) fn spoken(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let short = at.checked_sub(2).filter(|start| starts_with_ignoring_case(text, *start, b"mdp"));
    if short.is_none() && !matches!(byte(text, at + 1) | 0x20, b'a' | b'e' | b'w' | b'/') {
        return None;
    }
    let (at, word) = match short {
        Some(start) => (start, &b"mdp"[..]),
        None => (at, *WORDS.iter().find(|word| begins(text, at, word))?),
    };
    let from = at + word.len();
    let prior = before(text, at);
    // `pass_over` is another word; `Einmalpasswort` is one.
    let inside = prior.is_ascii_alphanumeric() && !word.ends_with(b"wort");
    if inside || byte(text, from).is_ascii_alphanumeric() || byte(text, from) == b'_' {
        return None;
    }
    if word.ends_with(b"s") && list::is_below(text, from) {
        return None;
    }
    if let Some(found) = shell::given(text, at, from) {
        return Some(found);
    }
    if noun::is_other(text, at, from) {
        return None;
    }
    if matches!(byte(text, from), b':' | b'*' | b'"')
        && let Some(found) = shell::sent(text, from)
    {
        return Some(found);
    }
    // `my_pass=…` is assigned, and not spoken of; `${DB_PASSWORD}` stands for what is not there.
    if (prior == b'_' && byte(text, from) == b'=') || is_variable(text, at, from) {
        return None;
    }
    let option = prior == b'-' && at > 1 && !byte(text, at - 2).is_ascii_alphanumeric();
    if option && is_space(byte(text, from)) {
        return password_at(text, run_end(text, from, 2, is_space));
    }
    // The option of a list: what is behind it is a string of its own.
    if prior == b'-' && matches!(byte(text, from), b'"' | b'\'') && byte(text, from + 1) == b',' {
        return None;
    }
    if let Some(typed) = called::typed(text, from) {
        return typed;
    }
    if prior != b'-'
        && word != b"pass"
        && let Some(found) = direct(text, from)
    {
        return Some(found);
    }
    linked(text, at, from).or_else(|| called_before(text, at))
}

/// Whether a word begins there, whatever its case. Most begin alike: what they differ in is looked at first.
fn begins(text: &[u8], at: usize, word: &[u8]) -> bool {
    let fits = |place: usize| {
        word.get(place).is_none_or(|letter| !letter.is_ascii() || *letter == byte(text, at + place) | 0x20)
    };
    fits(4) && fits(5) && starts_with_ignoring_case(text, at, word)
}

/// The verb within a few words, then the password.
fn linked(text: &[u8], at: usize, from: usize) -> Option<Finding> {
    // What is assigned stands right there, and no further on.
    let assigned = matches!(byte(text, from), b'=' | b':') && !byte(text, from + 1).is_ascii_whitespace();
    if assigned && from + 1 < text.len() {
        return None;
    }
    let mut from = from + owner(text, from);
    if from > 0 && matches!(before(text, from), b's') && matches!(byte(text, from - 2), b'\'' | 0x99) {
        return password_at(text, run_end(text, from, 2, is_space));
    }
    // A form: the word alone above the value.
    if let Some(line) = next_line(text, from) {
        return form(text, at, line).or_else(|| asked::answered(text, from));
    }
    if let Some(found) = asked::answered(text, from) {
        return Some(found);
    }
    // "a password, which goes with …".
    if byte(text, from) == b',' && !noun::goes_on(text, from) {
        return None;
    }
    for _ in 0..BETWEEN_MAX {
        from = run_end(text, from, 3, |b| is_space(b) || matches!(b, b'"' | b'\''));
        let end = run_end(text, from, WORD_MAX, |b| !b.is_ascii_whitespace());
        let next = slice(text, from, end);
        if next.len() >= WORD_MAX {
            return None;
        }
        if is_strong(next)
            || is_scrambled(next)
            || (is_signed(next) || is_led(next)) && is_space(before(text, from))
        {
            return password_at(text, from);
        }
        if is_one(next, LINKS) || next.ends_with(b":") {
            if noun::is_moved(text, from) {
                return None;
            }
            let mut value = run_end(text, end, 3, |b| is_space(b) || b == b':');
            if let Some(line) = next_line(text, value) {
                return alone(text, line);
            }
            for _ in 0..2 {
                let adverb = run_end(text, value, WORD_MAX, |b| !b.is_ascii_whitespace());
                let word = slice(text, value, adverb);
                if is_one(word.strip_suffix(b":").unwrap_or(word), ADVERBS) || is_one(word, LINKS) {
                    value = run_end(text, adverb, 2, is_space);
                }
            }
            if let Some(line) = next_line(text, value) {
                return alone(text, line);
            }
            let typed = is_one(next, TYPED);
            return password_at(text, value)
                .filter(|found| !typed || speech::is_meant(text, found))
                .or_else(|| number_at(text, value).filter(|_| is_one(next, VERBS)))
                .or_else(|| second(text, value));
        }
        if next.is_empty() || matches!(next.last(), Some(b'.' | b'!' | b'?' | b';')) {
            return None;
        }
        from = end;
    }
    None
}

/// What stands below the word alone; not the row below the last heading of a table.
fn form(text: &[u8], at: usize, line: usize) -> Option<Finding> {
    let found = alone(text, line).filter(|found| is_strong(slice(text, found.start, found.end)));
    let heading = before(text, run_start(text, at, 2, |b| is_space(b) || b == b'"'));
    let row = |found: &Finding| {
        matches!(heading, b',' | b';' | b'|' | b'\t')
            && slice(text, found.start, found.end).contains(&heading)
    };
    found.filter(|found| !row(found))
}

/// Where the next line that is not empty begins, past what quotes or indents it; `at` ends a line.
fn next_line(text: &[u8], at: usize) -> Option<usize> {
    let feeds = |from: usize| run_end(text, from, 4, |b| matches!(b, b'\r' | b'\n'));
    let end = feeds(at);
    (end > at)
        .then(|| feeds(run_end(text, end, INDENT_MAX, |b| is_space(b) || matches!(b, b'>' | b'*' | b'-'))))
}

/// What stands below its label: one word in a line, or what is no word at all.
fn alone(text: &[u8], from: usize) -> Option<Finding> {
    let found = password_at(text, run_end(text, from, INDENT_MAX, is_space))?;
    let behind =
        run_end(text, found.end, 4, |b| is_space(b) || matches!(b, b'"' | b'\'' | b'`' | b'*' | b'.' | b'?'));
    let ends = matches!(byte(text, behind), b'\r' | b'\n' | 0 | b'"' | b'\\');
    let value = slice(text, found.start, found.end);
    let told = ends && speech::is_meant(text, &found) && !is_one(value, noun::TECHNICAL);
    (is_strong(value) || told).then_some(found)
}

/// Before the noun at `at`: "… as the password", "… (password)".
fn called_before(text: &[u8], at: usize) -> Option<Finding> {
    let start = at.saturating_sub(AROUND);
    let line = slice(text, start, at);
    let line = line.strip_suffix(b"mot de ".as_slice()).unwrap_or(line);
    let mut end = line.len();
    let bracket = line.last() == Some(&b'(');
    // No word ends so.
    if matches!(line.last(), Some(b':' | b'=')) {
        return None;
    }
    if bracket {
        end -= 1;
    } else {
        for _ in 0..3 {
            end = run_start(line, end, 2, is_space);
            let word = run_start(line, end, WORD_MAX, |b| !b.is_ascii_whitespace());
            let found = slice(line, word, end);
            end = word;
            if is_one(found, &[b"as", b"als", b"comme"]) {
                break;
            }
            if !is_one(found, ARTICLES) {
                return None;
            }
        }
    }
    let end = start + run_start(line, end, 1, is_space);
    let end = run_start(text, end, 2, |b| matches!(b, b'"' | b'\'' | b'`'));
    let from =
        run_start(text, end, 64, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'`' | b'('));
    let value = slice(text, from, end);
    let classes = Classes::of(value);
    let mixed = bracket && classes.digit > 1 && classes.lower > 1 && classes.upper > 0 && classes.other == 0;
    let made = is_scrambled(value) || is_strong(value) || (mixed && value.len() > 7);
    made.then(|| Finding::outer(Entity::Password, from, end, at + 1))
}

/// "are 1234 and Kestrel!48": one more after `and`.
fn second(text: &[u8], from: usize) -> Option<Finding> {
    let first = run_end(text, from, WORD_MAX, |b| !b.is_ascii_whitespace());
    let word = run_end(text, first, 1, is_space);
    let end = run_end(text, word, 4, |b| !b.is_ascii_whitespace());
    let joins: &[&[u8]] = &[b"and", b"und", b"et", b"or", b"oder", b"ou", b"/"];
    if is_one(slice(text, word, end), joins) {
        password_at(text, run_end(text, end, 2, is_space))
    } else {
        None
    }
}

/// The length of `'s` behind a noun.
fn owner(text: &[u8], from: usize) -> usize {
    let forms: [&[u8]; 2] = [b"'s", "\u{2019}s".as_bytes()];
    let found = forms.iter().find(|form| slice(text, from, from + form.len()) == **form);
    found.filter(|form| is_space(byte(text, from + form.len()))).map_or(0, |form| form.len())
}

pub(super) fn is_one(word: &[u8], of: &[&[u8]]) -> bool {
    of.iter().any(|one| word.eq_ignore_ascii_case(one))
}

/// "with password Kestrel48", `password "…"`, `| password | … |`, `<password>…</password>`: without a verb, only what no
/// word of a sentence looks like.
fn direct(text: &[u8], from: usize) -> Option<Finding> {
    let start = run_end(text, from, 6, |b| {
        is_space(b) || matches!(b, b'(' | b'>' | b'|' | b'"' | b'\\' | b'\'' | b'`' | b',')
    });
    if start == from {
        return None;
    }
    let state = run_end(text, start, WORD_MAX, |b| b.is_ascii_alphabetic() || b >= 0x80);
    let stated = byte(text, state) == b' ' && is_one(slice(text, start, state), STATES);
    let start = if stated { state + 1 } else { shell::past_kind(text, start) };
    // `name="password" value="…"`.
    let start =
        if slice(text, start, start + 7).eq_ignore_ascii_case(b"value=\"") { start + 7 } else { start };
    let found = password_at(text, start)?;
    let value = slice(text, found.start, found.end);
    let classes = Classes::of(value);
    let letters = classes.lower + classes.upper;
    let symbol = value.iter().any(|b| b"!@#$%^&*+?".contains(b));
    let told = classes.digit > 0 && letters > 2 && !is_one(value, noun::TECHNICAL);
    // `KEY=…`: the beginning of something else.
    let name = value.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    if name > 1 && byte(value, name) == b'=' && value.len() > name + 2 && !is_broken(value, name) {
        return None;
    }
    (told || is_jumbled(value) || is_scattered(value) || (symbol && letters > 3 && classes.kinds() > 2))
        .then_some(found)
}

/// Quotation marks of a sentence.
const MARKS: [&str; 6] = ["\u{ab}", "\u{bb}", "\u{201c}", "\u{201d}", "\u{201e}", "\u{2019}"];

/// Behind such a mark, and the blank that French puts behind it.
fn past_mark(text: &[u8], at: usize) -> usize {
    if byte(text, at) < 0xC2 {
        return at;
    }
    let Some(mark) = MARKS.iter().find(|mark| slice(text, at, at + mark.len()) == mark.as_bytes()) else {
        return at;
    };
    let end = at + mark.len();
    let blanks: [&[u8]; 3] = [b" ", "\u{a0}".as_bytes(), "\u{202f}".as_bytes()];
    blanks
        .iter()
        .find(|blank| slice(text, end, end + blank.len()) == **blank)
        .map_or(end, |blank| end + blank.len())
}

/// `PASSWORD('…')`: a call that is named after what it is given.
fn within_call(text: &[u8], at: usize) -> usize {
    let end = run_end(text, at, WORD_MAX, |b| b.is_ascii_alphabetic());
    let quote = byte(text, end) == b'(' && matches!(byte(text, end + 1), b'"' | b'\'');
    if quote && is_one(slice(text, at, end), WORDS) { end + 2 } else { at }
}

pub(super) fn password_at(text: &[u8], from: usize) -> Option<Finding> {
    let start =
        run_end(text, past_mark(text, from), 4, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'*' | b'('));
    let start = within_call(text, start);
    let stops = |b: u8| b.is_ascii_whitespace() || matches!(b, b'"' | b'\\' | b'`' | b'<' | b'|');
    let end = run_end(text, start, VALUE_MAX, |b| !stops(b));
    let quote = before(text, start);
    let closed =
        matches!(quote, b'"' | b'\'' | b'`') && start > from && !matches!(byte(text, start - 2), b'\\');
    let mut end = match closed.then(|| ends::quoted(text, start, VALUE_MAX, quote)).flatten() {
        Some(close) => close,
        None if closed => end,
        None => ends::unquoted(text, start, end, VALUE_MAX, stops),
    };
    while end > start && matches!(before(text, end), b'.' | b',' | b';' | b':' | b')' | b'\'' | b'?' | b'*') {
        end -= 1;
    }
    if start > from && byte(text, from) >= 0xC2 {
        let value = slice(text, start, end);
        end -= MARKS.iter().find(|mark| value.ends_with(mark.as_bytes())).map_or(0, |mark| mark.len());
    }
    let is_one = is_made_up(slice(text, start, end)) && !is_code(text, start, end);
    is_one.then(|| Finding::outer(Entity::Password, start, end, from))
}

fn number_at(text: &[u8], start: usize) -> Option<Finding> {
    let end = digits_end(text, start, 64);
    let behind = byte(text, end);
    let ends = !behind.is_ascii_alphanumeric() && !matches!(behind, b'-' | b'/' | b'_');
    (ends && is_long_number(slice(text, start, end)))
        .then(|| Finding::outer(Entity::Password, start, end, start))
}

pub(super) fn is_made_up(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    let symbol = value.iter().any(|b| b"!@#$%^&*+=~|?".contains(b));
    value.len() >= 6
        && classes.kinds() > 1
        && (classes.digit > 0 || symbol || is_jumbled(value) || is_scattered(value) || is_passphrase(value))
        && !is_reference(value)
        && !is_path(value)
        && !noun::is_standard(value)
        && !is_issue(value)
        && !value.windows(3).any(|w| w == b"://")
}

/// `#1051062`.
fn is_issue(value: &[u8]) -> bool {
    value.strip_prefix(b"#").is_some_and(|number| number.iter().all(u8::is_ascii_digit))
}

/// A word with a digit at `start..end`, which a sentence may call a password behind it ("… as the password") or, with a
/// name, before it ("credentials are admin:…").
pub(super) fn around(scan: &Scan<'_>, start: usize, end: usize) -> Option<Finding> {
    let text = scan.text;
    let stops = |b: u8| {
        b.is_ascii_whitespace() || matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'<' | b'>' | b'(' | b'|' | b',')
    };
    let from = run_start(text, start, 64, |b| !stops(b));
    let mut to = run_end(text, end, 64, |b| !stops(b));
    while to > end && matches!(before(text, to), b'.' | b':' | b';' | b')' | b'?') {
        to -= 1;
    }
    let to = called::past_question_mark(text, to);
    let whole = slice(text, from, to);
    // The common case, a number: nothing was made up.
    if whole.len() < 6 || whole.len() > 64 || !whole.iter().any(u8::is_ascii_alphabetic) {
        return None;
    }
    // "root/… are the credentials".
    let both = || is_called(text, to, LOGINS) || speech::is_pair(text, from, to);
    let Some(value) = pair::value(whole, both).map(|at| from + at) else { return column::find(scan, start) };
    let secret = slice(text, value, to);
    let classes = Classes::of(secret);
    if secret.len() < 6 || classes.digit == 0 || classes.lower + classes.upper < 3 {
        return None;
    }
    let behind = run_end(text, to, 2, |b| matches!(b, b'"' | b'\'' | b'`' | b'\\'));
    let called = value == from && is_space(byte(text, behind)) && is_called(text, to, WORDS);
    let glued = value > from;
    let pair = glued && is_called(text, to, LOGINS);
    let login = || pair::is_told(slice(text, from.saturating_sub(AROUND), from), glued, secret);
    let meant = called
        || pair
        || login()
        || command::is_of_net(text, from)
        || command::is_bound(text, from)
        || speech::is_announced(text, from, secret)
        || speech::is_set(text, from, to, secret)
        || called::is_argument(text, value, to)
        || called::is_asked(text, value, to)
        || called::is_of_directory(text, value)
        || command::is_auth(text, from, to);
    let short = secret.len() < 24 && classes.upper > 0 && classes.lower > 0;
    if short && encoded::is_login(secret) && pair::is_encoded(text, from) {
        return Some(Finding::outer(Entity::Authorization, value, to, end));
    }
    let found = (meant && is_made_up(secret) && !is_one(secret, noun::TECHNICAL))
        .then(|| Finding::outer(Entity::Password, value, to, end));
    found.or_else(|| column::find(scan, start))
}

/// A short number that a sign joins with a word, `Kestrel!48`, `48!kestrel`.
pub(super) fn behind_sign(scan: &Scan<'_>, start: usize, end: usize) -> Option<Finding> {
    let joins = |b: u8| matches!(b, b'!' | b'#' | b'%' | b'^' | b'*' | b'?' | b'&' | b'@' | b'$');
    let text = scan.text;
    let behind = joins(before(text, start)) && before(text, start - 1).is_ascii_alphabetic();
    let glued =
        behind || joins(byte(text, end)) && end > start + 1 && byte(text, end + 1).is_ascii_alphabetic();
    if glued { around(scan, start, end) } else { None }
}

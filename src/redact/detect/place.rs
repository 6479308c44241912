//! PASSWORD and API_KEY by their place, where no word for them is near: a directive of software that has a syntax of its own
//! (`rocommunity …`, `: PSK "…"`, `stats auth admin:…`, `WIFI:T:WPA;S:…;P:…;;`), and arguments of commands (`rasdial … eva …`,
//! `rabbitmqctl add_user eva …`, `kinit … <<< …`). One table says it all (`places.rs`): the words before a value, by which the
//! nearest of them is looked for.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::bytes::{Classes, before, byte, is_random, is_space, run_end, run_start, slice};
use super::places::{FED, KEYS, PASSWORDS};
use super::reference::{is_path, is_reference};
use super::words::is_slug;
use super::{Finding, assignment, noun, pair, password};
use crate::redact::entity::Entity;

const VALUE_MAX: usize = 96;
const VALUE_MIN: usize = 6;
const PASSWORD_MAX: usize = 64;
const KEY_MIN: usize = 16;
const WORD_MAX: usize = 48;
/// Words of a line before a value.
const WORDS_MAX: usize = 20;
/// How far a line goes back, and how far one above it is looked at.
const LINE_MAX: usize = 192;
const ABOVE: usize = 160;
/// Words between the value and the word that it is looked up by.
const NEAR: usize = 4;
/// No word of a place.
const NONE: usize = usize::MAX;
/// What a line says to another command.
const SAYS: &[&[u8]] = &[b"echo", b"printf"];
/// Blanks, quotes and signs before a value.
const GAP_MAX: usize = 6;

/// One word of a place.
enum Word {
    /// Any one.
    Any,
    /// Any, or none.
    Some,
    /// One of these.
    One(Vec<Form>),
    /// The same, at the beginning of a line.
    First(Vec<Form>),
    /// What stands not far before.
    Above(Vec<&'static str>),
    /// A sign between the last word and the value.
    Sign(u8),
}

enum Form {
    Any,
    Is(&'static str),
    Exact(&'static str),
    Begins(&'static str),
    /// What names a password.
    Named,
}

impl Form {
    fn of(word: &'static str) -> Self {
        match (word.strip_prefix('='), word.strip_suffix('*')) {
            _ if word == "*" => Self::Any,
            _ if word == "@" => Self::Named,
            (Some(exact), _) => Self::Exact(exact),
            (_, Some(head)) => Self::Begins(head),
            _ => Self::Is(word),
        }
    }

    fn fits(&self, word: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Named => assignment::names_password(word),
            Self::Is(is) => word.eq_ignore_ascii_case(is.as_bytes()),
            Self::Exact(is) => word == is.as_bytes(),
            Self::Begins(head) => {
                word.get(..head.len()).is_some_and(|of| of.eq_ignore_ascii_case(head.as_bytes()))
            }
        }
    }

    fn name(&self) -> Option<&'static [u8]> {
        match self {
            Self::Is(is) | Self::Exact(is) => Some(is.as_bytes()),
            Self::Any | Self::Named | Self::Begins(_) => None,
        }
    }
}

struct Place {
    /// From the value on to the left.
    words: Vec<Word>,
    entity: Entity,
    /// Whether something above has to say it, which names of things follow as well.
    weak: bool,
}

impl Place {
    fn of(text: &'static str, entity: Entity) -> Self {
        let (above, rest) = match text.strip_prefix('~') {
            // What stands above may hold blanks: it goes on to the first word that has none before a sign of its own.
            Some(rest) => rest.rsplit_once(" ^").map_or_else(
                || rest.rsplit_once(' ').unwrap_or((rest, "")),
                |(above, _)| (above, rest.get(above.len() + 1..).unwrap_or_default()),
            ),
            None => ("", text),
        };
        let forms = |word: &'static str| word.split('|').map(Form::of).collect::<Vec<_>>();
        let word = |word: &'static str| match word.as_bytes() {
            b"*" => Word::Any,
            b"**" => Word::Some,
            [sign @ (b':' | b',' | b'"' | b'>' | b'=' | b'}')] => Word::Sign(*sign),
            [b'^', ..] => Word::First(forms(word.get(1..).unwrap_or_default())),
            _ => Word::One(forms(word)),
        };
        let mut words: Vec<_> = rest.split(' ').filter(|word| !word.is_empty()).rev().map(word).collect();
        if !above.is_empty() {
            words.push(Word::Above(above.split('|').collect()));
        }
        Self { words, entity, weak: !above.is_empty() }
    }

    /// Whether what stands there may be one of its values.
    fn takes(&self, value: &[u8]) -> bool {
        match self.entity {
            Entity::ApiKey => value.len() >= KEY_MIN && is_random(value),
            _ => value.len() <= PASSWORD_MAX && !(self.weak && is_slug(value)),
        }
    }

    /// The nearest words that are of a closed list, and how many stand between them and the value.
    fn anchor(&self) -> Option<(usize, &[Form])> {
        let mut distance = 0;
        for word in &self.words {
            match word {
                Word::Sign(_) => {}
                Word::One(forms) | Word::First(forms) if forms.iter().all(|form| form.name().is_some()) => {
                    return Some((distance, forms));
                }
                Word::Any | Word::One(_) | Word::First(_) => distance += 1,
                Word::Some | Word::Above(_) => return None,
            }
        }
        None
    }
}

/// All of them, and by which words they are looked up.
struct Table {
    places: Vec<Place>,
    /// For each distance, a bit for what a word's length and letters come to.
    bits: [[u64; 64]; NEAR],
    /// The places of each bit.
    of: HashMap<(usize, usize), Vec<usize>>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let passwords = PASSWORDS.iter().map(|place| Place::of(place, Entity::Password));
    let keys = KEYS.iter().map(|place| Place::of(place, Entity::ApiKey));
    let places: Vec<_> = passwords.chain(keys).collect();
    let mut bits = [[0; 64]; NEAR];
    let mut of: HashMap<_, Vec<_>> = HashMap::new();
    let mut mark = |distance: usize, name: &[u8], index: Option<usize>| {
        let bit = bit(name);
        of.entry((distance, bit)).or_default().extend(index);
        if let Some(part) = bits.get_mut(distance).and_then(|row: &mut [u64; 64]| row.get_mut(bit / 64)) {
            *part |= 1 << (bit % 64);
        }
    };
    for (index, place) in places.iter().enumerate() {
        let Some((distance, forms)) = place.anchor() else { continue };
        forms.iter().filter_map(Form::name).for_each(|name| mark(distance, name, Some(index)));
    }
    for distance in 0..2 {
        SAYS.iter().for_each(|name| mark(distance, name, None));
    }
    Table { places, bits, of }
});

/// What a word's length and three of its letters come to, below 4096.
fn bit(word: &[u8]) -> usize {
    let letter = |at: usize| usize::from(byte(word, at) & 31);
    let last = usize::from(before(word, word.len()) & 31);
    (word.len() * 1103 + letter(0) * 131 + last * 37 + letter(word.len() / 2) * 7) & 4095
}

fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`' | b'\\')
}

const PART: u8 = 1;
const STOP: u8 = 2;

/// What stands between words, and what no value begins behind.
static KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let (parts, more) = (b" \t\n\r\x0C\"'`\\=:,;(){}<>|", b"?&!");
    let mut at = 0;
    #[expect(clippy::indexing_slicing, reason = "within the rows; `get` is not const")]
    while at < parts.len() {
        table[parts[at] as usize] = PART | STOP;
        if at < more.len() {
            table[more[at] as usize] = PART;
        }
        at += 1;
    }
    table
};

fn is(b: u8, kind: u8) -> bool {
    KINDS.get(usize::from(b)).is_some_and(|of| of & kind != 0)
}

fn parts(b: u8) -> bool {
    is(b, PART)
}

/// The word that ends before `end`, of the same line and not before `from`.
#[inline(always)]
fn word_before(text: &[u8], from: usize, end: usize) -> Option<(usize, usize)> {
    let mut to = end;
    loop {
        let last = before(text, to);
        if to <= from || last == b'\n' || last == b'\r' {
            return None;
        }
        if !parts(last) {
            // A literal one.
            if matches!(last, b'n' | b'r') && to > 1 && byte(text, to - 2) == b'\\' {
                return None;
            }
            break;
        }
        // A string is one word.
        if is_quote(last) && to < end && matches!(byte(text, to), b' ' | b',') {
            let open = run_start(text, to - 1, WORD_MAX, |b| b != last && b != b'\n');
            if before(text, open) == last && open < to - 1 {
                return Some((open, to - 1));
            }
        }
        to -= 1;
    }
    let head = slice(text, from.max(to.saturating_sub(WORD_MAX)), to);
    let start = to - head.iter().rev().take_while(|b| !parts(**b)).count();
    // A literal line break, and what begins behind it.
    if before(text, start) == b'\\' && matches!(byte(text, start), b'n' | b'r' | b't') {
        return (start + 1 < to).then_some((start + 1, to));
    }
    Some((start, to))
}

/// The words before a value, the nearest first.
struct Words<'a> {
    text: &'a [u8],
    words: [(usize, usize); WORDS_MAX],
    count: usize,
    /// Where what stands before the words read so far ends, and whether the line does.
    end: usize,
    first: bool,
    from: usize,
}

impl<'a> Words<'a> {
    fn before(text: &'a [u8], at: usize) -> Self {
        Self {
            text,
            words: [(0, 0); WORDS_MAX],
            count: 0,
            end: at,
            first: false,
            from: at.saturating_sub(LINE_MAX),
        }
    }

    /// The word of a place, read when it is asked for.
    fn get(&mut self, place: usize) -> Option<&'a [u8]> {
        while self.count <= place {
            let word = self.next()?;
            *self.words.get_mut(self.count)? = word;
            self.count += 1;
        }
        let (start, end) = *self.words.get(place)?;
        Some(slice(self.text, start, end))
    }

    fn next(&mut self) -> Option<(usize, usize)> {
        let found = if self.first { None } else { word_before(self.text, self.from, self.end) };
        match found {
            Some(word) => {
                self.end = word.0;
                // The opening quote of a string that was one word.
                self.end -=
                    usize::from(is_quote(byte(self.text, word.1)) && is_quote(before(self.text, word.0)));
            }
            None => self.first = true,
        }
        found
    }

    /// Whether a word begins the line.
    fn is_first(&mut self, place: usize) -> bool {
        self.get(place).is_some() && self.get(place + 1).is_none() && self.first
    }
}

/// What a run of characters at `at` is the beginning of, or of what signs stand before: a value, by the words before it.
#[inline(always)]
pub(super) fn find(text: &[u8], at: usize) -> Option<Finding> {
    let start =
        if is(before(text, at), STOP) { at } else { run_start(text, at, VALUE_MAX, |b| !is(b, STOP)) };
    let last = before(text, start);
    // A string under a key of JSON.
    let keyed = is_quote(last) && {
        let sign = run_start(text, start - 1, 3, |b| is_space(b) || is_quote(b));
        before(text, sign) == b':' && is_quote(before(text, sign - 1))
    };
    // A path, a URL.
    if last == b'\n' || last == 0 || byte(text, start) == b'/' || keyed { None } else { behind(text, start) }
}

/// The value that begins at `start`.
pub(super) fn behind(text: &[u8], start: usize) -> Option<Finding> {
    let sep = run_start(text, start, GAP_MAX, |b| is_space(b) || is_quote(b) || b"=:>,<}({".contains(&b));
    if sep == start {
        return None;
    }
    let gap = slice(text, sep, start);
    let from = start.saturating_sub(LINE_MAX);
    let mut end = sep;
    // How it is written: 0 as it is, others as a digest.
    if before(text, end).is_ascii_digit() && is_space(before(text, end - 1)) {
        end -= 1;
    }
    let begin = end;
    let mut near = [NONE; NEAR];
    for (row, near) in TABLE.bits.iter().zip(&mut near) {
        let Some(word) = word_before(text, from, end) else { break };
        let bit = bit(slice(text, word.0, word.1));
        if row.get(bit / 64).is_some_and(|part| part >> (bit % 64) & 1 == 1) {
            *near = bit;
        }
        end = word.0 - usize::from(is_quote(byte(text, word.1)) && is_quote(before(text, word.0)));
    }
    if near == [NONE; NEAR] && !gap.contains(&b'<') {
        return None;
    }
    named(text, (start, gap), near, Words::before(text, begin))
}

#[cold]
fn named(
    text: &[u8],
    (start, gap): (usize, &[u8]),
    near: [usize; NEAR],
    mut words: Words<'_>,
) -> Option<Finding> {
    let words = &mut words;
    let quote = gap.last().copied().filter(|b| is_quote(*b));
    let stops = |b: u8| match quote {
        Some(quote) => b == quote || is_quote(b) || b < b' ',
        None => b.is_ascii_whitespace() || is_quote(b) || matches!(b, b'<' | b';' | b'|'),
    };
    let mut end = run_end(text, start, VALUE_MAX, |b| !stops(b));
    while quote.is_none()
        && matches!(before(text, end), b'.' | b',' | b':' | b')' | b']' | b'}')
        && end > start
    {
        end -= 1;
    }
    let value = slice(text, start, end);
    if !is_made(value) {
        return None;
    }
    let found = |entity| Finding::outer(entity, start, end, end);
    if is_fed(text, (end, gap), words) {
        return Some(found(Entity::Password));
    }
    let table = &*TABLE;
    let mut found_at = near.iter().enumerate().filter(|(_, bit)| **bit != NONE);
    let place = found_at.find_map(|(distance, bit)| {
        let mut places = table.of.get(&(distance, *bit))?.iter().filter_map(|index| table.places.get(*index));
        places.find(|place| fits(&place.words, 0, gap, words) && place.takes(value))
    })?;
    Some(found(place.entity))
}

/// Whether a place's words, from the value on to the left, stand there from the word `at` on.
fn fits(place: &[Word], at: usize, gap: &[u8], words: &mut Words<'_>) -> bool {
    let Some((word, rest)) = place.split_first() else { return true };
    let one = |forms: &[Form], words: &mut Words<'_>| {
        words.get(at).is_some_and(|word| forms.iter().any(|form| form.fits(word)))
    };
    match word {
        Word::Sign(sign) => {
            let stands = match sign {
                b'"' => gap.iter().any(|b| is_quote(*b)),
                b':' | b',' => gap.iter().all(|b| b == sign || is_quote(*b)) && gap.first() == Some(sign),
                b'>' => gap.last() == Some(sign) && gap.len() > 1,
                _ => gap.contains(sign),
            };
            stands && fits(rest, at, gap, words)
        }
        Word::Any => words.get(at).is_some() && fits(rest, at + 1, gap, words),
        Word::One(forms) => one(forms, words) && fits(rest, at + 1, gap, words),
        Word::First(forms) => one(forms, words) && words.is_first(at) && fits(rest, at + 1, gap, words),
        Word::Some => (at..WORDS_MAX).any(|from| fits(rest, from, gap, words)),
        Word::Above(of) => {
            let above = slice(words.text, words.end.saturating_sub(ABOVE), words.end);
            let mut small = [0; ABOVE];
            small.iter_mut().zip(above).for_each(|(to, from)| *to = from.to_ascii_lowercase());
            let small = slice(&small, 0, above.len());
            of.iter().any(|one| memchr::memmem::find(small, one.as_bytes()).is_some())
        }
    }
}

/// `echo … | openconnect --passwd-on-stdin`, `kinit eva <<< …`: what is fed to a command that asks for a password.
fn is_fed(text: &[u8], (end, gap): (usize, &[u8]), words: &mut Words<'_>) -> bool {
    let asks = |word: &[u8]| {
        FED.iter().any(|one| word == one.as_bytes())
            || word.starts_with(b"--pass")
            || word.windows(5).any(|at| at == b"stdin") && word.starts_with(b"-")
    };
    if gap.windows(3).any(|signs| signs == b"<<<") {
        return (0..WORDS_MAX).any(|at| words.get(at).is_some_and(asks));
    }
    let says = |word: Option<&[u8]>| word.is_some_and(|word| SAYS.contains(&word));
    if !says(words.get(0)) && !says(words.get(1)) {
        return false;
    }
    let line = slice(text, end, text.len().min(end + ABOVE));
    let line = line.split(|b| matches!(b, b'\n' | b'\r' | b';')).next().unwrap_or_default();
    let pipe = run_end(line, 0, 4, |b| is_space(b) || is_quote(b));
    byte(line, pipe) == b'|'
        && slice(line, pipe + 1, line.len()).split(|b| is_space(*b) || is_quote(*b)).any(asks)
}

/// What a person or a machine made up, and no name of a thing.
fn is_made(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    let constant = classes.lower == 0 && classes.digit < 3 && value.iter().any(|b| matches!(b, b'_' | b'-'));
    let named = is_slug(value) && classes.digit < 3 || pair::is_version(value);
    value.len() >= VALUE_MIN
        && classes.digit > 0
        && classes.lower + classes.upper > 1
        && !constant
        && !named
        && !value.contains(&b'(')
        && !is_reference(value)
        && !is_path(value)
        && !noun::is_standard(value)
        && !password::is_one(value, noun::TECHNICAL)
        && !value.windows(3).any(|three| three == b"://")
}

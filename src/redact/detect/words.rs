//! Telling what was made at random from what is written of words: by its capitals and by pairs of letters that no word of
//! English, German, French or of names in code has often.

use super::bytes::{Classes, before, byte, slice};

/// For each letter, those that hardly ever stand behind it.
const RARE_BEHIND: [&[u8]; 26] = [
    b"",
    b"cdfkmnpqvwxz",
    b"bdfgjmnpqvwxz",
    b"bcfkpqtvwxz",
    b"",
    b"bcdhjkmnpqvwxyz",
    b"cdfjpqvxz",
    b"bcdfghjkpqvxz",
    b"",
    b"bcdfghjklmnpqrstvwxyz",
    b"bcdfgjmqvxz",
    b"hqrwxz",
    b"cfhjkqrvxyz",
    b"qx",
    b"x",
    b"bdgjkmnqvwxyz",
    b"bcdefghijklmnopqrstvwxyz",
    b"jqx",
    b"jx",
    b"bjkqvx",
    b"q",
    b"bcdfghjklmnpqtvwxyz",
    b"bcdfgjklmpqtvwxyz",
    b"bdfghjklmnoqrsuvwxyz",
    b"bcdfghjkqvwxyz",
    b"bcdfghjklmnpqrsvxyz",
];

/// The same, a bit each.
static RARE: [u32; 26] = {
    let mut table = [0; 26];
    let mut row = 0;
    #[expect(
        clippy::indexing_slicing,
        reason = "within the rows, which hold small letters; `get` is not const"
    )]
    while row < RARE_BEHIND.len() {
        let mut at = 0;
        while at < RARE_BEHIND[row].len() {
            table[row] |= 1 << (RARE_BEHIND[row][at] - b'a');
            at += 1;
        }
        row += 1;
    }
    table
};
/// Words of two letters that names in code are written of.
const SHORT: &[&[u8; 2]] = &[
    b"is", b"by", b"of", b"to", b"in", b"on", b"or", b"no", b"id", b"db", b"my", b"at", b"as", b"us", b"up",
    b"it", b"do", b"ui", b"io", b"os", b"pw", b"vm", b"ip", b"js", b"go", b"an", b"if", b"me", b"we", b"so",
    b"be", b"he", b"ok", b"fs", b"tx", b"rx",
];
/// A longer value is judged by its beginning.
const MOST: usize = 64;

/// What letters look like.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    /// Parts between capitals that are no words: of one or two letters, or without a vowel.
    odd: usize,
    /// Pairs that hardly any word has.
    rare: usize,
    /// Those of them within a part.
    within: usize,
}

impl Look {
    fn of(letters: &[u8]) -> Self {
        let mut look = Self { odd: 0, rare: rare_pairs(letters), within: 0 };
        let mut from = 0;
        while from < letters.len() {
            let end = part_end(letters, from);
            let part = slice(letters, from, end);
            look.within += rare_pairs(part);
            look.odd += usize::from(is_odd(part));
            from = end.max(from + 1);
        }
        look
    }
}

fn rare_pairs(letters: &[u8]) -> usize {
    let place = |b: u8| usize::from((b | 0x20).wrapping_sub(b'a'));
    let is_rare = |a: u8, b: u8| RARE.get(place(a)).is_some_and(|row| row >> place(b).min(31) & 1 == 1);
    letters.iter().zip(letters.iter().skip(1)).filter(|(a, b)| is_rare(**a, **b)).count()
}

/// The end of a word that begins at `from`: before the next capital, or, of capitals, before the one that begins a word.
fn part_end(letters: &[u8], from: usize) -> usize {
    let upper = |at: usize| byte(letters, at).is_ascii_uppercase();
    let lower = |at: usize| byte(letters, at).is_ascii_lowercase();
    let mut end = from + 1;
    if upper(from) && upper(end) {
        while upper(end) && !lower(end + 1) {
            end += 1;
        }
        return end;
    }
    while lower(end) {
        end += 1;
    }
    end
}

fn is_odd(part: &[u8]) -> bool {
    if part.len() > 1 && part.iter().all(u8::is_ascii_uppercase) {
        return false;
    }
    match part {
        [_] => true,
        [_, _] => !SHORT.iter().any(|word| part.eq_ignore_ascii_case(*word)),
        _ => !part.iter().any(|b| matches!(b | 0x20, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')),
    }
}

/// Whether letters alone were made at random, where a name says that a credential stands.
pub(super) fn is_random_letters(value: &[u8]) -> bool {
    looks_random(value, |look| look.odd > 1 || look.within > 1 || (look.odd > 0 && look.rare > 0))
}

/// The same in a sentence, where the name of something may stand.
pub(super) fn is_scattered(value: &[u8]) -> bool {
    looks_random(value, |look| look.odd > 1 || look.within > 1)
}

fn looks_random(value: &[u8], mixed: fn(Look) -> bool) -> bool {
    let head = value.get(..MOST).unwrap_or(value);
    if head.len() < 6 || !head.iter().all(u8::is_ascii_alphabetic) {
        return false;
    }
    // A capital at the end is a mark, as of `ProviderA`.
    let marked = head.len() > 8 && before(head, head.len() - 1).is_ascii_lowercase();
    let last = before(head, head.len()).is_ascii_uppercase();
    let head = if marked && last { slice(head, 0, head.len() - 1) } else { head };
    let classes = Classes::of(head);
    let look = Look::of(head);
    if classes.lower == 0 || classes.upper == 0 || (classes.upper == 1 && byte(head, 0).is_ascii_uppercase())
    {
        return head.len() >= 8 && classes.lower > 0 && look.rare > 1;
    }
    mixed(look)
}

/// The same, where little else says that a value is meant: no name in code looks so.
pub(super) fn is_plainly_random_letters(value: &[u8]) -> bool {
    let head = value.get(..MOST).unwrap_or(value);
    let classes = Classes::of(head);
    if value.len() < 16 || classes.digit + classes.other > 0 || classes.lower < 4 || classes.upper < 4 {
        return false;
    }
    let look = Look::of(head);
    look.odd > 0 && look.odd + look.rare > 4
}

/// A key of eight to fifteen characters: capitals, small letters and digits, or capitals and digits, and no words.
pub(super) fn is_short_key(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    let cases = (classes.lower > 0 && classes.upper > 0) || (classes.lower == 0 && classes.upper > 1);
    if !(8..16).contains(&value.len())
        || classes.digit < 1
        || !cases
        || !value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'/'))
        || (classes.lower == 0 && classes.digit < 2)
    {
        return false;
    }
    let parts = value.split(|b| !b.is_ascii_alphabetic()).filter(|part| !part.is_empty());
    let (mut odd, mut count) = (0, 0);
    for part in parts {
        let look = Look::of(part);
        // Of capitals alone, a part of one or two is no word either.
        let scrap = part.len() < 3 && part.iter().all(u8::is_ascii_uppercase);
        odd += look.odd.max(usize::from(scrap)) + look.rare;
        count += 1;
    }
    odd > 1 || (odd > 0 && (count > 2 || classes.digit > 1))
}

/// A longer key of capitals, small letters and digits that are no words, however seldom they change.
pub(super) fn is_scraps(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    if !(16..=MOST).contains(&value.len())
        || classes.digit == 0
        || classes.lower < 3
        || classes.upper < 3
        || classes.other > 0
    {
        return false;
    }
    let parts = value.split(u8::is_ascii_digit).filter(|part| !part.is_empty());
    // A word.
    if value.split(|b| !b.is_ascii_lowercase()).any(|run| run.len() > 7) {
        return false;
    }
    let odd: usize = parts.map(Look::of).map(|look| look.odd + look.rare).sum();
    odd > 4
}

/// Words with signs between, as names of things are written: `my-secret-name-1`, `customer_id_v2`, `prod/db/main`.
pub(super) fn is_slug(value: &[u8]) -> bool {
    let mut parts = 0;
    value.len() <= MOST
        && value.split(|b| matches!(b, b'-' | b'_' | b'/' | b'.')).all(|part| {
            parts += 1;
            let digits = part.strip_prefix(b"v").unwrap_or(part);
            let number = (1..=4).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
            let letters = part.len() - part.iter().rev().take_while(|b| b.is_ascii_digit()).count();
            let word = slice(part, 0, letters);
            let tail = part.len() - letters;
            let written =
                (2..15).contains(&word.len()) && tail < 3 && word.iter().all(u8::is_ascii_lowercase);
            number || (written && rare_pairs(word) < 2)
        })
        && parts > 1
}

/// `nebelhorn.hedgehog.279`, `7524-hirondelle`: words, and at an end of them a number of two digits or more, as people make
/// up passwords and no member is called.
pub(super) fn is_numbered(value: &[u8]) -> bool {
    let separates = |b: &u8| matches!(b, b'-' | b'_' | b'.');
    let number = |part: &[u8]| (2..=4).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    let word = |part: &[u8]| (3..15).contains(&part.len()) && part.iter().all(u8::is_ascii_lowercase);
    let mut parts = value.split(separates).peekable();
    let first = parts.next_if(|part| number(part)).is_some();
    let mut words = 0;
    while parts.next_if(|part| word(part)).is_some() {
        words += 1;
    }
    let last = parts.next_if(|part| number(part)).is_some();
    (first || last) && words > 0 && parts.next().is_none() && !value.starts_with(b"test")
}

/// Words that a sentence has and a passphrase hardly.
const OF_SENTENCES: &[&[u8]] = &[
    b"the",
    b"and",
    b"for",
    b"not",
    b"with",
    b"that",
    b"this",
    b"from",
    b"must",
    b"should",
    b"was",
    b"are",
    b"you",
    b"your",
    b"has",
    b"have",
    b"can",
    b"will",
    b"any",
    b"all",
    b"one",
    b"used",
    b"when",
    b"der",
    b"die",
    b"das",
    b"und",
    b"ist",
    b"nicht",
    b"mit",
    b"ein",
    b"eine",
    b"muss",
    b"wird",
    b"wurde",
    b"les",
    b"des",
    b"une",
    b"est",
    b"pas",
    b"pour",
    b"par",
    b"dans",
    b"doit",
    b"avec",
    b"words",
    b"characters",
    b"least",
    b"only",
    b"see",
];

/// Four words or more, as passphrases are made of: `correct horse battery staple`.
pub(super) fn is_passphrase(value: &[u8]) -> bool {
    let mut count = 0;
    value.len() <= 2 * MOST
        && value.split(|b| matches!(b, b' ' | b'-')).all(|word| {
            count += 1;
            (3..=10).contains(&word.len())
                && word.iter().all(u8::is_ascii_lowercase)
                && !OF_SENTENCES.contains(&word)
        })
        && (4..=8).contains(&count)
}

/// Words of which one is made up, `Kestrel48x im Moor`, or that are a passphrase; none of them is one of a sentence.
pub(super) fn is_phrase(value: &[u8]) -> bool {
    if is_passphrase(value) {
        return true;
    }
    let words = || value.split(|b| *b == b' ').filter(|word| !word.is_empty());
    let made = |word: &[u8]| {
        let classes = Classes::of(word);
        classes.lower + classes.upper > 2 && classes.digit > 0 && !word.iter().any(|b| b"/:=(\"".contains(b))
    };
    let told = |word: &[u8]| OF_SENTENCES.iter().any(|one| word.eq_ignore_ascii_case(one));
    let marked = matches!(value.last(), Some(b'.' | b':' | b'?'));
    value.len() <= MOST
        && !marked
        && !words().any(told)
        && match words().count() {
            2 | 3 => words().any(made),
            4..=8 => {
                words().any(made) || words().any(|word| word.len() > 1 && word.iter().all(u8::is_ascii_digit))
            }
            _ => false,
        }
}

//! PHONE_NUMBER: international (`+`, `00`) by country and length, and the national forms of
//! Austria, Germany, Switzerland, France, Great Britain and North America.
//! A number without `+` and without any separator needs a word that says it is one.

use super::bytes::{self, before, byte, is_word};
use super::lead;
use super::number::{Group, Number, Taken, WIDE};

pub(super) const WORDS: &[&str] = &[
    "tel",
    "tél",
    "tel.",
    "telefon",
    "telephone",
    "téléphone",
    "phone",
    "mobile",
    "mobil",
    "handy",
    "natel",
    "ruf",
    "rufen",
    "anrufen",
    "rufnummer",
    "telefonnummer",
    "handynummer",
    "appelez",
    "appeler",
    "portable",
    "fax",
    "sms",
    "whatsapp",
    "phone_number",
    "mobile_number",
    "dial",
    "rappelez",
    "erreichbar",
    "joindre",
    "numéro",
    "r\u{fc}ckruf",
    "joignable",
    "erreichst",
    "telefonisch",
    "msisdn",
];

/// These are parts of names in programs, too: `RING = 2147483648`.
const VERBS: &[&str] = &["call", "ring", "cell", "reach"];

/// Words that make the digits right behind them a number to call; in JSON, those of `KEYS`.
const CALLS: &[&str] = &[
    "text",
    "texte",
    "texto",
    "callback",
    "contact",
    "contacte",
    "contactez",
    "kontakt",
    "kontaktiere",
    "signal",
    "threema",
    "imessage",
    "viber",
    "appelle",
    "appeler",
    "composez",
    "w\u{e4}hle",
    "melde",
];
const KEYS: &[&str] =
    &["contact", "kontakt", "callback", "msisdn", "contact_number", "contactnumber", "contact_no"];

/// `number` alone is that of anything; somebody's number is one to call.
const NOUNS: &[&str] = &["number", "nummer", "num\u{e9}ro", "numero", "nr", "no"];
const OWNERS: &[&str] = &[
    "my", "our", "his", "her", "their", "your", "meine", "unsere", "seine", "ihre", "deine", "eure", "mon",
    "notre", "son", "votre", "ton",
];

/// Words beside lists of numbers.
const LISTS: &[&str] = &[
    "lottery",
    "lotto",
    "loto",
    "ziehung",
    "draw",
    "draws",
    "tirage",
    "gewinnzahlen",
    "zahlen",
    "hex",
    "hexdump",
    "bytes",
    "byte",
    "octets",
    "matrix",
    "sudoku",
    "bingo",
    "weeks",
    "week",
    "wochen",
    "kw",
    "array",
    "vector",
];

/// Country codes with the lengths of their national numbers, where we know the plan.
const PLANS: &[(&[u8], usize, usize)] = &[
    (&[4, 3], 5, 13),
    (&[4, 9], 6, 12),
    (&[4, 1], 9, 9),
    (&[3, 3], 9, 9),
    (&[4, 4], 9, 10),
    (&[1], 10, 10),
    (&[3, 9], 6, 11),
    (&[3, 4], 9, 9),
    (&[3, 1], 9, 9),
    (&[3, 2], 8, 9),
    (&[4, 2, 3], 7, 7),
    (&[3, 5, 2], 6, 9),
];

pub(super) fn find(number: &Number<'_>) -> Option<(usize, usize)> {
    let text = number.scan.text;
    let start = number.start();
    // Of columns a telephone's only behind its word.
    if before(text, start) == b'-' || is_clock(number) || (is_column(number) && !is_worded(number)) {
        return None;
    }
    let (start, end) = bare(number)?;
    // A bracket before the number that closes within.
    let count = |sign: u8| memchr::memchr_iter(sign, bytes::slice(text, start, end)).count();
    let inside = before(text, start) == b'(' && count(b')') > count(b'(');
    Some((start - usize::from(inside), end))
}

/// The last word before a number, past the point that shortens it.
fn lead_word(head: &[u8]) -> &[u8] {
    let end = bytes::run_start(head, head.len(), 6, |b| bytes::is_space(b) || matches!(b, b'.' | b':'));
    bytes::slice(head, bytes::run_start(head, end, 16, is_word), end)
}

/// Groups of a row of columns.
fn is_column(number: &Number<'_>) -> bool {
    number.groups.first().is_some_and(|group| group.sep == WIDE)
}

/// Whether a word for a telephone stands right before, or is the key.
#[cold]
fn is_worded(number: &Number<'_>) -> bool {
    let [word, _] = lead::words(number.scan.text, number.start());
    let key = number.scan.key.as_bytes();
    let counts = |word: &[u8]| lead::is_one_of(word, WORDS) && !lead::is_one_of(word, NOUNS);
    counts(word) || (!key.is_empty() && bytes::holds_word(key, WORDS) && !lead::is_one_of(key, NOUNS))
}

/// From the first digit or the `+` on.
fn bare(number: &Number<'_>) -> Option<(usize, usize)> {
    let text = number.scan.text;
    let start = number.start();
    if before(text, start) == b'(' && before(text, start - 1) == b'+' && !is_word(before(text, start - 2)) {
        return international(number, 0, true).map(|end| (start - 2, end));
    }
    if before(text, start) == b'+' && !is_word(before(text, start - 1)) {
        if is_version(text, start - 1) || is_fraction(number) || is_coordinate(number) {
            return None;
        }
        let end = international(number, 0, true)?;
        return Some((start - 1, end));
    }
    if let Some(end) = zeros(number, true) {
        return Some((start, end));
    }
    let end = trunk(number, true).or_else(|| north_american(number)).or_else(|| named(number))?;
    let head = bytes::slice(text, start.saturating_sub(LOOK), start);
    let key = number.scan.key.as_bytes();
    let other = (bytes::holds_word(head, lead::OTHERS) && !bytes::holds_word(head, lead::PLACES))
        || (!key.is_empty() && bytes::holds_word(key, lead::OTHERS));
    // "Port. : 06 …": the French word for a mobile telephone; no port has five pairs of digits.
    let pairs = number.groups.len() >= 5 && number.groups.iter().take(5).all(|group| group.len == 2);
    let other = other && !(pairs && lead::is_one_of(lead_word(head), &["port"]));
    (!other || bytes::holds_word(head, WORDS) || bytes::holds_word(head, VERBS)).then_some((start, end))
}

/// `18:34:08 2016 -0400`, `18:08 2016 -0400`, `00.24.33 -1200`: a time, and the year or the zone behind it.
fn is_clock(number: &Number<'_>) -> bool {
    let start = number.start();
    let pair = |at: usize| {
        at.checked_sub(3).is_some_and(|from| {
            let head = bytes::slice(number.scan.text, from, at);
            matches!(head, [tens, ones, b':'] if tens.is_ascii_digit() && ones.is_ascii_digit())
        })
    };
    let sixty = number.digits.first().is_some_and(|tens| *tens < 6);
    let lens = |of: &[usize]| {
        number.groups.len() > of.len() && number.groups.iter().zip(of).all(|(g, len)| g.len == *len)
    };
    let year = matches!(number.digits.get(2..4), Some([1, 9] | [2, 0])) && lens(&[2, 4]);
    let dotted =
        lens(&[2, 2, 2]) && number.groups.iter().take(3).map(|g| g.sep == b'.').eq([true, true, false]);
    sixty && (dotted || (lens(&[2]) && pair(start) && (year || pair(start - 3))))
}

/// `+513030-0000731`, `+5320-00615`: degrees, minutes and seconds north, and west of what is no number's middle.
fn is_coordinate(number: &Number<'_>) -> bool {
    let [north, west, others @ ..] = number.groups else { return false };
    let part = |from: usize, len: usize| {
        let digits = number.digits.get(from..from + len).unwrap_or_default();
        digits.iter().fold(0_u32, |value, digit| value * 10 + u32::from(*digit))
    };
    let shaped = matches!((north.len, west.len), (4, 5) | (6, 7)) && north.sep == b'-';
    let sixty = |from: usize, to: usize| (from..to).step_by(2).all(|at| part(at, 2) < 60);
    let west_of = north.len;
    shaped
        && (others.is_empty() || west.sep == b' ')
        && number.digits.get(west_of) == Some(&0)
        && part(0, 2) <= 90
        && sixty(2, north.len)
        && sixty(west_of + 3, west_of + west.len)
}

/// The `+` of `1:14~++20220202` and `1.0~+20191229`: what goes on in a version.
fn is_version(text: &[u8], plus: usize) -> bool {
    let sign = before(text, plus);
    sign == b'+' || (sign == b'~' && is_word(before(text, plus - 1)))
}

/// `+35236450.6`: a number and its decimals.
fn is_fraction(number: &Number<'_>) -> bool {
    match number.groups {
        [whole, part] => whole.len > 4 && whole.sep == b'.' && part.len < 3,
        _ => false,
    }
}

/// How far a word before a number is looked for that makes it none of a telephone.
const LOOK: usize = 24;

/// After `00`; not bytes in hexadecimal, nor a list.
fn zeros(number: &Number<'_>, first: bool) -> Option<usize> {
    let digits = number.digits;
    if !digits.starts_with(&[0, 0]) {
        return None;
    }
    let apart = number.groups.first().is_some_and(|g| g.len == 1) && number.groups.iter().any(|g| g.len > 1);
    // "0.026/0.031" are no two zeros before a country; an area or an exchange of North America begins with 2 or more.
    let american =
        digits.get(2) == Some(&1) && [3, 6].iter().any(|at| digits.get(*at).is_none_or(|d| *d < 2));
    // `10.1016/0021-…`: a document's number.
    let start = number.start();
    let part = first
        && before(number.scan.text, start) == b'/'
        && before(number.scan.text, start - 1).is_ascii_digit();
    if apart || american || part {
        return None;
    }
    let end = international(number, 2, first)?;
    let used = number.groups.partition_point(|g| g.start < end);
    let len = number.groups.first()?.len;
    let like = |group: Option<&Group>| group.is_some_and(|g| g.len == len);
    let equal = number.groups.iter().take(used).all(|g| g.len == len);
    let goes_on = used > 1 && (like(number.prior.as_ref()) || like(number.groups.get(used)));
    let listed = equal && (goes_on || len == 2);
    (!listed || bytes::near(number.scan.text, number.start(), end, WORDS)).then_some(end)
}

/// `436641234567`, where a word says that it is an international number without its sign.
fn named(number: &Number<'_>) -> Option<usize> {
    let count = number.groups.first().map(|group| group.len).filter(|len| (10..=15).contains(len))?;
    let plan = PLANS.iter().find(|(code, ..)| number.digits.starts_with(code));
    let (code, least, most) = plan?;
    let fits = (code.len() + least..=code.len() + most).contains(&count);
    let named = |taken: &Taken<'_>| number.near(taken, &["msisdn", "wa.me"]) || is_worded(number);
    let taken = number.take(count).filter(|taken| fits && named(taken))?;
    Some(taken.end)
}

/// After `+` or `00` (`prefix` digits): a known country, or any with 8 to 15 digits in all.
/// `first`: where another number begins, this one ends.
fn international(number: &Number<'_>, prefix: usize, first: bool) -> Option<usize> {
    let digits = number.digits.get(prefix..)?;
    if digits.first()? == &0 || digits.starts_with(&[9, 9, 9]) {
        return None;
    }
    // "+49 (0) 151": the trunk zero stands in the number but does not count.
    let zero = usize::from(number.groups.iter().take(2).any(|g| g.sep == b'(') && has_bracketed_zero(number));
    let plan = PLANS.iter().find(|(code, ..)| digits.starts_with(code));
    if plan.is_none() && !first {
        return None;
    }
    let (least, most) = plan.map_or((8, 15), |(code, least, most)| (code.len() + least, code.len() + most));
    let (least, mut most) = (least + prefix + zero, most + prefix + zero);
    if first && let Some(other) = next_begins(number, least) {
        most = most.min(other);
    }
    let taken = (least..=most).rev().find_map(|count| number.take(count))?;
    let country = prefix + zero + plan.map_or(2, |(code, ..)| code.len());
    Some(without_year(number, &taken, country).unwrap_or(taken.end))
}

/// After how many digits another telephone number begins, behind a number of at least so many.
fn next_begins(number: &Number<'_>, least: usize) -> Option<usize> {
    (1..number.groups.len()).find_map(|index| {
        let count = number.digits_before(index)?;
        if count < least || count > 20 || number.digits.get(count) != Some(&0) {
            return None;
        }
        let rest = number.from(index)?;
        (zeros(&rest, false).is_some() || trunk(&rest, false).is_some()).then_some(count)
    })
}

/// "+43 1 58801 405 2026": a year behind a number that is long enough without it.
fn without_year(number: &Number<'_>, taken: &Taken<'_>, country: usize) -> Option<usize> {
    let (year, others) = taken.groups.split_last()?;
    let century = taken.digits.get(taken.digits.len().checked_sub(4)?..)?.get(..2)?;
    let apart = others.last().is_some_and(|g| g.sep == b' ');
    let shaped = year.len == 4 && apart && matches!(century, [1, 9] | [2, 0]);
    let count = taken.digits.len() - 4;
    if !shaped || count < country + 9 {
        return None;
    }
    number.take(count).map(|shorter| shorter.end)
}

fn has_bracketed_zero(number: &Number<'_>) -> bool {
    number
        .groups
        .iter()
        .zip(number.groups.iter().skip(1))
        .take(2)
        .any(|(a, b)| a.sep == b'(' && b.len == 1 && b.sep == b')' && byte(number.scan.text, b.start) == b'0')
}

/// A national number with the trunk prefix 0.
fn trunk(number: &Number<'_>, first: bool) -> Option<usize> {
    if number.digits.first() != Some(&0) || number.digits.get(1).is_none_or(|d| *d == 0) {
        return None;
    }
    let most = if first { next_begins(number, 9).unwrap_or(13) } else { 13 };
    (9..=most.min(13)).rev().find_map(|count| {
        let taken = number.take(count)?;
        let fits = if taken.is_joined() {
            (10..=12).contains(&count) && (!first || is_named(number, &taken))
        } else {
            is_grouped_as_trunk(&taken) && !is_listed(number, &taken)
        };
        fits.then_some(taken.end)
    })
}

/// Whether a word says that digits in one run are a telephone's.
fn is_named(number: &Number<'_>, taken: &Taken<'_>) -> bool {
    number.near(taken, WORDS) && !is_of_other(number.scan.text, taken.start)
        || is_called(number, taken)
        || (number.near(taken, VERBS) && !is_assigned(number.scan.text, taken.start))
}

/// "num\u{e9}ro de client …": a number's noun with whose number it is, and no other word for a telephone.
#[cold]
fn is_of_other(text: &[u8], start: usize) -> bool {
    let head = bytes::slice(text, start.saturating_sub(2 * LOOK), start);
    let head = head.rsplit(|b| matches!(b, b'\n' | b'\r' | b',' | b';' | b'.')).next().unwrap_or_default();
    let noun = "num\u{e9}ro de ".as_bytes();
    let Some(at) = head.windows(noun.len()).rposition(|w| w.eq_ignore_ascii_case(noun)) else { return false };
    let rest = bytes::slice(head, at + noun.len(), head.len());
    let word = rest.split(|b| bytes::is_space(*b) || *b == b':').next().unwrap_or_default();
    let before = bytes::slice(head, 0, at);
    !word.is_empty()
        && !lead::is_one_of(word, WORDS)
        && !lead::is_one_of(word, KEYS)
        && !bytes::holds_word(before, WORDS)
        && !bytes::holds_word(rest, WORDS)
}

fn is_near(number: &Number<'_>, taken: &Taken<'_>) -> bool {
    number.near(taken, WORDS) || number.near(taken, VERBS)
}

/// `X = 2147483648`, `#define X_RING 2147483648`.
fn is_assigned(text: &[u8], start: usize) -> bool {
    let end = bytes::run_start(text, start, 16, bytes::is_space);
    let word = bytes::slice(text, bytes::run_start(text, end, 48, is_word), end);
    before(text, end) == b'=' || word.contains(&b'_')
}

/// `text 4155552671`, `meine Nummer ist 06641234567`, `{"contact":"0612345678"}`.
fn is_called(number: &Number<'_>, taken: &Taken<'_>) -> bool {
    if lead::is_one_of(number.scan.key.as_bytes(), KEYS) {
        return true;
    }
    let [word, prior] = lead::words(number.scan.text, taken.start);
    lead::is_one_of(word, CALLS)
        || lead::is_one_of(word, KEYS)
        || (lead::is_one_of(word, NOUNS) && lead::is_one_of(prior, OWNERS))
}

/// Whether the groups are those of a list, a dump or a table rather than of one number: they go on in the same length,
/// begin with 0 again and again, or ascend. A word beside them outweighs that, but right before them where they go on.
fn is_listed(number: &Number<'_>, taken: &Taken<'_>) -> bool {
    let text = number.scan.text;
    let like = |group: Option<&Group>| group.is_some_and(|g| taken.groups.iter().all(|t| t.len == g.len));
    let pairs = taken.groups.iter().all(|g| g.len == 2);
    if like(number.prior.as_ref()) || (pairs && is_hex(text, taken.start.wrapping_sub(3))) {
        return true;
    }
    if like(number.groups.get(taken.groups.len())) || (pairs && is_hex(text, taken.end + 1)) {
        let [word, _] = lead::words(text, number.start());
        return !lead::is_one_of(word, WORDS) && !lead::is_one_of(word, VERBS) && !is_called(number, taken);
    }
    let listed =
        if pairs { is_list_of_pairs(text, taken) } else { is_list(taken) || is_zip_code(text, taken) };
    listed && !is_near(number, taken)
}

/// `01 02 03 04 05`, or pairs that a word for a list stands beside.
fn is_list_of_pairs(text: &[u8], taken: &Taken<'_>) -> bool {
    let pairs = taken.digits.chunks(2);
    let zeros = pairs.clone().filter(|pair| pair.first() == Some(&0)).count();
    let below = taken.digits.get(8).is_some_and(|tens| *tens < 6);
    let ascend = below && pairs.clone().zip(pairs.skip(1)).all(|(a, b)| a < b);
    let blank = taken.separators().all(|s| matches!(s, b' ' | b'/'));
    zeros > 3 || (blank && ascend) || bytes::near(text, taken.start, taken.end, LISTS)
}

/// `0644 0755 0600`; the second group of no number of a subscriber begins `000`.
fn is_list(taken: &Taken<'_>) -> bool {
    let len = taken.groups.first().map_or(0, |g| g.len);
    let equal = taken.groups.iter().all(|g| g.len == len);
    let zeros = equal && taken.digits.chunks(len.max(1)).all(|group| group.first() == Some(&0));
    let second = taken.groups.get(1).is_some_and(|g| g.len > 3);
    zeros || (second && taken.digits.get(len..len + 3) == Some(&[0, 0, 0]))
}

/// `MA 02110-1301`, `02110-1301 USA`.
fn is_zip_code(text: &[u8], taken: &Taken<'_>) -> bool {
    let end = bytes::run_start(text, taken.start, 3, bytes::is_space);
    let state = bytes::slice(text, end.saturating_sub(2), end);
    let shaped = taken.has_lengths(&[5, 4]) && taken.separators().all(|s| s == b'-');
    let behind = end < taken.start && state.len() == 2 && state.iter().all(u8::is_ascii_uppercase);
    let country = bytes::run_end(text, taken.end, 3, |b| matches!(b, b' ' | b','));
    let head = bytes::slice(text, end.saturating_sub(12), end);
    let named = bytes::holds_word(head, &["zip", "zipcode", "postal", "postcode", "plz"]);
    shaped && (behind || named || bytes::slice(text, country, country + 2) == b"US")
}

/// A byte in hexadecimal, alone: `4c`.
fn is_hex(text: &[u8], at: usize) -> bool {
    let pair = bytes::slice(text, at, at.saturating_add(2));
    pair.len() == 2
        && pair.iter().all(u8::is_ascii_hexdigit)
        && pair.iter().any(u8::is_ascii_digit)
        && !is_word(before(text, at))
        && !is_word(byte(text, at + 2))
}

fn is_grouped_as_trunk(taken: &Taken<'_>) -> bool {
    let first = taken.groups.first().map_or(0, |g| g.len);
    let rest = taken.groups.get(1..).unwrap_or_default();
    let mut separators = taken.separators();
    let opening = separators.next().unwrap_or(0);
    let rest_of_separators: Vec<u8> = separators.collect();
    // `076/235 77-73`.
    let behind_slash = opening == b'/' && rest_of_separators.iter().all(|s| matches!(s, b' ' | b'-'));
    let uniform = behind_slash
        || rest_of_separators
            .iter()
            .all(|s| Some(s) == rest_of_separators.first() && !matches!(s, b'(' | b')' | b'/'));
    let pairs = taken.has_lengths(&[2, 2, 2, 2, 2]);
    // `06/12/34/56/78`, as it is written in France.
    let uniform = uniform || pairs && taken.separators().all(|s| s == b'/');
    let long = (2..=6).contains(&first)
        && rest.len() <= 4
        && rest.iter().all(|g| g.len >= 2)
        && (first > 2 || rest.len() < 4);
    let dotted = opening == b'.' && !pairs && first < 3;
    // 3-2-4 is how a social security number is written, one that was never issued here.
    uniform && !dotted && (pairs || (long && !taken.has_lengths(&[3, 2, 4])))
}

/// `(212) 555-0100`, `212-555-0100`, `212.555.0100`, `1-212-555-0100`.
fn north_american(number: &Number<'_>) -> Option<usize> {
    let skip = usize::from(number.digits.first() == Some(&1) && number.groups.first()?.len == 1);
    let taken = number.take(10 + skip)?;
    let digits = taken.digits.get(skip..)?;
    let plan = digits.first().is_some_and(|d| *d > 1) && digits.get(3).is_some_and(|d| *d > 1);
    if !plan {
        return None;
    }
    let shaped = taken.has_lengths(&[3, 3, 4]) || (skip == 1 && taken.has_lengths(&[1, 3, 3, 4]));
    // "300 600 1200": sizes.
    let round =
        || taken.separators().all(|s| s == b' ') && [2, 5, 9].iter().all(|at| digits.get(*at) == Some(&0));
    // `252.227-7013`: a clause of a law.
    let clause = taken.separators().eq(*b".-");
    let fits = if shaped {
        !(clause || round()) || is_near(number, &taken)
    } else {
        taken.is_joined() && !is_bound(taken.digits) && is_named(number, &taken)
    };
    fits.then_some(taken.end)
}

/// The bounds of 32-bit integers, which programs are full of: 2147483647, 4294967295, and one more.
fn is_bound(digits: &[u8]) -> bool {
    matches!(digits, [2, 1, 4, 7, 4, 8, 3, 6, 4, 7 | 8] | [4, 2, 9, 4, 9, 6, 7, 2, 9, 5 | 6])
}

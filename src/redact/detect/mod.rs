//! The registry: which detectors are asked at which trigger, in this order; the first to find wins.
//! A detector is a function anchored at a trigger byte, with a bounded look around, in a file of its own.

mod asked;
mod assignment;
mod aws;
mod bank;
mod behind;
mod business;
mod called;
pub(super) mod checksum;
mod column;
mod command;
mod cookie;
mod crypto;
mod data_url;
mod declared;
mod dump;
mod email;
mod ends;
mod header;
mod identity;
mod jar;
mod jwt;
mod lead;
mod list;
mod message;
mod names;
mod network;
mod noun;
mod number;
mod pair;
mod password;
mod payment;
mod pem;
mod phone;
mod place;
mod places;
mod reference;
mod run;
mod shell;
mod sibling;
mod signed;
mod speech;
mod token;
mod url;
mod vendors;
mod words;

use std::ops::RangeInclusive;

use super::bytes;
use super::entity::{Detectors, Entity};
use super::scan::{Finding, Scan, Step, Trigger, What};

pub(super) use assignment::{json_value, names_value};
pub(super) use cookie::Pairs;

/// Whether a key says only that a value stands under it.
pub(super) fn is_value(key: &str) -> bool {
    sibling::is_value(key.as_bytes())
}

/// Whether a key says only that text stands under it, of what the object is called.
pub(super) fn is_content(key: &str) -> bool {
    sibling::is_content(key.as_bytes())
}

/// Whether a member says whose account the others are of.
pub(super) fn is_login(key: &str) -> bool {
    sibling::is_login(key.as_bytes())
}

/// Whether a secret, beside a name to log in with, is a password.
pub(super) fn is_password_of_login(key: &str, text: &str) -> bool {
    sibling::is_secret(key.as_bytes())
        && !named_value(key, text)
        && named_value("password", text)
        && !words::is_slug(text.as_bytes())
}

/// Whether a text is one word, or a phrase that nobody would write in a form for others to read.
pub(super) fn is_alone(text: &str) -> bool {
    !text.contains(' ') || words::is_phrase(text.as_bytes())
}

/// Whether it says that it is the value of what the object is called.
pub(super) fn is_own_value(key: &str) -> bool {
    sibling::is_own_value(key.as_bytes())
}

/// Whether a member holds the name of the value beside it.
pub(super) fn is_name_member(key: &str) -> bool {
    sibling::is_name_member(key.as_bytes())
}

/// Whether a member says which field of a form the value beside it is for.
pub(super) fn is_place_member(key: &str) -> bool {
    sibling::is_place_member(key.as_bytes())
}

/// The name of a credential that stands in what says where a field is: `#password`, `input[name=pwd]`, `Password input`.
pub(super) fn field(place: &str) -> Option<&str> {
    let found = sibling::field(place.as_bytes())?;
    place.get(found)
}

/// What one of a list is called, by the list's name: `passwords`, `apiKeys`.
pub(super) fn one_of(list: &str) -> Option<&str> {
    list.strip_suffix(['s', 'S']).filter(|one| names_value(one))
}

/// Whether what stands beside a name is the credential that the name speaks of.
pub(super) fn named_value(name: &str, value: &str) -> bool {
    assignment::named_value(name.as_bytes(), value.as_bytes()).is_some()
}

/// Whether cookies stand under a key of that name.
pub(super) fn is_cookie(key: &str) -> bool {
    cookie::is_header(key.as_bytes())
}

/// Whether a cookie of that name is one that somebody could use.
pub(super) fn is_secret_cookie(name: &str, value: &str) -> bool {
    cookie::is_secret(name.as_bytes(), value.as_bytes())
}

/// Whether a list of credentials may stand behind a `:` or `=`.
pub(super) fn begins_list(scan: &Scan<'_>, at: usize) -> bool {
    list::begins(scan.text, at) && at >= scan.lists.get()
}

/// Each of them; up to where they were looked at.
pub(super) fn listed(text: &[u8], at: usize, out: &mut impl FnMut(Finding)) -> usize {
    list::find(text, at, out)
}

/// What an argument from `from` on holds, the last of a command's.
pub(super) fn argument(line: &[u8], from: usize, on: Detectors) -> Option<Finding> {
    list::last(line, from, on)
}

/// The values of cookies that go: all of them, in a text that stands under a key for cookies.
pub(super) fn cookies(key: &str, text: &str, out: &mut impl FnMut(Finding)) {
    Pairs::of_key(key.as_bytes(), text.as_bytes()).each(text.as_bytes(), out);
}

/// The pairs of cookies that begin behind a sign or the option of a command.
#[inline(always)]
pub(super) fn begins_cookies(trigger: Trigger, scan: &Scan<'_>, at: usize) -> Option<Pairs> {
    match trigger {
        Trigger::Colon | Trigger::Equals => cookie::begins(scan, at),
        Trigger::Dash => jar::option(scan, at),
        _ => None,
    }
}

/// The values of them that go; up to where they were looked at.
pub(super) fn each_cookie(text: &[u8], pairs: &Pairs, out: &mut impl FnMut(Finding)) -> usize {
    pairs.each(text, out)
}

/// Whether a token that says whose it is begins there.
pub(super) fn begins_token(text: &[u8], at: usize) -> bool {
    token::matched(text, at).is_some() || aws::is_access_key(text, at)
}

/// The words for a number that counts with one of them alone, where lines are read as one.
pub(super) fn label_of(entity: Entity) -> Option<&'static [&'static str]> {
    Some(match entity {
        Entity::PhoneNumber => phone::WORDS,
        Entity::UsSsn => identity::SSN_WORDS,
        Entity::UsItin => identity::ITIN_WORDS,
        Entity::InAadhaar => identity::AADHAAR_WORDS,
        Entity::UkNhs => identity::NHS_WORDS,
        Entity::UkNino => identity::NINO_WORDS,
        Entity::DeTaxId => identity::TAX_WORDS,
        Entity::DeSocialSecurity => identity::PENSION_WORDS,
        Entity::DeIdCard => identity::CARD_WORDS,
        Entity::AtSvnr => identity::SVNR_WORDS,
        Entity::DeVatId | Entity::AtVatId | Entity::ChUid => business::WORDS,
        _ => return None,
    })
}

/// Whether a word for a number stands right before it, in its line.
pub(super) fn is_labelled(what: What, text: &[u8], start: usize) -> bool {
    let What::Entity(entity) = what else { return false };
    let Some(words) = label_of(entity) else { return false };
    let head = bytes::slice(text, start.saturating_sub(LABEL), start);
    let line = head.rsplit(|b| matches!(b, b'\n' | b'\r' | b',' | b';')).next().unwrap_or_default();
    !line.iter().any(u8::is_ascii_digit) && bytes::holds_word(line, words)
}

/// How far it is looked for.
const LABEL: usize = 32;

/// What the detectors of a trigger find; those of digits are asked by `at_digit`.
pub(super) fn at(trigger: Trigger, scan: &Scan<'_>, at: usize) -> Option<Finding> {
    match trigger {
        Trigger::None | Trigger::Digit => None,
        Trigger::At => email::find(scan, at).or_else(|| command::connect(scan, at)),
        Trigger::Colon => data_url::find(scan, at)
            .or_else(|| url::find(scan, at))
            .or_else(|| token::telegram(scan, at))
            .or_else(|| pem::putty(scan, at))
            .or_else(|| network::colons(scan, at))
            .or_else(|| assignment::find(scan, at))
            .or_else(|| speech::labelled(scan, at))
            .or_else(|| command::behind_colon(scan, at)),
        Trigger::Equals => assignment::find(scan, at)
            .or_else(|| command::part(scan.text, at))
            .or_else(|| header::padded(scan.text, at)),
        Trigger::Dash => pem::find(scan, at)
            .or_else(|| token::at_sign(scan, at))
            .or_else(|| network::mac(scan, at))
            .or_else(|| list::argument(scan, at))
            .or_else(|| command::option(scan, at)),
        Trigger::Underscore => token::at_sign(scan, at).or_else(|| list::constant(scan.text, at)),
        Trigger::Noun => password::spoken(scan, at).or_else(|| speech::key(scan, at)),
        Trigger::Capital => jwt::find(scan, at)
            .or_else(|| aws::access_key(scan, at))
            .or_else(|| token::lettered(scan, at))
            .or_else(|| header::scheme(scan, at))
            .or_else(|| speech::key(scan, at))
            .or_else(|| command::identified(scan, at)),
    }
}

macro_rules! first_of {
    ($number:expr; $($entity:ident $counts:expr, $check:path;)+) => {{
        let number = $number;
        $(
            if (number.ends & $counts != 0 || $counts == number::ANY)
                && number.scan.on.has(Entity::$entity)
                && let Some((start, end)) = $check(number)
            {
                return Some(Finding::whole(Entity::$entity, start, end));
            }
        )+
        None
    }};
}

/// Sequences of digit groups, with how many digits the value has, the strictest check first. Each is asked where it stands,
/// as a loop over them would not foretell whom it asks.
pub(super) fn numeric(number: &number::Number<'_>) -> Option<Finding> {
    checked(number).filter(|found| !dump::is_row(number.scan.text, found.start))
}

fn checked(number: &number::Number<'_>) -> Option<Finding> {
    first_of! { number;
        ChAhv number::digits(13, 13), identity::ch_ahv;
        CreditCard number::digits(13, 19), payment::card;
        FrNir number::digits(15, 15), identity::fr_nir;
        FrNir number::ANY, identity::fr_nir_corsica_spaced;
        IpAddress number::ANY, network::ipv4;
        UsSsn number::digits(9, 9), identity::us_ssn;
        UsItin number::digits(9, 9), identity::us_itin;
        DeTaxId number::digits(11, 11), identity::de_tax_id;
        InAadhaar number::digits(12, 12), identity::in_aadhaar;
        AtSvnr number::digits(10, 10), identity::at_svnr;
        UkNhs number::digits(10, 10), identity::uk_nhs_named;
        PhoneNumber number::digits(7, 18), phone::find;
        UkNhs number::digits(10, 10), identity::uk_nhs;
        FrNir number::digits(13, 13), identity::fr_nir_named;
        UkNino number::ANY, identity::uk_nino_spaced;
        DeSocialSecurity number::digits(8, 8), identity::de_social_security_spaced;
    }
}

/// Words that hold letters and digits, by their length: `(scan, start, end of the word) -> end of the value`.
pub(super) const CODES: &[(Entity, RangeInclusive<usize>, number::CodeCheck)] = &[
    (Entity::IbanCode, 4..=usize::MAX, bank::iban),
    (Entity::TwilioKey, 34..=34, token::twilio),
    (Entity::Crypto, 26..=90, crypto::address),
    (Entity::DeSocialSecurity, 12..=12, identity::de_social_security),
    (Entity::UkNino, 8..=9, identity::uk_nino),
    (Entity::DeIdCard, 9..=10, identity::de_id_card),
    (Entity::FrNir, 13..=15, identity::fr_nir_corsica),
    (Entity::MacAddress, 12..=12, network::mac_named),
    (Entity::DeVatId, 11..=11, business::german),
    (Entity::AtVatId, 11..=11, business::austrian),
    (Entity::ChUid, 12..=12, business::swiss),
];

/// A digit begins a number, or stands in a word with letters, or in a run of both.
pub(super) fn at_digit(scan: &Scan<'_>, at: usize) -> Step {
    if let Some(end) = number::short(scan.text, at) {
        let found = match end - at {
            4 => payment::loose(scan, at),
            2 | 6 if follows_letters(scan.text, at) => behind_letters(scan, at),
            _ => None,
        };
        let found = found.or_else(|| password::behind_sign(scan, at, end));
        let signed = || place::find(scan.text, at).or_else(|| called::digits(scan.text, at));
        let found = found.or_else(|| if goes_on(scan.text, end) { signed() } else { None });
        return found.map_or(Step::Skip(end), Step::Found);
    }
    // A hardware address may be all digits and dashes, which would read as a number.
    let dashed = bytes::byte(scan.text, at + 2) == b'-';
    let mac = if dashed { network::mac(scan, at + 2) } else { None };
    let found = mac
        .or_else(|| network::mac_dotted(scan, at))
        .or_else(|| run::find(scan, at))
        .or_else(|| if follows_letters(scan.text, at) { behind_letters(scan, at) } else { None })
        .or_else(|| payment::loose(scan, at));
    found.map_or_else(|| number::step(scan, at), Step::Found)
}

/// Whether a sign and a letter stand behind a short number, as in `1486#escargot`.
#[inline(always)]
fn goes_on(text: &[u8], end: usize) -> bool {
    matches!(bytes::byte(text, end), b'!' | b'#' | b'%' | b'^' | b'*' | b'?' | b'&' | b'@' | b'=')
        && bytes::byte(text, end + 1).is_ascii_alphabetic()
}

/// Whether two letters and a sign, or a letter and two blanks, stand before `at`, as before no other number.
#[inline(always)]
fn follows_letters(text: &[u8], at: usize) -> bool {
    let prior = |back: usize| at.checked_sub(back).map_or(0, |place| bytes::byte(text, place));
    prior(3).is_ascii_alphabetic()
        && !prior(1).is_ascii_alphanumeric()
        && (prior(2).is_ascii_alphabetic() || prior(2) == b' ')
}

/// What begins with letters that a sign parts from its digits.
#[cold]
fn behind_letters(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    business::behind_letters(scan, at)
        .or_else(|| bank::behind_country(scan, at))
        .or_else(|| identity::uk_nino_apart(scan, at))
}

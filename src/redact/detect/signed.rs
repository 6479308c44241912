//! Passwords by the signs among their letters and digits: what nobody would take for a word.

use super::bytes::{Classes, byte, slice};
use super::reference::is_reference;
use super::words::{is_numbered, is_scattered};

/// What nobody would take for a word: letters and a digit with a sign among them.
pub(super) fn is_strong(value: &[u8]) -> bool {
    if value.len() < 8 || !value.iter().any(u8::is_ascii_digit) {
        return false;
    }
    let classes = Classes::of(value);
    let inside = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
    let signs = inside.iter().filter(|b| b"!@#$%^&*?".contains(b)).count();
    classes.lower + classes.upper > 3
        && (1..4).contains(&signs)
        && !is_reference(value)
        && !value.windows(3).any(|w| w == b"://")
        && value.iter().position(|b| *b == b'=').is_none_or(|sign| is_broken(value, sign))
        && !is_address(value)
}

/// Random letters with a sign or two among them.
pub(super) fn is_scrambled(value: &[u8]) -> bool {
    let mut letters = [0; 32];
    let (mut count, mut signs) = (0, 0);
    for b in value {
        match b {
            b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'?' => signs += 1,
            b if !b.is_ascii_alphabetic() => return false,
            b => {
                if let Some(place) = letters.get_mut(count) {
                    *place = *b;
                }
                count += 1;
            }
        }
    }
    let letters = letters.get(..count).unwrap_or_default();
    (1..4).contains(&signs) && count > 6 && is_scattered(letters)
}

/// `jane@host.example`, which is another detector's.
fn is_address(value: &[u8]) -> bool {
    value.iter().position(|b| *b == b'@').is_some_and(|at| slice(value, at, value.len()).contains(&b'.'))
}

/// `!ZJ95PdB6A*`: a sign that begins no word, name or markup, before capitals, small letters and digits.
pub(super) fn is_signed(value: &[u8]) -> bool {
    let classes = Classes::of(value);
    value.first().is_some_and(|sign| b"!?%^&+~".contains(sign))
        && value.len() >= 8
        && classes.digit > 1
        && classes.upper > 0
        && classes.lower > 0
        && !is_reference(value)
}

/// `8580_kestrel`: a number before words, as nothing that has a name is called.
pub(super) fn is_led(value: &[u8]) -> bool {
    value.iter().take_while(|b| b.is_ascii_digit()).count() > 2 && value.len() > 7 && is_numbered(value)
}

/// `GPA87=ux4RT8`, `975y=c9pc_Md6`: a sign within what was made up, and no name and its value; digits stand on both sides, a
/// letter behind one of them.
#[cold]
pub(super) fn is_broken(value: &[u8], sign: usize) -> bool {
    let (name, rest) = (slice(value, 0, sign), slice(value, sign + 1, value.len()));
    let (front, back) = (Classes::of(name), Classes::of(rest));
    let written = |b: &u8| b.is_ascii_alphanumeric() || b"!@#$%^&*?_-.+~".contains(b);
    // Of a query.
    let before = |b: &u8| written(b) && !matches!(b, b'&' | b'%');
    let tangled = |part: &[u8]| {
        part.windows(2).any(|two| byte(two, 0).is_ascii_digit() && byte(two, 1).is_ascii_alphabetic())
    };
    let signed = rest.iter().any(|b| b"!#$%^&*".contains(b)) || byte(name, 0).is_ascii_digit();
    let cased = front.lower + back.lower > 0 && front.upper + back.upper > 0;
    front.digit > 0
        && back.digit > 0
        && front.lower + front.upper + back.lower + back.upper > 2
        && name.iter().all(before)
        && rest.iter().all(written)
        && (tangled(name) || tangled(rest))
        && (signed || cased)
}

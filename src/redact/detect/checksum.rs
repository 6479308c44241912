//! The check digits of cards and identity numbers. Digits are values 0..=9, most significant first.

/// Luhn (ISO/IEC 7812-1).
pub(in crate::redact) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| {
            let d = u32::from(*d);
            if i % 2 == 0 {
                d
            } else if d > 4 {
                2 * d - 9
            } else {
                2 * d
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Sum of digits times weights; both of the same length.
pub(in crate::redact) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| u32::from(*d) * w).sum()
}

/// The number, modulo a small modulus.
pub(in crate::redact) fn modulo(digits: &[u8], modulus: u32) -> u32 {
    digits.iter().fold(0, |rest, d| (rest * 10 + u32::from(*d)) % modulus)
}

/// EAN-13 (GS1): weights 1 and 3 in turn, a multiple of ten.
pub(in crate::redact) fn ean13(digits: &[u8]) -> bool {
    weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// ISO/IEC 7064 MOD 11,10, check digit last.
pub(in crate::redact) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, d| {
        let sum = (u32::from(*d) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// ISO/IEC 7064 MOD 97-10 over an IBAN without blanks, letters upper case.
pub(in crate::redact) fn iban(text: &[u8]) -> bool {
    let (head, tail) = text.split_at(text.len().min(4));
    let rest = tail.iter().chain(head).fold(0_u32, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        _ => (rest * 100 + u32::from(b.to_ascii_uppercase().saturating_sub(b'A')) + 10) % 97,
    });
    rest == 1
}

/// Verhoeff: the dihedral group of order ten with a permutation by place.
pub(in crate::redact) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let check = digits.iter().rev().enumerate().fold(0, |check, (place, digit)| {
        let permuted =
            (0..place % 8).fold(*digit, |d, _| PERMUTATION.get(usize::from(d)).copied().unwrap_or(0));
        dihedral(check, permuted)
    });
    check == 0
}

/// Multiplication in the dihedral group of the pentagon: 0-4 rotations, 5-9 reflections.
fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn accepts_published_specimens_and_refuses_their_neighbours() {
        type Check = fn(&[u8]) -> bool;
        let specimens: [(Check, &str); 5] = [
            (luhn, "4111111111111111"),
            (ean13, "7569217076985"),
            (mod_11_10, "86095742719"),
            (verhoeff, "2363"),
            (luhn, "378282246310005"),
        ];
        for (check, text) in specimens {
            let mut number = digits(text);
            assert!(check(&number), "{text}");
            let last = number.last_mut().unwrap();
            *last = (*last + 1) % 10;
            assert!(!check(&number), "{text} + 1");
        }
        assert!(iban(b"GB82WEST12345698765432") && !iban(b"GB83WEST12345698765432"));
    }
}

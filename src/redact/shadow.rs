//! The shadow of a text: what a person reads, in ASCII where that is possible.
//! Digits of other scripts, full-width forms, look-alike letters and odd blanks and dashes are folded,
//! invisible characters and marks above ASCII dropped. Detectors read the shadow; the original is cut by way of the offset map.
//! Made only when the text holds a character that folds; letters with accents do not.

use std::ops::Range;

use super::block;
use super::bytes::{before, byte};

/// A folded copy with the way back.
pub(super) struct Shadow {
    text: String,
    /// (offset in the shadow, offset in the original), ascending, wherever the difference changes.
    steps: Vec<(usize, usize)>,
}

enum Fold {
    Keep,
    Drop,
    To(char),
}

impl Shadow {
    /// None when the text is its own shadow.
    pub(super) fn of(original: &str) -> Option<Self> {
        let first = first_folded(original)?;
        let mut text = String::with_capacity(original.len());
        text.push_str(original.get(..first)?);
        let mut steps = vec![(0, 0)];
        let mut shift = 0_usize;
        for (at, c) in original.char_indices().skip_while(|(at, _)| *at < first) {
            let next = byte(original.as_bytes(), at + c.len_utf8());
            let (folded, new_shift) = match fold(c, before(text.as_bytes(), text.len()), next) {
                Fold::Keep => (c, shift),
                Fold::Drop => {
                    shift += c.len_utf8();
                    continue;
                }
                Fold::To(to) => (to, shift + c.len_utf8() - to.len_utf8()),
            };
            if steps.last().is_none_or(|(s, o)| o - s != at - text.len()) {
                steps.push((text.len(), at));
            }
            text.push(folded);
            shift = new_shift;
        }
        Some(Self { text, steps })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The original bytes behind a range of the shadow.
    pub(super) fn original(&self, range: &Range<usize>, original: &str) -> Range<usize> {
        let start = self.back(range.start);
        let last = self.back(range.end.saturating_sub(1));
        let end =
            original.get(last..).and_then(|s| s.chars().next()).map_or(last + 1, |c| last + c.len_utf8());
        start..end.max(start).min(original.len())
    }

    fn back(&self, at: usize) -> usize {
        let index = self.steps.partition_point(|(shadow, _)| *shadow <= at);
        let step = index.checked_sub(1).and_then(|i| self.steps.get(i));
        step.map_or(at, |(shadow, original)| original + (at - shadow))
    }
}

/// Where the first character stands that does not read as itself.
fn first_folded(original: &str) -> Option<usize> {
    if original.is_ascii() {
        return None;
    }
    // Letters with accents begin with 0xC3 to 0xC9, and the other bytes of a character are below.
    let may_fold = |b: u8| (b == 0xC2) | (b >= 0xCA);
    let mut from = 0;
    loop {
        let at = block::find(original.as_bytes(), from, may_fold)?;
        let c = original.get(at..)?.chars().next()?;
        let (prior, next) = (before(original.as_bytes(), at), byte(original.as_bytes(), at + c.len_utf8()));
        if !matches!(fold(c, prior, next), Fold::Keep) {
            return Some(at);
        }
        from = at + c.len_utf8();
    }
}

/// What one character reads as between two bytes of the shadow and of the text. Nothing grows: the result is never
/// longer in UTF-8.
fn fold(c: char, prior: u8, next: u8) -> Fold {
    if c.is_ascii() || matches!(c, '\u{C0}'..='\u{24F}') {
        return Fold::Keep;
    }
    if is_invisible(c) || (is_combining(c) && matches!(prior, b' '..=b'~')) {
        return Fold::Drop;
    }
    if matches!(c, '\u{3002}' | '\u{FF61}') && prior.is_ascii_alphanumeric() && next.is_ascii_alphanumeric() {
        return Fold::To('.');
    }
    if matches!(c, '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}') {
        return Fold::To(' ');
    }
    if matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}') {
        return Fold::To('-');
    }
    if let Some(ascii) = u32::from(c).checked_sub(0xFEE0).and_then(char::from_u32)
        && matches!(c, '\u{FF01}'..='\u{FF5E}')
    {
        return Fold::To(ascii);
    }
    match digit(c).or_else(|| mathematical(c)).or_else(|| look_alike(c)) {
        Some(to) => Fold::To(to),
        None => Fold::Keep,
    }
}

/// What takes no room: `Default_Ignorable_Code_Point` of Unicode, controls beyond ASCII but the line break, and what
/// stands for annotations and objects.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{84}' | '\u{86}'..='\u{9F}' | '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}'
        | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFC}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Marks that stand above, below or through the character before them.
fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}'
        | '\u{FE20}'..='\u{FE2F}')
}

/// First code points of the decimal digits of other scripts.
const ZEROS: &[u32] = &[
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20,
    0x1040, 0x17E0, 0x1810, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6,
];

fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let value = ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|d| *d < 10))?;
    char::from_digit(value, 10)
}

/// The mathematical alphabets repeat A-Z a-z every 52 code points.
fn mathematical(c: char) -> Option<char> {
    let index = u32::from(c).checked_sub(0x1D400).filter(|i| *i < 13 * 52)? % 52;
    char::from_u32(if index < 26 { 0x41 + index } else { 0x61 + index - 26 })
}

fn look_alike(c: char) -> Option<char> {
    const CYRILLIC: &str = "аaеeоoрpсcхxуyіiјjѕsԁdһhԛqԝwАAВBЕEКKМMНHОOРPСCТTХXУYІIЈJЅSԚQԜW";
    const GREEK: &str = "οoαaνvρpικκkΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX";
    let table = match c {
        '\u{400}'..='\u{52F}' => CYRILLIC,
        '\u{370}'..='\u{3FF}' => GREEK,
        _ => return None,
    };
    let mut pairs = table.chars();
    while let (Some(from), Some(to)) = (pairs.next(), pairs.next()) {
        if from == c {
            return to.is_ascii().then_some(to);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(original: &str, expected: &str) {
        assert_eq!(Shadow::of(original).as_ref().map_or(original, Shadow::text), expected);
    }

    #[test]
    fn folds_what_reads_the_same() {
        check("plain", "plain");
        check("grüße à l'été", "grüße à l'été");
        check("４１１１－\u{200b}１", "4111-1");
        check("٤٥ ४५ 𝟏𝟗", "45 45 19");
        check("jаnе@х.со", "jane@x.co");
        check("4\u{3164}1\u{115f}1\u{fff9}1\u{180b}\u{e0100}2\u{9f}3\u{fffc}", "411123");
        check("4\u{336}1\u{332}1\u{301}@\u{336}\u{332}a", "411@a");
        check("ё\u{301} \u{301}x", "ё\u{301} x");
        check("a@b。org 中文。ok 。x", "a@b.org 中文。ok 。x");
        check("1\u{a0}2\u{2009}3\u{2013}4\u{2212}5", "1 2 3-4-5");
    }

    proptest! {
        #[test]
        fn every_character_leads_back_to_itself(original in "[a-c４–а\u{200b}\u{301}\u{9f}。é😀 ]{0,40}") {
            if let Some(shadow) = Shadow::of(&original) {
                for (at, c) in shadow.text().char_indices() {
                    let back = shadow.original(&(at..at + c.len_utf8()), &original);
                    let source = original.get(back.clone()).unwrap().chars().next().unwrap();
                    let next = byte(original.as_bytes(), back.start + source.len_utf8());
                    let reads_as = match fold(source, before(shadow.text().as_bytes(), at), next) {
                        Fold::Keep => source,
                        Fold::To(to) => to,
                        Fold::Drop => '\0',
                    };
                    prop_assert_eq!(reads_as, c);
                }
            }
        }
    }
}

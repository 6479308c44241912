//! What of a source line may be shown: never a secret, never a control character, never more than a screenful.
//! Apart because it is the one place that text of a configuration file passes on its way to a terminal or a log.

use super::{
    files::{Mark, ShownLine, Source, Span, Understood},
    shape,
};

/// Longest part of a line that is shown, in characters.
const WIDTH: usize = 160;
/// How far above a line that was not understood a secret's key may stand, in lines.
const REACH: usize = 6;
/// Words that make a value a secret, wherever they are part of a key.
const SECRETIVE: &[&str] = &[
    "apikey",
    "api_key",
    "api-key",
    "auth",
    "bearer",
    "credential",
    "env",
    "header",
    "passw",
    "redis",
    "secret",
    "sha256",
    "token",
    "value",
    "webhook",
];

/// Whether a key by this name would hold a secret, also where no such key exists.
pub(crate) fn is_secretive(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRETIVE.iter().any(|word| key.contains(word))
}

/// Whether a word looks like a credential: a known prefix, or a long run of mixed letters and digits.
pub(crate) fn looks_secret(word: &str) -> bool {
    if word.len() >= 6 && word.starts_with("sk-") {
        return true;
    }
    word.split(['-', '_']).any(|part| {
        part.len() >= 16
            && part.bytes().any(|b| b.is_ascii_digit())
            && part.bytes().any(|b| b.is_ascii_alphabetic())
    })
}

/// A key in backquotes, or nothing where it does not look like a key but might be a value that slipped.
pub fn quoted_key(key: &str) -> String {
    let is_name = key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.*?".contains(&b));
    if is_name && !key.is_empty() && !looks_secret(key) { format!("`{key}`") } else { "`…`".to_owned() }
}

/// The marked line of `text` with everything secret in it replaced by `…`.
pub(crate) fn shown_line(text: &str, mark: Mark, source: &Source) -> Option<ShownLine> {
    let number = usize::try_from(mark.line).ok()?.checked_sub(1)?;
    let (start, line) = lines(text).nth(number)?;
    let chars: Vec<(usize, char)> = line.char_indices().collect();
    let mut hidden = vec![false; chars.len()];
    hide_spans(&chars, start, &source.hidden, &mut hidden);
    hide_suspicious(&chars, &mut hidden, looks_secret);
    hide_user_info(&chars, &mut hidden);
    hide_assigned(&chars, &mut hidden);
    if source.understood == Understood::No && is_tainted(text, number) {
        let known = shape::vocabulary();
        hide_suspicious(&chars, &mut hidden, |word| !known.contains(word));
    }
    Some(draw(&chars, &hidden, mark))
}

/// Words that make a value a secret in what a rule forces into arguments.
const FORCED: &[&str] =
    &["apikey", "api_key", "api-key", "authorization", "bearer", "credential", "passw", "secret", "token"];
/// Longest line of a file that is shown whole, in characters.
const LINE_MAX: usize = 600;

/// Some lines of a file, counted from 0, with everything secret in them replaced by `…`; also what stands under a key
/// that a secret would have.
pub(crate) fn concealed(text: &str, source: &Source, wanted: std::ops::Range<usize>) -> Vec<String> {
    let mut under: Option<usize> = None;
    let mut out: Vec<String> = Vec::new();
    for (number, (start, line)) in lines(text).enumerate().take(wanted.end) {
        let own = line.len() - line.trim_start_matches([' ', '-']).len();
        if !line.trim().is_empty() && under.is_some_and(|key| own <= key) {
            under = None;
        }
        let chars: Vec<(usize, char)> = line.char_indices().collect();
        let mut hidden = vec![false; chars.len()];
        let is_under = under.is_some();
        if !is_under && hide_forced(&chars, &mut hidden) {
            under = Some(own);
        }
        if number < wanted.start {
            continue;
        }
        if is_under {
            let space: String = line.chars().take_while(|c| *c == ' ').collect();
            let hidden = if line.trim().is_empty() { String::new() } else { format!("{space}…") };
            if out.last() != Some(&hidden) {
                out.push(hidden);
            }
            continue;
        }
        hide_spans(&chars, start, &source.hidden, &mut hidden);
        hide_suspicious(&chars, &mut hidden, looks_secret);
        hide_user_info(&chars, &mut hidden);
        hide_assigned(&chars, &mut hidden);
        out.push(drawn(&chars, &hidden));
    }
    out
}

/// Hides the values of keys that a secret would have. Whether the last one's value may be on the next lines.
fn hide_forced(chars: &[(usize, char)], hidden: &mut [bool]) -> bool {
    let mut goes_on = false;
    let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    for (at, _) in chars.iter().enumerate().filter(|(_, (_, c))| *c == ':') {
        let before = chars.get(..at).unwrap_or_default().iter().rev().map(|(_, c)| *c);
        let name: String = before.skip_while(|c| "\"' ".contains(*c)).take_while(|c| is_name(*c)).collect();
        let name: String = name.chars().rev().collect::<String>().to_ascii_lowercase();
        if !FORCED.iter().any(|word| name.contains(word)) {
            continue;
        }
        let value = chars.get(at + 1..).unwrap_or_default();
        let (mut depth, mut quote) = (0_u32, None);
        let end = value.iter().position(|(_, c)| match (quote, *c) {
            (Some(open), c) => {
                quote = Some(open).filter(|open| *open != c);
                false
            }
            (None, '"' | '\'') => {
                quote = Some(*c);
                false
            }
            (None, '{' | '[') => {
                depth += 1;
                false
            }
            (None, '}' | ']') => {
                depth = depth.wrapping_sub(1);
                depth == u32::MAX
            }
            (None, c) => c == ',' && depth == 0,
        });
        let end = end.unwrap_or(value.len());
        let blank = value.iter().take_while(|(_, c)| *c == ' ').count().min(end);
        let trailing = value.iter().take(end).rev().take_while(|(_, c)| *c == ' ').count();
        let shown_end = end.saturating_sub(trailing).max(blank);
        hidden.iter_mut().take(at + 1 + shown_end).skip(at + 1 + blank).for_each(|hide| *hide = true);
        goes_on |= end == value.len();
    }
    goes_on
}

fn drawn(chars: &[(usize, char)], hidden: &[bool]) -> String {
    let mut out = String::new();
    let mut was_hidden = false;
    for ((_, c), hide) in chars.iter().zip(hidden).take(LINE_MAX) {
        if !*hide {
            out.push(shown(*c));
        } else if !was_hidden {
            out.push('…');
        }
        was_hidden = *hide;
    }
    if chars.len() > LINE_MAX {
        out.push('…');
    }
    out.trim_end().to_owned()
}

/// Lines as YAML counts them, each with the offset of its first byte.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some((0_usize, text));
    std::iter::from_fn(move || {
        let (offset, text) = rest.take()?;
        let Some(at) = text.find(['\n', '\r']) else { return Some((offset, text)) };
        let (line, tail) = text.split_at(at);
        let after = tail.strip_prefix("\r\n").or_else(|| tail.get(1..)).unwrap_or("");
        rest = Some((offset + (text.len() - after.len()), after));
        Some((offset, line))
    })
}

fn hide_spans(chars: &[(usize, char)], line_start: usize, spans: &[Span], hidden: &mut [bool]) {
    for span in spans {
        let (Ok(from), Ok(to)) = (usize::try_from(span.start), usize::try_from(span.end)) else { continue };
        for ((at, _), hide) in chars.iter().zip(hidden.iter_mut()) {
            let at = line_start + at;
            *hide |= from <= at && at < to;
        }
    }
}

fn hide_suspicious(chars: &[(usize, char)], hidden: &mut [bool], suspicious: impl Fn(&str) -> bool) {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut index = 0;
    for run in chars.chunk_by(|a, b| is_word(a.1) == is_word(b.1)) {
        let word: String = run.iter().map(|(_, c)| c).collect();
        let bare = word.trim_start_matches('-');
        if run.first().is_some_and(|(_, c)| is_word(*c)) && !bare.is_empty() && suspicious(bare) {
            hidden.iter_mut().skip(index).take(run.len()).for_each(|hide| *hide = true);
        }
        index += run.len();
    }
}

/// Hides `user:password` of an URL, also where the password holds what an URL may not.
fn hide_user_info(chars: &[(usize, char)], hidden: &mut [bool]) {
    let mut rest = 0;
    while let Some(found) = chars.get(rest..).and_then(|tail| tail.windows(3).position(is_authority)) {
        let from = rest + found + 3;
        let end = chars.iter().skip(from).position(|(_, c)| c.is_whitespace() || *c == '"' || *c == '\'');
        let authority = chars.len().min(from + end.unwrap_or(chars.len()));
        let at = chars.get(from..authority).and_then(|part| part.iter().rposition(|(_, c)| *c == '@'));
        hidden.iter_mut().skip(from).take(at.unwrap_or(0)).for_each(|hide| *hide = true);
        rest = from;
    }
}

/// Hides what follows `token=`, `api_key=` and the like, in an URL or a command.
fn hide_assigned(chars: &[(usize, char)], hidden: &mut [bool]) {
    let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut index = 0_usize;
    for part in chars.chunk_by(|a, b| a.1 != '=' && b.1 != '=') {
        let before = chars.get(..index.saturating_sub(1)).unwrap_or_default();
        let name: String = before.iter().rev().map(|(_, c)| *c).take_while(|c| is_name(*c)).collect();
        let name: String = name.chars().rev().collect::<String>().to_ascii_lowercase();
        let is_value = index > 0 && chars.get(index - 1).is_some_and(|(_, c)| *c == '=');
        if is_value && (is_secretive(&name) || name.contains("key") || name.contains("sig")) {
            let end = part.iter().position(|(_, c)| c.is_whitespace() || "\"'&".contains(*c));
            hidden.iter_mut().skip(index).take(end.unwrap_or(part.len())).for_each(|hide| *hide = true);
        }
        index += part.len();
    }
}

fn is_authority(window: &[(usize, char)]) -> bool {
    window.iter().map(|(_, c)| *c).eq("://".chars())
}

/// Whether the line may be part of a secret's value: its own words, those shortly above it, or the keys it stands under.
fn is_tainted(text: &str, number: usize) -> bool {
    let above: Vec<&str> = lines(text).map(|(_, line)| line).take(number + 1).collect();
    let mut indent = usize::MAX;
    above.iter().rev().filter(|line| !line.trim().is_empty()).enumerate().any(|(distance, line)| {
        let own = line.len() - line.trim_start_matches([' ', '-']).len();
        let is_parent = own < indent;
        indent = indent.min(own);
        (distance < REACH || is_parent) && is_secretive(line)
    })
}

fn draw(chars: &[(usize, char)], hidden: &[bool], mark: Mark) -> ShownLine {
    let column = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let from = column(mark.col).saturating_sub(1).min(chars.len());
    let to = from.saturating_add(column(mark.len)).min(chars.len());
    let first = from.saturating_sub(WIDTH / 2);
    let mut text = String::from(if first > 0 { "…" } else { "" });
    let (mut width, mut caret, mut end) = (text.chars().count(), 0, 0);
    let mut was_hidden = false;
    for (index, ((_, c), hide)) in chars.iter().zip(hidden).enumerate().skip(first) {
        caret = if index == from { width } else { caret };
        end = if index < to { width + 1 } else { end };
        if width > WIDTH {
            text.push('…');
            break;
        }
        if !(*hide && was_hidden) {
            text.push(if *hide { '…' } else { shown(*c) });
            width += 1;
        } else if index == from {
            caret = width.saturating_sub(1);
        } else if index < to {
            end = width;
        }
        was_hidden = *hide;
    }
    if from == chars.len() {
        caret = width;
    }
    ShownLine { text: text.trim_end().to_owned(), caret, carets: end.saturating_sub(caret).max(1) }
}

fn shown(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        // Marks that turn the writing direction would let a line show other than it reads.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::files::FileId;

    fn line(
        text: &str,
        understood: Understood,
        hidden: Vec<Span>,
        (number, col, len): (u32, u32, u32),
    ) -> ShownLine {
        let source = Source { shown: String::new(), dir: PathBuf::new(), text: None, hidden, understood };
        shown_line(text, Mark { file: FileId(0), line: number, col, len }, &source).unwrap()
    }

    #[test]
    fn spans_words_and_user_info_are_hidden_and_the_caret_follows() {
        let check = |text: &str, hidden: Vec<Span>, mark, shown: &str, caret, carets| {
            let line = line(text, Understood::Yes, hidden, mark);
            assert_eq!((line.text.as_str(), line.caret, line.carets), (shown, caret, carets), "{text}");
        };
        check("a: secret # b", vec![Span { start: 3, end: 9 }], (1, 1, 1), "a: … # b", 0, 1);
        check("a: secret # b", vec![Span { start: 3, end: 9 }], (1, 4, 6), "a: … # b", 3, 1);
        check("a: secret # b", vec![Span { start: 3, end: 9 }], (1, 13, 1), "a: … # b", 7, 1);
        check("x: redis://me:pw@host:1/0", vec![], (1, 1, 1), "x: redis://…@host:1/0", 0, 1);
        check("x: [a, sk-notreal]", vec![], (1, 5, 1), "x: [a, …]", 4, 1);
        check("u: http://h/?a=b&api_key=xyz&c=d", vec![], (1, 1, 1), "u: http://h/?a=b&api_key=…&c=d", 0, 1);
        check("c: [x, --token=abc, y]", vec![], (1, 1, 1), "c: [x, --token=… y]", 0, 1);
        check("w: a == b, key == c", vec![], (1, 1, 1), "w: a == b, key == c", 0, 1);
        check("m: claude-opus-4-20260101", vec![], (1, 4, 22), "m: claude-opus-4-20260101", 3, 22);
        check("a\r\nb\rc\nd\te\u{7}", vec![], (4, 2, 9), "d e\u{fffd}", 1, 3);
        check("a: ", vec![], (1, 9, 9), "a:", 3, 1);
    }

    #[test]
    fn a_line_that_was_not_understood_shows_known_words_only_near_a_secret() {
        let check = |text: &str, number, shown: &str| {
            assert_eq!(line(text, Understood::No, vec![], (number, 1, 1)).text, shown, "{text}");
        };
        check("models: [gpt-5", 1, "models: [gpt-5");
        check("auth: { bearer: hunter2", 1, "auth: { bearer: …");
        check("a:\n  bearer: >\nhunter: two: three", 3, "…: …: …");
        check("auth:\n  - x\n\n\n  - a\n  - b\n  - c\n  - d\n  - e\n  - f\n  - pass", 11, "  - …");
    }

    #[test]
    fn a_long_line_is_shown_around_the_mark() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = line(&text, Understood::Yes, vec![], (1, 501, 1));
        assert!(shown.text.chars().count() <= WIDTH + 2);
        assert_eq!(shown.text.chars().nth(shown.caret), Some('X'));
    }
}

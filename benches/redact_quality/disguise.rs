//! Values as those write them who want them through, or programs that encode: what a reader or decoder turns back.

use super::dice::Dice;

pub(crate) const KINDS: &[&str] = &[
    "fullwidth",
    "arabic_digits",
    "mathematical",
    "zero_width",
    "soft_hyphen",
    "confusable",
    "unicode_separator",
    "percent",
    "html_decimal",
    "html_hex",
    "base64",
    "base64url",
    "hex",
    "json_escape",
    "quoted_printable",
    "spaced",
    "markdown",
    "line_wrap",
    "nested_encoding",
];

/// The disguised value; None where this value cannot be disguised so.
pub(crate) fn disguised(dice: &mut Dice, kind: &str, value: &str) -> Option<String> {
    let code = |c: char| u32::from(c);
    let halves = || {
        let at = value.char_indices().nth(value.chars().count() / 2).map(|(at, _)| at)?;
        value.split_at_checked(at)
    };
    let out: String = match kind {
        "fullwidth" => value
            .chars()
            .map(|c| if c.is_ascii_graphic() { char::from_u32(code(c) + 0xFEE0).unwrap_or(c) } else { c })
            .collect(),
        "arabic_digits" => {
            let zero = if dice.one_in(2) { 0x660 } else { 0x966 };
            value
                .chars()
                .map(|c| c.to_digit(10).and_then(|d| char::from_u32(zero + d)).unwrap_or(c))
                .collect()
        }
        "mathematical" => value
            .chars()
            .map(|c| match c {
                '0'..='9' => char::from_u32(0x1D7CE + code(c) - 48).unwrap_or(c),
                'A'..='Z' => char::from_u32(0x1D400 + code(c) - 65).unwrap_or(c),
                'a'..='z' => char::from_u32(0x1D41A + code(c) - 97).unwrap_or(c),
                _ => c,
            })
            .collect(),
        "zero_width" => {
            value.chars().flat_map(|c| [c, if dice.one_in(3) { '\u{200d}' } else { '\u{200b}' }]).collect()
        }
        "soft_hyphen" => {
            let (a, b) = halves()?;
            format!("{a}\u{ad}{b}")
        }
        "confusable" => value
            .chars()
            .map(|c| match c {
                'a' => 'а',
                'e' => 'е',
                'o' => 'о',
                'p' => 'р',
                'c' => 'с',
                'x' => 'х',
                'A' => 'А',
                'E' => 'Е',
                'K' => 'К',
                'O' => 'О',
                'T' => 'Т',
                'i' => 'і',
                _ => c,
            })
            .collect(),
        "unicode_separator" => value
            .chars()
            .map(|c| match c {
                ' ' => dice.pick(&["\u{a0}", "\u{2009}", "\u{202f}", "\u{2003}"]).chars().next().unwrap_or(c),
                '-' => dice.pick(&["\u{2011}", "\u{2013}", "\u{2212}"]).chars().next().unwrap_or(c),
                _ => c,
            })
            .collect(),
        "percent" => value
            .bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() && !dice.one_in(3) {
                    char::from(b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect(),
        "html_decimal" => value.chars().map(|c| format!("&#{};", code(c))).collect(),
        "html_hex" => value
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() && dice.one_in(2) {
                    c.to_string()
                } else {
                    format!("&#x{:x};", code(c))
                }
            })
            .collect(),
        "base64" => base64(value.as_bytes(), b"+/"),
        "base64url" => base64(value.as_bytes(), b"-_").trim_end_matches('=').to_owned(),
        "hex" => value.bytes().map(|b| format!("{b:02x}")).collect(),
        "json_escape" => {
            value
                .chars()
                .map(|c| {
                    if c.is_ascii() && !dice.one_in(4) {
                        format!("\\u{:04x}", code(c))
                    } else {
                        c.to_string()
                    }
                })
                .collect()
        }
        "quoted_printable" => value
            .bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() || b == b'.' {
                    char::from(b).to_string()
                } else {
                    format!("={b:02X}")
                }
            })
            .collect(),
        "spaced" => {
            let compact: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            let parts: Vec<String> = compact.chars().map(String::from).collect();
            parts.join(" ")
        }
        "markdown" => {
            let (a, b) = halves()?;
            match dice.below(4) {
                0 => format!("**{a}**{b}"),
                1 => format!("{a}**{b}**"),
                2 => format!("`{a}``{b}`"),
                _ => format!("<b>{a}</b>{b}"),
            }
        }
        "line_wrap" => {
            let (a, b) = halves()?;
            format!("{a}\n{b}")
        }
        _ => base64(value.bytes().map(|b| format!("%{b:02X}")).collect::<String>().as_bytes(), b"+/"),
    };
    (out != value).then_some(out)
}

fn base64(bytes: &[u8], last: &[u8; 2]) -> String {
    let [plus, slash] = *last;
    let alphabet: Vec<u8> =
        (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain([plus, slash]).collect();
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let word =
            three.iter().chain([0, 0].iter()).take(3).fold(0_usize, |word, b| word << 8 | usize::from(*b));
        for place in 0..4 {
            let symbol = alphabet.get(word >> (18 - 6 * place) & 63).copied().unwrap_or(b'=');
            out.push(if place > three.len() { '=' } else { char::from(symbol) });
        }
    }
    out
}

//! Which URIs a resource template may stand for (RFC 6570). `{x}` is a piece without `/`, `?` and `#`, `{+x}` anything,
//! `{/x}` pieces that each begin with `/`, `{?x}` a query; any of them may be empty. Any other expression passes for
//! anything: a template leads to the server that may know a resource, and the server knows better.

/// Longer addresses are held against no template.
const URI_BYTES_MAX: usize = 2048;
/// Of a template with more expressions, those beyond stand for anything.
const EXPRESSIONS_MAX: usize = 16;

/// A piece of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    /// Nothing, or bytes of these, behind this one if there is one.
    Run {
        lead: Option<u8>,
        among: Among,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Among {
    All,
    /// Without `#`.
    Query,
    /// Without `?` and `#`.
    Path,
    /// Without `/`, `?` and `#`.
    Segment,
}

impl Among {
    fn holds(self, byte: u8) -> bool {
        match self {
            Self::All => true,
            Self::Query => byte != b'#',
            Self::Path => !matches!(byte, b'?' | b'#'),
            Self::Segment => !matches!(byte, b'/' | b'?' | b'#'),
        }
    }
}

const ANYTHING: Piece<'_> = Piece::Run { lead: None, among: Among::All };

/// What all its URIs begin with.
pub fn prefix(template: &str) -> &str {
    template.split('{').next().unwrap_or(template)
}

/// Whether a URI may be one of the template's.
pub fn matches(template: &str, uri: &str) -> bool {
    if !uri.starts_with(prefix(template)) || uri.len() > URI_BYTES_MAX || template.len() > URI_BYTES_MAX {
        return false;
    }
    let bytes = uri.as_bytes();
    // Where in the URI the pieces so far may end.
    let mut ends = vec![false; bytes.len() + 1];
    if let Some(first) = ends.first_mut() {
        *first = true;
    }
    for piece in pieces(template) {
        ends = match piece {
            Piece::Text(text) => behind_text(text.as_bytes(), bytes, &ends),
            Piece::Run { lead, among } => behind_run(lead, among, bytes, &ends),
        };
    }
    ends.last().copied().unwrap_or_default()
}

fn behind_text(text: &[u8], uri: &[u8], begins: &[bool]) -> Vec<bool> {
    let mut ends = vec![false; begins.len()];
    for at in begins.iter().enumerate().filter_map(|(at, begins)| begins.then_some(at)) {
        if uri.get(at..).is_some_and(|rest| rest.starts_with(text))
            && let Some(end) = ends.get_mut(at + text.len())
        {
            *end = true;
        }
    }
    ends
}

fn behind_run(lead: Option<u8>, among: Among, uri: &[u8], begins: &[bool]) -> Vec<bool> {
    let mut runs = false;
    let mut ends = Vec::with_capacity(begins.len());
    for (at, begins) in begins.iter().enumerate() {
        ends.push(*begins || runs);
        let Some(byte) = uri.get(at) else { break };
        let goes_on = runs && among.holds(*byte);
        let sets_out = *begins && lead.map_or_else(|| among.holds(*byte), |lead| lead == *byte);
        runs = goes_on || sets_out;
    }
    ends
}

fn pieces(template: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest, mut expressions) = (Vec::new(), template, 0);
    while let Some((text, behind)) = rest.split_once('{') {
        pieces.push(Piece::Text(text));
        expressions += 1;
        match behind.split_once('}') {
            Some((expression, behind)) if expressions < EXPRESSIONS_MAX => {
                add(expression, &mut pieces);
                rest = behind;
            }
            // It is not closed, or there are too many.
            _ => {
                pieces.push(ANYTHING);
                return pieces;
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn add<'t>(expression: &'t str, pieces: &mut Vec<Piece<'t>>) {
    let (operator, variables) = match expression.chars().next() {
        Some(operator @ ('+' | '/' | '?')) => (Some(operator), expression.get(1..).unwrap_or_default()),
        _ => (None, expression),
    };
    let is_plain = |name: &str| {
        let name = name.strip_suffix('*').unwrap_or(name);
        !name.starts_with(['.', '-'])
            && !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'%' | b'-'))
    };
    if !variables.split(',').all(is_plain) {
        return pieces.push(ANYTHING);
    }
    pieces.push(match operator {
        None => Piece::Run { lead: None, among: Among::Segment },
        Some('/') => {
            let many = variables.contains(['*', ',']);
            Piece::Run { lead: Some(b'/'), among: if many { Among::Path } else { Among::Segment } }
        }
        Some('?') => Piece::Run { lead: Some(b'?'), among: Among::Query },
        Some(_) => ANYTHING,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_an_expression_stands_for() {
        let check = |template: &str, uri: &str, expected: bool| {
            assert_eq!(matches(template, uri), expected, "{template} {uri}");
        };
        check("note://{id}", "note://7", true);
        check("note://{id}", "note://", true);
        check("note://{id}", "note://7/8", false);
        check("note://{id}", "note://7?x", false);
        check("note://{id}", "other://7", false);
        check("note://{id}/body", "note://7/body", true);
        check("note://{id}/body", "note://7/bod", false);
        check("note://{id}/body", "note://7/body/", false);
        check("note://{a}-{b}", "note://1-2-3", true);
        check("note://{a,b}", "note://1,2", true);
        check("file:///{+path}", "file:///a/b?c#d", true);
        check("x:{/a}", "x:", true);
        check("x:{/a}", "x:/b", true);
        check("x:{/a}", "x:b", false);
        check("x:{/a}", "x:/b/c", false);
        check("x:{/a,b}", "x:/b/c", true);
        check("x:{/a*}y", "x:/b/c/y", true);
        check("x:{?q,r}", "x:?q=1&r=/2", true);
        check("x:{?q}", "x:", true);
        check("x:{?q}", "x:q=1", false);
        check("x:{?q}", "x:?q#f", false);
        check("x:plain", "x:plain", true);
        check("x:plain", "x:plain2", false);
        // What is not understood stands for anything.
        for template in ["x:{#a}", "x:{.a}", "x:{;a}", "x:{&a}", "x:{a:3}", "x:{", "x:{}", "x:{a b}"] {
            check(template, "x:/1?2#3", true);
            check(template, "y:/1", false);
        }
        let deep = "{a}/".repeat(EXPRESSIONS_MAX + 4);
        check(&deep, &"b/".repeat(EXPRESSIONS_MAX + 4), true);
        check("x:{+a}", &format!("x:{}", "a".repeat(URI_BYTES_MAX)), false);
    }

    proptest! {
        #[test]
        fn what_a_template_expands_to_is_its_own(
            parts in proptest::collection::vec(("[a-z:./]{0,3}", 0..5_usize, "[a-z0-9%,]{0,4}", "[a-z/?#]{0,4}"), 0..6),
        ) {
            let (mut template, mut uri) = (String::new(), String::new());
            for (text, form, plain, anything) in &parts {
                let (expression, value) = match form {
                    0 => ("{x}", plain.clone()),
                    1 => ("{+x}", anything.clone()),
                    2 => ("{/x}", format!("/{plain}")),
                    3 => ("{?x,y}", format!("?x={plain}&y=")),
                    _ => ("{#x}", format!("#{anything}")),
                };
                template += text;
                template += expression;
                uri += text;
                uri += &value;
            }
            prop_assert!(matches(&template, &uri), "{} {}", template, uri);
            prop_assert!(uri.starts_with(prefix(&template)));
        }

        #[test]
        fn without_anything_a_template_is_a_text(template in "[a-c]{0,3}", uri in "[a-c]{0,3}") {
            prop_assert_eq!(matches(&template, &uri), template == uri);
        }

        #[test]
        fn nothing_that_servers_and_clients_write_breaks_it(template in ".{0,40}", uri in ".{0,40}") {
            let matched = matches(&template, &uri);
            prop_assert!(!matched || uri.starts_with(prefix(&template)));
        }
    }
}

//! A name and a password together, `eva:…` behind a word for both; and what has the same colon and is none: URLs, paths,
//! addresses of hosts, versions.

use super::bytes::{Classes, byte, holds_word, is_space, slice};
use super::noun;
use super::words::is_slug;

/// Words for a name and a password together.
pub(super) const LOGINS: &[&[u8]] = &[
    b"credentials",
    b"credential",
    b"creds",
    b"cred",
    b"login",
    b"logins",
    b"zugangsdaten",
    b"zugang",
    b"anmeldedaten",
    b"logindaten",
    b"anmeldung",
    b"identifiants",
    b"identifiant",
    b"acc\xC3\xA8s",
    b"connexion",
    b"account",
    b"konto",
];
/// Those of them that mean nothing else.
const PLAIN: &[&[u8]] = &[
    b"credentials",
    b"credential",
    b"creds",
    b"cred",
    b"zugangsdaten",
    b"anmeldedaten",
    b"logindaten",
    b"identifiants",
];
/// What makes verbs of `log` and `sign` that a name and a password follow.
const IN: &[&[u8]] =
    &[b"in", b"on", b"into", b"onto", b"rein", b"dich", b"mich", b"sich", b"euch", b"to", b"through"];
/// Signs and words between a name and a password.
const SIGNS: &[&[u8]] = &[b"/", b"|"];
const JOINS: &[&[u8]] = &[b"with", b"mit", b"avec", b"and", b"und", b"et", b"-"];
/// What stands before a colon and is nobody's name.
const SCHEMES: &[&[u8]] = &[
    b"http", b"https", b"ftp", b"sftp", b"ssh", b"ws", b"wss", b"file", b"s3", b"gs", b"git", b"mailto",
    b"tel", b"urn", b"data", b"jdbc", b"docker", b"npm", b"about", b"chrome", b"arn",
];
const WORDS: usize = 5;
/// So many where the name stands behind `with`.
const FAR: usize = 8;
/// How far a word may stand before what is encoded.
const AROUND: usize = 48;
/// Verbs of getting in, with one of `IN` behind them.
const ENTRIES: &[&[u8]] = &[
    b"log", b"logs", b"logged", b"logging", b"sign", b"signs", b"signed", b"signing", b"get", b"gets",
    b"got", b"getting", b"come", b"comes",
];
/// Those that need none.
const ENTERS: &[&[u8]] = &[
    b"komm",
    b"kommst",
    b"rein",
    b"reinkommen",
    b"hinein",
    b"einloggen",
    b"einzuloggen",
    b"eingeloggt",
    b"logge",
    b"anmelden",
    b"anzumelden",
    b"angemeldet",
    b"melde",
    b"connecter",
    b"connecte",
    b"connecte-toi",
    b"connectez-vous",
    b"entrer",
    b"authenticate",
];
/// Words that say that a name and a password stand in base64 behind them.
const ENCODED: &[&str] = &[
    "base64",
    "b64",
    "basic",
    "auth",
    "authorization",
    "credential",
    "credentials",
    "creds",
    "login",
    "zugangsdaten",
    "anmeldedaten",
    "identifiants",
    "auth-header",
];

/// Where the password begins in `name:password` or, where `both` says that a slash may join them, `name/password`; 0 where
/// the whole is one. None where the colon is of something else.
pub(super) fn value(whole: &[u8], both: impl Fn() -> bool) -> Option<usize> {
    let colon = whole.iter().position(|b| *b == b':');
    let slash = whole.iter().position(|b| *b == b'/').filter(|at| colon.is_none_or(|colon| *at < colon));
    if let Some(at) = slash
        && both()
    {
        return Some(at + 1);
    }
    match colon {
        None => Some(0),
        Some(_) if slash.is_some() => None,
        Some(at) => (!is_other(slice(whole, 0, at), slice(whole, at + 1, whole.len()))).then_some(at + 1),
    }
}

/// `https://…`, `std::io::Error2`, `localhost:8080/x`, `file:/var/log/app2.log`, `app:v1.2.3`.
fn is_other(name: &[u8], rest: &[u8]) -> bool {
    let scheme = SCHEMES.iter().any(|scheme| name.eq_ignore_ascii_case(scheme));
    let port = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let host = (1..=5).contains(&port) && matches!(rest.get(port), None | Some(b'/' | b'?'));
    let path =
        rest.first() == Some(&b'/') && slice(rest, 1, rest.len()).iter().any(|b| matches!(b, b'/' | b'.'));
    scheme || rest.starts_with(b"//") || rest.starts_with(b":") || host || path || is_version(rest)
}

/// `main2.rs:42`, `Login20.java`.
pub(super) fn is_file(value: &[u8]) -> bool {
    let name = value.split(|b| *b == b':').next().unwrap_or_default();
    let Some(dot) = memchr::memrchr(b'.', name) else { return false };
    let ending = slice(name, dot + 1, name.len());
    (1..6).contains(&ending.len())
        && ending.iter().all(u8::is_ascii_lowercase)
        && value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':'))
}

/// `v1.2.3`, `1.25-alpine3`.
pub(super) fn is_version(value: &[u8]) -> bool {
    let digits = value.strip_prefix(b"v").unwrap_or(value);
    let major = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    (1..4).contains(&major)
        && byte(digits, major) == b'.'
        && byte(digits, major + 1).is_ascii_digit()
        && value.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
}

/// Whether a word says that what stands at `at` is a name and a password in base64: "base64: …", "the auth header is …".
#[cold]
pub(super) fn is_encoded(text: &[u8], at: usize) -> bool {
    let head = slice(text, at.saturating_sub(AROUND), at);
    let line = head.rsplit(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
    holds_word(line, ENCODED)
}

/// "credentials are admin:…", "Zugangsdaten: admin / …", "login eva mit …": a word for both in `head`, then a name and the
/// secret. `paired`: the name is glued to it by a colon.
pub(super) fn is_told(head: &[u8], paired: bool, secret: &[u8]) -> bool {
    let line = head.rsplit(|b| matches!(b, b'\n' | b'.' | b'!' | b'?')).next().unwrap_or_default();
    let mut words = line
        .rsplit(|b| is_space(*b) || matches!(b, b':' | b'=' | b'(' | b'"' | b'\'' | b'`' | b','))
        .filter(|word| !word.is_empty())
        .take(FAR)
        .peekable();
    let is = |word: &[u8], of: &[&[u8]]| of.iter().any(|one| word.eq_ignore_ascii_case(one));
    // Without a name before it only what joins it with one: most words do not.
    let Some(first) = words.peek() else { return false };
    if !paired && !is(first, SIGNS) && !is(first, JOINS) {
        return false;
    }
    let classes = Classes::of(secret);
    // `eu-west-1`, `worker-3`: the name of something.
    let slug = is_slug(secret) && classes.digit < 2;
    // Behind a word alone, `WebAuthn2` and `AADSTS50011!` are none.
    let marks = secret.iter().rev().take_while(|b| matches!(b, b'!' | b'?')).count();
    let bare = slice(secret, 0, secret.len() - marks);
    let signed = bare.iter().any(|b| !b.is_ascii_alphanumeric());
    let cased = classes.lower > 0 && classes.upper > 0 && classes.digit > 1;
    let made = (signed || cased) && !noun::is_standard(bare);
    let mut behind: &[u8] = b"";
    let (mut joined, mut with) = (paired, false);
    for (place, word) in words.enumerate() {
        if place == 0 && !paired {
            joined = is(word, SIGNS) || (is(word, JOINS) && made);
        }
        with |= place < 3 && is(word, &[b"with", b"mit", b"avec", b"as", b"als", b"via", b"using"]);
        let entry = is(word, ENTRIES);
        let near = place < WORDS && is(word, LOGINS) && !entry;
        let enters = entry && is(behind, IN) && (place < WORDS || with) || with && is(word, ENTERS);
        if joined && (near || enters) && (paired || place > 0) {
            return !slug || is(word, PLAIN);
        }
        behind = word;
    }
    false
}

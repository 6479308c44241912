//! What makes a word a password from outside of it: the call that takes it behind a name (`HTTPBasicAuth('svc', '…')`,
//! `auth=("admin", "…")`, `smtp.login("a@b.example", "…")`), and the question that it stands in ("Is … a strong password?").

use super::assignment::names_password;
use super::bytes::{Classes, before, byte, is_name, is_space, run_end, run_start, slice};
use super::lead::is_one_of;
use super::words::{is_numbered, is_slug};
use super::{Finding, password, sibling};
use crate::redact::entity::Entity;

/// Endings of what takes a name and a password, in small letters and without `_`.
const CALLS: &[&[u8]] = &[
    b"creds",
    b"auth",
    b"login",
    b"signin",
    b"authenticate",
    b"credential",
    b"credentials",
    b"passwordauthentication",
    b"setauthentication",
    b"authenticationtoken",
    b"authpassword",
    b"emailandpassword",
    b"usernamepwset",
    b"userpassword",
    b"auth.basic",
    b"tokens.basic",
    b"credentials.basic",
    b"ldapbind",
    b"simplebind",
    b"simplebinds",
    b"wifi.begin",
    b"softap",
    b"sta.connect",
    b"staif.connect",
    b"wlan.connect",
    b"wifi.connect",
    b"spaddlogin",
    b"spaddlinkedsrvlogin",
    b"logon",
];
/// The same, which take other things as well: what looks like a password only.
const OTHERS: &[&[u8]] = &[
    b"createuser",
    b"createsuperuser",
    b"adduser",
    b"register",
    b"registeruser",
    b"signup",
    b"authentication",
    b"userpass",
];
/// What takes them behind the place of a database or a host.
const CONNECTS: &[&[u8]] = &[
    b"getconnection",
    b"pdo",
    b"mysqli",
    b"mysqliconnect",
    b"mysqlconnect",
    b"connect",
    b"open",
    b"imapopen",
    b"ftp",
    b"ftp.new",
    b"ftp.open",
    b"imap4",
    b"odbcconnect",
    b"oleconnect",
    b"database",
    b"createconnection",
    b"newconnection",
    b"sqlconnect",
    b"logonuser",
    b"smtp.start",
    b"client",
    b"datasource",
    b"drivermanagerdatasource",
    b"sshclient",
    b"sftp",
];
/// What is done with a password that a name of a call ends in; behind other verbs its name stands.
const READS: &[&[u8]] = &[
    b"get",
    b"find",
    b"fetch",
    b"read",
    b"load",
    b"reset",
    b"forgot",
    b"has",
    b"is",
    b"ask",
    b"prompt",
    b"render",
    b"label",
    b"show",
    b"test",
    b"remove",
    b"delete",
    b"input",
    b"request",
    b"recover",
    b"send",
    b"on",
    b"to",
    b"generate",
    b"describe",
    b"it",
];
/// What is typed into a field whose place stands before it.
const TYPES: &[&[u8]] = &[
    b"fill",
    b"fillin",
    b"type",
    b"typetext",
    b"sendkeys",
    b"settext",
    b"setvalue",
    b"inputtext",
    b"entertext",
    b"typein",
];
/// What writes `name:password` as it is sent.
const ENCODES: &[&[u8]] = &[
    b"btoa",
    b"b64encode",
    b"base64encode",
    b"encode64",
    b"strictencode64",
    b"tobase64",
    b"basicauth",
    b"basic",
    b"buffer.from",
    b"setauth",
    b"userinfo",
];
/// Arguments before a value.
const ARGUMENTS: usize = 6;
const ARGUMENT_MAX: usize = 160;
const NAME_MAX: usize = 64;
/// Calls of which each is asked of what the one before gives.
const CHAIN_MAX: usize = 3;

fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`' | b'\\')
}

/// Whether the string at `from..to` is the second of two that such a call takes.
pub(super) fn is_argument(text: &[u8], from: usize, to: usize) -> bool {
    if before(text, from) == b'>' {
        return sibling::tagged(text, from).is_some_and(names_password);
    }
    if before(text, from) == b':' {
        return is_pair(text, from, to);
    }
    if !is_quote(before(text, from)) || !is_quote(byte(text, to)) {
        return false;
    }
    let open = run_start(text, from, 4, is_quote);
    let open = if slice(text, open.saturating_sub(5), open) == b"Some(" { open - 5 } else { open };
    // Most strings are no arguments.
    let end = run_start(text, open, 24, |b| b.is_ascii_whitespace());
    if !matches!(before(text, end), b',' | b'(' | b'[') {
        return false;
    }
    let value = slice(text, from, to);
    // A name of something: `page2.html`, `test_login_v2`.
    if is_slug(value) && !is_numbered(value) && Classes::of(value).digit < 3 || value.contains(&b'/') {
        return false;
    }
    Call::before(text, open).is_some_and(|call| call.takes(value))
}

/// `CURLOPT_USERPWD, 'eva:…'`, `btoa("eva:…")`: whether the string that ends at `to` is a name and a password, of which the
/// second begins at `from`.
fn is_pair(text: &[u8], from: usize, to: usize) -> bool {
    let name = run_start(text, from - 1, NAME_MAX, |b| is_name(b) || b == b'@');
    let open = run_start(text, name, 4, is_quote);
    if open == name || name + 1 >= from || !is_quote(byte(text, to)) {
        return false;
    }
    let open = if matches!(before(text, open), b'b') { open - 1 } else { open };
    Call::before(text, open).is_some_and(|call| match call.arguments.first() {
        Some(Some((start, end))) if call.count > 0 => {
            let name = slice(text, *start, *end);
            name.len() > 6 && slice(name, name.len() - 7, name.len()).eq_ignore_ascii_case(b"userpwd")
        }
        _ => call.count == 0 && call.is_one(ENCODES),
    })
}

/// At the digit that a string begins with: what a call takes.
#[cold]
pub(super) fn digits(text: &[u8], from: usize) -> Option<Finding> {
    let quote = before(text, from);
    if !is_quote(quote) {
        return None;
    }
    let to = run_end(text, from, NAME_MAX, |b| b != quote && b > b' ' && b != b'\\');
    (is_quote(byte(text, to)) && password::is_made_up(slice(text, from, to)) && is_argument(text, from, to))
        .then(|| Finding::outer(Entity::Password, from, to, to))
}

/// A call up to one of its arguments.
struct Call<'a> {
    text: &'a [u8],
    /// Its name, and the one before that of what it is called on, in small letters and without `_`.
    name: [u8; NAME_MAX],
    length: usize,
    /// The arguments before, the nearest first, without quotes.
    arguments: [Option<(usize, usize)>; ARGUMENTS],
    count: usize,
    /// Whether one of them is no string.
    bare: bool,
    /// In round brackets, or, as of a procedure, in none.
    round: bool,
}

impl<'a> Call<'a> {
    /// What stands before an argument that begins at `at`.
    fn before(text: &'a [u8], at: usize) -> Option<Self> {
        let mut call = Self {
            text,
            name: [0; NAME_MAX],
            length: 0,
            arguments: [None; ARGUMENTS],
            count: 0,
            bare: false,
            round: true,
        };
        let from = at.saturating_sub(ARGUMENT_MAX);
        let mut at = at;
        loop {
            let end = run_start(text, at, 24, |b| b.is_ascii_whitespace());
            match before(text, end) {
                b',' if end > from => at = call.argument(end - 1)?,
                b'(' | b'[' => {
                    call.round = before(text, end) == b'(';
                    let sign = run_start(text, end - 1, 4, |b| {
                        is_space(b) || is_quote(b) || matches!(b, b'=' | b':')
                    });
                    call.named(sign);
                    return (call.length > 0).then_some(call);
                }
                last if call.count > 0 && end < at && last.is_ascii_alphanumeric() => {
                    call.named(end);
                    return (call.length > 0).then_some(call);
                }
                _ => return None,
            }
        }
    }

    /// One more argument, which ends before the comma at `comma`; where it begins.
    fn argument(&mut self, comma: usize) -> Option<usize> {
        let text = self.text;
        let end = run_start(text, comma, 8, |b| b.is_ascii_whitespace());
        let quote = before(text, end);
        let empty = [b"\"\"".as_slice(), b"''", b"\\\"\\\""]
            .into_iter()
            .find(|two| slice(text, end.saturating_sub(two.len()), end) == *two);
        let (start, stop, begin) = if let Some(two) = empty {
            (end, end, end - two.len())
        } else if matches!(quote, b'"' | b'\'' | b'`') {
            let stop = run_start(text, end, 4, is_quote);
            let start = run_start(text, stop, 96, |b| b != quote && b != b'\n');
            if before(text, start) != quote {
                return None;
            }
            // The backslash of an escaped quote is of the quote.
            let stop = stop.max(start);
            (start, stop, run_start(text, start, 4, is_quote))
        } else {
            let bare = |b: u8| is_name(b) || matches!(b, b'$' | b'>' | b'&' | b'@' | b'*');
            let start = run_start(text, end, 48, bare);
            self.bare = true;
            (start, end, start)
        };
        if begin == end {
            return None;
        }
        *self.arguments.get_mut(self.count)? = Some((start, stop));
        self.count += 1;
        Some(begin)
    }

    fn named(&mut self, end: usize) {
        let start = run_start(self.text, end, NAME_MAX, is_name);
        for b in slice(self.text, start, end) {
            if *b != b'_'
                && let Some(to) = self.name.get_mut(self.length)
            {
                *to = b.to_ascii_lowercase();
                self.length += 1;
            }
        }
    }

    fn is_one(&self, of: &[&[u8]]) -> bool {
        let name = slice(&self.name, 0, self.length);
        of.iter().any(|one| name.ends_with(one))
    }

    /// The same, where nothing but what it is called on stands before.
    fn is_whole(&self, of: &[&[u8]]) -> bool {
        let name = slice(&self.name, 0, self.length);
        let is =
            |one: &&[u8]| name.strip_suffix(*one).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"."));
        of.iter().any(is)
    }

    /// Whether its next argument is a password.
    fn takes(&self, value: &[u8]) -> bool {
        let classes = Classes::of(value);
        let told = classes.digit > 2 || classes.kinds() > 2 || classes.digit > 1 && classes.other > 0;
        let nearest = self.arguments.first().copied().flatten().map(|(from, to)| slice(self.text, from, to));
        let Some(nearest) = nearest else {
            let plain = self.round && slice(&self.name, 0, self.length) == b"auth";
            return plain && !is_slug(value) || self.round && told && self.sets();
        };
        if self.is_one(CALLS) || told && (self.is_whole(OTHERS) || self.round && self.sets()) {
            return true;
        }
        // `bind("cn=admin,dc=acme", "…")`.
        let bound = told && nearest.contains(&b'=') && self.is_one(&[b"bind", b"binds"]);
        let placed = self.count == 2 || self.count == 3 && self.bare;
        if bound || placed && told && self.is_whole(CONNECTS) && !nearest.is_empty() {
            return true;
        }
        let typed = self.is_one(TYPES) && sibling::field(nearest).is_some();
        let reads = self.is_one(&[b"get", b"string", b"label", b"translate", b"gettext"]) || self.length < 2;
        self.round && told && (typed || self.count == 1 && !reads && names_password(nearest))
    }

    /// Whether its name says that a password is given to it.
    fn sets(&self) -> bool {
        let name = slice(&self.name, 0, self.length);
        let name = name.rsplit(|b| *b == b'.').next().unwrap_or_default();
        names_password(name) && !READS.iter().any(|verb| name.starts_with(verb))
    }
}

/// What is typed into the field that a word names: `('#password').fill('…')`, `"[name=password]").first().type("…")`. The
/// outer is None where nothing of that kind stands behind the word at `from`.
pub(super) fn typed(text: &[u8], from: usize) -> Option<Option<Finding>> {
    if !matches!(byte(text, from), b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b'-') {
        return None;
    }
    let end = run_end(text, from, NAME_MAX, |b| b.is_ascii_alphanumeric() || b == b'-');
    let mut close = run_end(text, end, 8, |b| is_quote(b) || matches!(b, b']' | b')'));
    for _ in 0..CHAIN_MAX {
        let name = run_end(text, close + 1, NAME_MAX, |b| b.is_ascii_alphanumeric() || b == b'_');
        if before(text, close) != b')'
            || byte(text, close) != b'.'
            || byte(text, name) != b'('
            || name == close + 1
        {
            return None;
        }
        if byte(text, name + 1) == b')' {
            close = name + 2;
            continue;
        }
        let start = run_end(text, name + 1, 2, is_quote);
        let stop = run_end(text, start, NAME_MAX, |b| b >= b' ' && b != before(text, start));
        let value = slice(text, start, stop);
        let made = start > name + 1 && byte(text, stop) == before(text, start) && password::is_made_up(value);
        return Some(made.then(|| Finding::outer(Entity::Password, start, stop, stop)));
    }
    None
}

/// Verbs that a question begins with, and how a password is judged in it.
const ASKS: &[&str] = &["is", "ist", "est", "was", "war", "que", "w\u{e4}re", "would", "be"];
const ARTICLES: &[&str] = &[
    "a", "an", "the", "my", "your", "ein", "eine", "mein", "kein", "un", "une", "le", "mon", "as", "als",
    "comme",
];
const VERBS: &[&str] =
    &["est", "serait", "fait", "is", "be", "really", "actually", "wirklich", "vraiment", "still", "noch"];
const NOUNS: &[&str] =
    &["password", "passwort", "kennwort", "passphrase", "passcode", "passe", "mdp", "pw", "pwd"];
/// Words behind the noun; another noun makes it one for something else: "a good password manager".
const GOES_ON: &[&str] =
    &["for", "to", "or", "then", "f\u{fc}r", "oder", "gut", "sicher", "pour", "ou", "and", "und", "et"];
/// Words between the article and the noun: "a really strong password", "un bon mot de passe".
const BETWEEN_MAX: usize = 4;
const AHEAD: usize = 64;

/// "Is … a strong password?", "Ist … ein gutes Passwort?", "Est-ce que … est un bon mot de passe ?"
pub(super) fn is_asked(text: &[u8], from: usize, to: usize) -> bool {
    let word = |b: u8| b.is_ascii_alphabetic() || b >= 0x80;
    let open = run_start(text, from, 3, |b| is_quote(b) || is_space(b));
    let verb = slice(text, run_start(text, open, 8, word), open);
    if open == from || !is_one_of(verb, ASKS) {
        return false;
    }
    let line = slice(text, to, text.len().min(to + AHEAD));
    let line = line.split(|b| matches!(b, b'\n' | b'.' | b'!' | b'?' | b',')).next().unwrap_or_default();
    let mut words = line.split(|b| is_space(*b) || is_quote(*b)).filter(|word| !word.is_empty()).peekable();
    if words.peek().is_some_and(|first| is_one_of(first, VERBS)) {
        words.next();
    }
    words.next().is_some_and(|article| is_one_of(article, ARTICLES))
        && words.by_ref().take(BETWEEN_MAX).any(|word| is_one_of(word, NOUNS))
        && words.next().is_none_or(|next| is_one_of(next, GOES_ON))
}

/// Where a value ends whose last sign is a question mark in the middle of a sentence: "use … as the password".
pub(super) fn past_question_mark(text: &[u8], to: usize) -> usize {
    let behind = run_end(text, to, 2, |b| b == b'?');
    let next = run_end(text, behind, 3, |b| is_space(b) || is_quote(b));
    if behind > to && next > behind && byte(text, next).is_ascii_lowercase() { behind } else { to }
}

/// `cn=admin,dc=acme / …`, as who binds to a directory is written.
pub(super) fn is_of_directory(text: &[u8], from: usize) -> bool {
    let slash = run_start(text, from, 2, is_space);
    let end = run_start(text, slash.saturating_sub(1), 2, is_space);
    let word = slice(text, run_start(text, end, AHEAD, |b| !b.is_ascii_whitespace()), end);
    before(text, slash) == b'/' && slash < from && word.windows(4).any(|w| w.eq_ignore_ascii_case(b",dc="))
}

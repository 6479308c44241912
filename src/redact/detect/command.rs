//! PASSWORD and URL_PASSWORD in commands, files and forms: `curl -u user:…`, `sshpass -p …`, `mysql -p…`, `zip -P …`, `htpasswd -b file user …`,
//! `sqlplus user/…@db`, `echo … | docker login --password-stdin`, `IDENTIFIED BY '…'`.

use std::sync::LazyLock;

use super::bytes::{
    Classes, before, byte, is_escape, is_name, is_space, run_end, run_start, slice, starts_free,
    starts_with_ignoring_case,
};
use super::password::is_made_up;
use super::places::{OPTIONS, OTHERS};
use super::reference::is_reference;
use super::words::is_slug;
use super::{Finding, Scan, shell};
use crate::redact::entity::Entity;

/// Of the commands that take a password behind an option those whose name means nothing else: whatever stands there is one.
const PLAIN: &[&[u8]] = &[
    b"sshpass",
    b"docker",
    b"podman",
    b"registry",
    b"nerdctl",
    b"buildah",
    b"skopeo",
    b"htpasswd",
    b"mongo",
    b"mongosh",
    b"mongodump",
    b"smbclient",
    b"ncftp",
    b"oc",
    b"argocd",
    b"zip",
    b"unzip",
    b"zipcloak",
    b"7z",
    b"redis",
    b"ldapsearch",
    b"ldapmodify",
    b"ldapadd",
    b"ldapwhoami",
];
/// Commands of which the password is glued to `-p`.
const GLUED: &[&[u8]] = &[
    b"mysql",
    b"mysqldump",
    b"mysqladmin",
    b"mysqlsh",
    b"mysqlimport",
    b"mysqlcheck",
    b"mysqlshow",
    b"mariadb",
    b"sshpass",
    b"7z",
    b"7za",
    b"7zz",
    b"unrar",
    b"rar",
];
/// Commands that take `user/password@database`.
const DATABASES: &[&[u8]] = &[b"sqlplus", b"sqlldr", b"expdp", b"impdp", b"rman", b"exp", b"imp", b"sql"];
/// How far back a command may begin.
const COMMAND_MAX: usize = 160;
/// The same before one of its options of a letter.
const OPTION_MAX: usize = 80;

/// At the dash of `-u user:password`, `sshpass -p …`, `mysql -p…`, `redis-cli -a …`.
pub(super) fn option(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    if let Some(found) = piped(text, at) {
        return Some(found);
    }
    let letter = byte(text, at + 1);
    if let Some(found) = curl(text, at).or_else(|| shell::long(text, at)) {
        return Some(found);
    }
    if letter | 0x20 == b's'
        && let Some(found) = secure_string(text, at)
    {
        return Some(found);
    }
    // The second dash of `--port` begins no `-p`.
    let long = before(text, at) == b'-';
    if letter == b'u' || long || before(text, at).is_ascii_alphanumeric() {
        return if letter == b'u' { user(text, at) } else { None };
    }
    if !matches!(letter, b'p' | b'P' | b'a' | b'b' | b'w' | b'W' | b's' | b'k' | b'N' | b'h') {
        return None;
    }
    let line = slice(text, at.saturating_sub(OPTION_MAX), at);
    let line = line.rsplit(|b| matches!(b, b'\n' | b';' | b'|')).next().unwrap_or_default();
    let apart = is_space(byte(text, at + 2));
    match letter {
        b'a' if apart && holds(line, &[b"http", b"https", b"xh", b"httpie"]) => return user(text, at),
        b'b' => return if apart && holds(line, &[b"htpasswd"]) { batch(text, at) } else { None },
        _ => {}
    }
    // `rar -hp…`, `plink -pw …`.
    let pair = letter == b'h' || letter == b'p' && slice(text, at + 2, at + 4) == b"w ";
    let from = at + 2 + usize::from(pair);
    let asks = if pair {
        (letter == b'p' || byte(text, at + 2) == b'p' && holds(line, &[b"rar"]))
            && is_made_up(argument_of(text, from))
    } else if apart {
        asks_apart(text, at, line)
    } else {
        letter == b'p' && holds(line, GLUED)
    };
    if !asks {
        return None;
    }
    let from = run_end(text, from, 2, |b| is_space(b) || matches!(b, b'"' | b'\''));
    let end = argument_end(text, from);
    let value = slice(text, from, end);
    let real = value.len() >= 4 && !is_reference(value) && !is_port(value) && !value.starts_with(b"-");
    real.then(|| Finding::outer(Entity::Password, from, end, from))
}

fn holds(line: &[u8], of: &[&[u8]]) -> bool {
    line.split(|b| !b.is_ascii_alphanumeric()).any(|word| of.contains(&word))
}

/// Whether a password stands behind the option of a letter at `at` and a blank, of the command in `line`.
#[cold]
fn asks_apart(text: &[u8], at: usize, line: &[u8]) -> bool {
    let letter = byte(text, at + 1);
    let server = || {
        memchr::memchr(b'm', line).is_some()
            && holds(line, &[b"mysql", b"mariadb"])
            && shell::is_before_database(text, at + 2)
    };
    takes(letter, line) && (holds(line, PLAIN) || is_made_up(argument_of(text, at + 2)))
        || letter == b'p' && (is_quoted_beside_user(text, at + 2) || server())
        || matches!(letter, b'p' | b'P' | b'w') && is_beside_user(text, at, line)
}

fn argument_end(text: &[u8], from: usize) -> usize {
    run_end(text, from, 128, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'\\' | b'<'))
}

/// The argument behind blanks and a quote.
fn argument_of(text: &[u8], at: usize) -> &[u8] {
    let from = run_end(text, at, 3, |b| is_space(b) || matches!(b, b'"' | b'\''));
    slice(text, from, argument_end(text, from))
}

/// `8080:80`, `127.0.0.1:8080:80/tcp`, `[::1]:8080:80`, `localhost:8080:80`.
fn is_port(value: &[u8]) -> bool {
    let value = value.strip_suffix(b"/tcp").or_else(|| value.strip_suffix(b"/udp")).unwrap_or(value);
    let value = value.strip_prefix(b"localhost:").unwrap_or(value);
    let joined = value.contains(&b':');
    value.iter().all(|b| b.is_ascii_digit() || joined && matches!(b, b':' | b'.' | b'-' | b'[' | b']'))
}

/// Which letters the commands of each letter begin with, a bit each.
static FIRSTS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let bit = |command: &&str| 1 << (byte(command.as_bytes(), 0) & 31);
    OPTIONS.iter().map(|(_, commands)| commands.iter().map(bit).fold(0, |all, bit| all | bit)).collect()
});

/// Whether one of a command's words takes a password behind an option of that letter.
#[cold]
fn takes(letter: u8, line: &[u8]) -> bool {
    let Some((row, (_, commands))) = OPTIONS.iter().enumerate().find(|(_, (of, _))| *of == letter) else {
        return false;
    };
    let firsts = FIRSTS.get(row).copied().unwrap_or(0);
    line.split(|b| !b.is_ascii_alphanumeric() && *b != b'_').any(|word| {
        let Some(first) = word.first() else { return false };
        let mut alike = commands.iter().filter(|command| command.as_bytes().first() == Some(first));
        word.len() > 1
            && firsts >> (first & 31) & 1 == 1
            && alike.any(|command| match command.strip_suffix('*') {
                Some(head) => word.starts_with(head.as_bytes()),
                None => word == command.as_bytes(),
            })
    })
}

/// `… -u eva -p …`, whatever the command is: what is no port, no path and no name of a thing.
#[cold]
fn is_beside_user(text: &[u8], at: usize, line: &[u8]) -> bool {
    let value = argument_of(text, at + 2);
    let classes = Classes::of(value);
    let told = classes.digit > 2 || classes.digit > 0 && (classes.upper > 0 || classes.other > 0);
    let mapped = value.iter().any(|b| matches!(b, b':' | b'/' | b',' | b'='));
    // Looked for first, as the commonest that is missing.
    let line_end = run_end(text, at, COMMAND_MAX, |b| b != b'\n');
    let all = slice(text, at - line.len(), line_end);
    let holds = |what: &[u8]| memchr::memmem::find(all, what).is_some();
    if !holds(b"-u") && !holds(b"-U") && !holds(b"--login") {
        return false;
    }
    if !told || mapped || is_slug(value) && classes.digit < 3 || !is_made_up(value) {
        return false;
    }
    let is_user = |word: &[u8]| {
        if !matches!(word, [.., b'u' | b'U' | b'r' | b'e' | b'n']) {
            return false;
        }
        let option = word.rsplit(|b| *b == b'!').next().unwrap_or_default();
        matches!(option, b"-u" | b"-U" | b"--user" | b"--username" | b"-user" | b"-username" | b"--login")
    };
    let is_name =
        |word: &[u8]| word.first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'"' | b'\''));
    let named = |line: &[u8]| {
        let mut words = line.split(|b| is_space(*b)).filter(|word| !word.is_empty());
        let mut last: &[u8] = b"";
        words.any(|word| {
            let user = is_user(last) && is_name(word);
            last = word;
            user || word.starts_with(b"--user=") || word.starts_with(b"--username=")
        })
    };
    let rest = slice(text, at + 2, text.len().min(at + 2 + COMMAND_MAX));
    let rest = rest.split(|b| matches!(b, b'\n' | b'\\' | b';' | b'|')).next().unwrap_or_default();
    let other = line
        .split(|b| !b.is_ascii_alphanumeric())
        .any(|word| OTHERS.iter().any(|other| word == other.as_bytes()));
    !other && (named(line) || named(rest))
}

/// `-p '…' -u root`, whatever the command is.
fn is_quoted_beside_user(text: &[u8], at: usize) -> bool {
    let open = run_end(text, at, 2, is_space);
    let quote = byte(text, open);
    let end = run_end(text, open + 1, 64, |b| b != quote && !b.is_ascii_whitespace());
    matches!(quote, b'"' | b'\'')
        && byte(text, end) == quote
        && slice(text, end + 1, end + 5) == b" -u "
        && is_made_up(slice(text, open + 1, end))
}

fn user(text: &[u8], at: usize) -> Option<Finding> {
    let long = matches!(slice(text, at, at + 6), b"-user " | b"-user=");
    let short =
        matches!(slice(text, at, at + 3), b"-u " | b"-a ") && !before(text, at).is_ascii_alphanumeric();
    if !long && !short {
        return None;
    }
    let from = at + if long { 6 } else { 3 };
    login(text, from).or_else(|| shell::percent(text, from))
}

/// `curl -su user:password`, and `-U` for a proxy.
fn curl(text: &[u8], at: usize) -> Option<Finding> {
    if !is_space(before(text, at)) || !byte(text, at + 1).is_ascii_alphabetic() {
        return None;
    }
    let end = run_end(text, at + 1, 8, |b| b.is_ascii_alphabetic());
    let last = before(text, end);
    let cluster = end > at + 2 && last == b'u' || end > at + 1 && last == b'U';
    if !cluster || !is_space(byte(text, end)) {
        return None;
    }
    let line = slice(text, at.saturating_sub(COMMAND_MAX), at);
    let line = line.rsplit(|b| matches!(b, b'\n' | b';' | b'|')).next().unwrap_or_default();
    let mut words = line.split(|b| !b.is_ascii_alphanumeric());
    let found = words.any(|word| word == b"curl").then(|| login(text, end + 1)).flatten();
    found.or_else(|| if end == at + 2 { shell::percent(text, end + 1) } else { None })
}

/// `user:password` from there on.
pub(super) fn login(text: &[u8], at: usize) -> Option<Finding> {
    let from = run_end(text, at, 4, |b| is_space(b) || matches!(b, b'"' | b'\''));
    let colon = run_end(text, from, 64, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@' | b'+')
    });
    let start = colon + 1;
    let end =
        run_end(text, start, 256, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'\\' | b'<'));
    let end = run_start(text, end, 1, |b| matches!(b, b',' | b';')).max(start);
    let value = slice(text, start, end);
    let url = value.starts_with(b"//");
    let real = byte(text, colon) == b':' && colon > from && value.len() >= 4 && !url && !is_reference(value);
    real.then(|| Finding::outer(Entity::UrlPassword, start, end, start))
}

/// `htpasswd -b file user password`, at the dash.
fn batch(text: &[u8], at: usize) -> Option<Finding> {
    let mut from = at + 2;
    for _ in 0..3 {
        from = run_end(text, from, 64, |b| !b.is_ascii_whitespace());
        from = run_end(text, from, 3, is_space);
    }
    argument(text, from, Entity::Password)
}

/// A word of a command line, with or without quotes.
pub(super) fn argument(text: &[u8], from: usize, entity: Entity) -> Option<Finding> {
    let start = run_end(text, from, 2, |b| matches!(b, b'"' | b'\'' | b'\\'));
    let end = run_end(text, start, 128, |b| {
        !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'\\' | b'<' | b';')
    });
    let value = slice(text, start, end);
    (value.len() >= 4 && !is_reference(value) && !value.starts_with(b"-") && !value.starts_with(b"$"))
        .then(|| Finding::outer(entity, start, end, start))
}

/// `echo … | docker login --password-stdin`, `echo … | sudo -S`, at the dash.
fn piped(text: &[u8], at: usize) -> Option<Finding> {
    let stdin = slice(text, at, at + 16) == b"--password-stdin" || slice(text, at, at + 7) == b"--stdin";
    let sudo = slice(text, at, at + 2) == b"-S" && slice(text, at.saturating_sub(5), at) == b"sudo ";
    if !stdin && !sudo {
        return None;
    }
    if let Some(found) = shell::fed(text, at) {
        return Some(found);
    }
    let from = at.saturating_sub(COMMAND_MAX);
    let line = slice(text, from, at);
    let pipe = memchr::memrchr(b'|', line)?;
    let said = line.get(..pipe)?;
    let echo = said.windows(5).rposition(|w| w == b"echo ").map(|place| place + 5);
    let print = || said.windows(12).rposition(|w| w == b"printf '%s' ").map(|place| place + 12);
    let mut start = from + echo.or_else(print)?;
    while slice(text, start, start + 3) == b"-n " {
        start += 3;
    }
    let found = argument(text, start, Entity::Password)?;
    // The scan has passed the value.
    (found.end <= from + pipe).then_some(Finding { resume: at + 1, ..found })
}

/// `ConvertTo-SecureString "…" -AsPlainText`, at the dash.
fn secure_string(text: &[u8], at: usize) -> Option<Finding> {
    if !starts_with_ignoring_case(text, at.checked_sub(9)?, b"convertto-securestring") {
        return None;
    }
    let mut from = run_end(text, at + 13, 3, is_space);
    for _ in 0..3 {
        if byte(text, from) == b'-' {
            from = run_end(text, run_end(text, from, 16, |b| !b.is_ascii_whitespace()), 3, is_space);
        }
    }
    argument(text, from, Entity::Password).filter(|found| !matches!(byte(text, found.start), b'(' | b'|'))
}

/// Whether an argument at `from` is the password of `net user NAME …` or `net use Z: \\\\host\\share …`.
pub(super) fn is_of_net(text: &[u8], from: usize) -> bool {
    if !is_space(before(text, from)) || matches!(byte(text, from), b'/' | b'\\') {
        return false;
    }
    let line = slice(text, from.saturating_sub(96), from);
    let line = line.rsplit(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
    let mut words = line.rsplit(|b| is_space(*b)).filter(|word| !word.is_empty());
    let (Some(first), Some(second)) = (words.next(), words.next()) else { return false };
    let is = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
    let mut net = || words.next().is_some_and(|word| is(word, b"net"));
    if is(second, b"user") && !first.contains(&b'/') {
        return net();
    }
    let share = (first.starts_with(b"\\\\") || first.starts_with(b"//")) && first.len() > 4;
    share
        && (is(second, b"use") && net()
            || second.ends_with(b":")
                && words.next().is_some_and(|word| is(word, b"use"))
                && words.next().is_some_and(|word| is(word, b"net")))
}

/// `sqlplus user/password@database`, at the `@`.
pub(super) fn connect(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let word = run_start(text, at, 96, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'@'));
    let slash = word + slice(text, word, at).iter().position(|b| *b == b'/')?;
    let line = slice(text, word.saturating_sub(48), word);
    let line = line.rsplit(|b| matches!(b, b'\n' | b';' | b'|')).next().unwrap_or_default();
    // `jdbc:oracle:thin:scott/…`.
    let driver = slice(text, word, word + 12) == b"jdbc:oracle:";
    let asks = driver || line.split(|b| !b.is_ascii_alphanumeric()).any(|word| DATABASES.contains(&word));
    let value = slice(text, slash + 1, at);
    let word = if driver { run_start(text, slash, 48, |b| b != b':') } else { word };
    let named =
        slash > word && slice(text, word, slash).iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    (asks && named && value.len() >= 4 && !is_reference(value) && !value.contains(&b'/'))
        .then(|| Finding::outer(Entity::UrlPassword, slash + 1, at, at + 1))
}

/// Whether the field before the one that ends before `user` ends in a digit or is a star, as a port in `host:port:database:user`.
fn is_behind_port(text: &[u8], user: usize) -> bool {
    let base = run_start(text, user - 1, 64, |b| is_name(b) || b == b'*');
    let last = base.checked_sub(2).map_or(0, |at| byte(text, at));
    last.is_ascii_digit() || last == b'*'
}

/// `echo 'root:…' | chpasswd`, and a line of `.pgpass`, at the colon before the password.
pub(super) fn behind_colon(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let field = |end: usize| run_start(text, end, 64, |b| is_name(b) || b == b'*');
    if !is_name(before(text, at)) || byte(text, at + 1).is_ascii_whitespace() {
        return None;
    }
    let user = field(at);
    let echo = run_start(text, user, 1, |b| matches!(b, b'"' | b'\''));
    let echoed = matches!(slice(text, echo.saturating_sub(5), echo), b"echo " | b"o -e " | b"o -n ");
    if user == at || !echoed && (before(text, user) != b':' || !is_behind_port(text, user)) {
        return None;
    }
    let end =
        run_end(text, at + 1, 128, |b| !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'<' | b'|'));
    let value = slice(text, at + 1, end);
    if value.len() < 4 || is_reference(value) {
        return None;
    }
    let found = Finding::outer(Entity::Password, at + 1, end, at + 1);
    if echoed {
        let rest = slice(text, end, text.len().min(end + 32));
        let pipe = rest.iter().position(|b| *b == b'|')?;
        let rest = rest.split(|b| *b == b'\n').next()?.get(pipe..)?;
        return rest.windows(8).any(|w| w == b"chpasswd").then_some(found);
    }
    // host:port:database:user:password
    let base = field(user.checked_sub(1)?);
    let port = field(base.checked_sub(1)?);
    let host = field(port.checked_sub(1)?);
    let name = |from: usize, to: usize| {
        matches!(byte(text, from), b'*' | b'_') || byte(text, from).is_ascii_alphabetic() && from < to
    };
    let number = slice(text, port, base - 1);
    let numbered = number == b"*" || matches!(number.len(), 4 | 5) && number.iter().all(u8::is_ascii_digit);
    let colons = [user, base, port].iter().all(|at| before(text, *at) == b':');
    let begins = matches!(before(text, host), 0 | b'\n' | b'"' | b'\'' | b' ' | b'`');
    let ends = matches!(byte(text, end), 0 | b'\n' | b'\r' | b' ' | b'"' | b'\'');
    let shaped =
        colons && begins && ends && numbered && host < port - 1 && name(base, user) && name(user, at);
    (shaped && is_made_up(value)).then_some(found)
}

/// `bindpw …` of a directory's configuration.
pub(super) fn is_bound(text: &[u8], from: usize) -> bool {
    let gap = run_start(text, from, 4, is_space);
    gap < from && slice(text, gap.saturating_sub(6), gap) == b"bindpw" && starts_free(text, gap - 6)
}

/// Whether an argument at `from..to` is the password of `AUTH …` or `AUTH NAME …`, as Redis and mail take it, or of
/// `ACL SETUSER NAME on >…`: at the beginning of a line, behind a prompt, or where the line names the program.
pub(super) fn is_auth(text: &[u8], from: usize, to: usize) -> bool {
    let gap = |at: usize| run_start(text, at, 4, |b| is_space(b) || matches!(b, b'"' | b'\'' | b',' | b'\\'));
    let end = gap(from);
    if end == from {
        return before(text, from) == b'>' && is_of_acl(text, from);
    }
    let is = |end: usize| {
        before(text, end) | 0x20 == b'h'
            && end > 3
            && slice(text, end - 4, end).eq_ignore_ascii_case(b"auth")
            && starts_free(text, end - 4)
    };
    let word = if is(end) { end } else { gap(run_start(text, end, 32, |b| is_name(b) || b == b'@')) };
    is(word) && is_told_to_server(text, word, from, to)
}

#[cold]
fn is_of_acl(text: &[u8], from: usize) -> bool {
    let head = slice(text, from.saturating_sub(64), from - 1);
    head.last().is_some_and(|b| is_space(*b)) && memchr::memmem::find(head, b"SETUSER ").is_some()
}

#[cold]
fn is_told_to_server(text: &[u8], word: usize, from: usize, to: usize) -> bool {
    let start = word - 4;
    let line = slice(text, start.saturating_sub(96), start);
    let line = line.rsplit(|b| matches!(b, b'\n' | b'\r')).next().unwrap_or_default();
    let prompt = matches!(line, [.., b'>' | b'$' | b'#', b' '] | [.., b'>']);
    let named = memchr::memmem::find(line, b"redis").is_some() || line.ends_with(b"HELLO 3 ");
    let capitals = byte(text, start) == b'A';
    let begins = line.is_empty()
        || line.iter().all(|b| is_space(*b) || b"\"'`[(-*".contains(b))
        || is_escape(text, start);
    let ends = matches!(byte(text, to), 0 | b'\n' | b'\r' | b'"' | b'\'' | b'\\' | b'`' | b';');
    let secret = Classes::of(slice(text, from, to));
    let made = secret.digit > 1 || secret.other > 0 || secret.lower > 0 && secret.upper > 0;
    made && (prompt || named || capitals && begins && ends)
}

/// The part of a form that is called so: `name="password"`, an empty line, and the value, at the `=`.
pub(super) fn part(text: &[u8], at: usize) -> Option<Finding> {
    if slice(text, at.checked_sub(4)?, at) != b"name" || byte(text, at + 1) != b'"' {
        return None;
    }
    let close = run_end(text, at + 2, 48, is_name);
    let name = std::str::from_utf8(slice(text, at + 2, close)).ok()?;
    let feed = |at: usize| {
        let behind = run_end(text, at, 1, |b| b == b'\r');
        (byte(text, behind) == b'\n').then_some(behind + 1)
    };
    let from = if byte(text, close) == b'"' { feed(feed(close + 1)?)? } else { return None };
    let end = run_end(text, from, 256, |b| !matches!(b, b'\n' | b'\r'));
    let value = slice(text, from, end);
    let single = !value.iter().any(u8::is_ascii_whitespace);
    let (entity, start) = super::json_value(name, std::str::from_utf8(value).ok()?)?;
    (single && !value.is_empty()).then(|| Finding::outer(entity, from + start, end, at + 1))
}

/// `IDENTIFIED BY '…'`, at the `B`.
pub(super) fn identified(scan: &Scan<'_>, at: usize) -> Option<Finding> {
    let text = scan.text;
    let by = matches!(byte(text, at), b'B') && byte(text, at + 1) == b'Y' && is_space(byte(text, at + 2));
    if !by {
        return None;
    }
    // `IDENTIFIED BY`, `IDENTIFIED WITH caching_sha2_password BY`.
    let head = slice(text, at.saturating_sub(64), at);
    let mut words = head.rsplit(|b| is_space(*b)).filter(|word| !word.is_empty());
    let is = |word: Option<&[u8]>| word == Some(b"IDENTIFIED".as_slice());
    let plain = words.next();
    if !(is(plain) || words.next() == Some(b"WITH".as_slice()) && is(words.next())) {
        return None;
    }
    let from = run_end(text, at + 2, 3, is_space);
    let quoted = matches!(byte(text, from), b'\'' | b'"' | b'\\');
    let found = argument(text, from, Entity::Password)?;
    let value = slice(text, found.start, found.end);
    let word = value.iter().all(|b| b.is_ascii_uppercase() || *b == b'_');
    (quoted || !word && byte(text, found.start) != b'<').then_some(found)
}

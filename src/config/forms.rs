//! The forms of text that stays text: names, URLs, addresses, paths, patterns. Pure, as `values`, from which it is apart
//! because nothing is made of these here: what they name is looked up when the configuration is compiled.

use super::values::{self, Bad};
use crate::identity::certificate::Pattern;

/// Most stars of a pattern: each is another place to go back to.
pub const STARS_MAX: usize = 16;

/// A tenant's name: a-z, 0-9 and dash, 1 to 63 characters, no dash at either end.
pub fn tenant_name(text: &str) -> Result<(), Bad> {
    length(text, 63)?;
    only(text, b"-", Letters::Lower, Bad("may hold only a-z, 0-9 and -"))?;
    if text.starts_with('-') || text.ends_with('-') {
        return Err(Bad("must not begin or end with a dash"));
    }
    Ok(())
}

/// An upstream's name: a-z, 0-9, dash and underscore, begins with a letter or digit, no `__`.
pub fn upstream_name(text: &str) -> Result<(), Bad> {
    length(text, 63)?;
    only(text, b"-_", Letters::Lower, Bad("may hold only a-z, 0-9, _ and -"))?;
    if text.contains("__") {
        return Err(Bad(
            "must not hold `__`, which separates the upstream from its operation in a tool's name",
        ));
    }
    if text.starts_with(['-', '_']) {
        return Err(Bad("must begin with a letter or digit"));
    }
    Ok(())
}

/// The id of a key, or the name of an operation: letters, digits, dot, underscore and dash, 1 to 63 characters.
pub fn id(text: &str) -> Result<(), Bad> {
    length(text, 63)?;
    only(text, b"._-", Letters::Any, Bad("may hold only letters, digits, dot, underscore and dash"))
}

/// The name of a kind of value to redact: A-Z, 0-9 and underscore, begins with a letter.
pub fn entity(text: &str) -> Result<(), Bad> {
    length(text, 63)?;
    let fits = text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    fits.then_some(()).ok_or(Bad("may hold only A-Z, 0-9 and _, and must begin with a letter"))
}

/// The name of an environment variable.
pub fn variable(text: &str) -> Result<(), Bad> {
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.len() <= 128;
    fits.then_some(()).ok_or(Bad("may hold only letters, digits and underscore"))
}

/// The name of an HTTP header.
pub fn header_name(text: &str) -> Result<(), Bad> {
    length(text, 63)?;
    only(text, b"-_", Letters::Any, Bad("may hold only letters, digits, _ and -"))
}

/// `http://` or `https://`, a host, perhaps a port and a path.
pub fn url(text: &str) -> Result<(), Bad> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or(Bad("must begin with http:// or https://"))?;
    if rest.is_empty() || rest.starts_with(['/', ':', '?', '#']) {
        return Err(Bad("the host is missing"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Bad("must not hold a user or password; use `auth`"));
    }
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    if port.is_some_and(|port| values::whole(port).ok().is_none_or(|port| port > 65_535)) {
        return Err(Bad("the port must be a number up to 65535"));
    }
    let clean = text.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c));
    clean.then_some(()).ok_or(Bad("holds a character that an URL cannot hold"))
}

/// `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.
pub fn address(text: &str) -> Result<(), Bad> {
    let (host, port) = text.rsplit_once(':').ok_or(Bad("expected an address, `:` and a port"))?;
    u16::try_from(values::whole(port)?).map_err(|_| Bad("a port is at most 65535"))?;
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let ok = inner.parse::<std::net::Ipv6Addr>().is_ok();
        return ok.then_some(()).ok_or(Bad("not an IPv6 address"));
    }
    let fits = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
    fits.then_some(()).ok_or(Bad("expected an address before the port, such as 127.0.0.1 or [::1]"))
}

/// `GET /invoices/{id}`.
pub fn operation(text: &str) -> Result<(), Bad> {
    let (method, path) = text.split_once(' ').ok_or(Bad("expected a method, a space and a path"))?;
    if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&method) {
        return Err(Bad("unknown method; the methods are GET, HEAD, POST, PUT, PATCH and DELETE"));
    }
    if !path.starts_with('/') {
        return Err(Bad("the path must begin with /"));
    }
    let clean = path.chars().all(|c| c.is_ascii_graphic() && !"?#".contains(c));
    clean.then_some(()).ok_or(Bad("the path may hold no space, ? or #"))
}

/// A glob: `*` is any run, `?` one character.
pub fn glob(text: &str) -> Result<(), Bad> {
    length(text, 256)?;
    if text.matches('*').count() > STARS_MAX {
        return Err(Bad("a pattern has at most 16 stars"));
    }
    let clean = !text.chars().any(|c| c.is_control() || c.is_whitespace());
    clean.then_some(()).ok_or(Bad("a name holds no space"))
}

/// Where a JWT names the tenant: `claims.org`.
pub fn claim(text: &str) -> Result<(), Bad> {
    let path = text.strip_prefix("claims.").ok_or(Bad("must begin with `claims.`"))?;
    let fits = path.split('.').all(|part| !part.is_empty() && !part.contains(char::is_whitespace));
    fits.then_some(()).ok_or(Bad("a part of the path is empty"))
}

/// What a client certificate's name must be, with `{tenant}` where the tenant stands.
pub fn san_pattern(text: &str) -> Result<(), Bad> {
    Pattern::parse(text).map(drop).map_err(Bad)
}

/// Text that is not empty.
pub fn text(text: &str) -> Result<(), Bad> {
    if text.trim().is_empty() { Err(Bad("is empty")) } else { Ok(()) }
}

/// The path of a file or directory.
pub fn path(text: &str) -> Result<(), Bad> {
    if text.is_empty() {
        return Err(Bad("is empty"));
    }
    if text.chars().any(char::is_control) { Err(Bad("holds a control character")) } else { Ok(()) }
}

#[derive(Clone, Copy)]
enum Letters {
    Any,
    Lower,
}

fn only(text: &str, more: &[u8], letters: Letters, bad: Bad) -> Result<(), Bad> {
    let fits = |b: u8| {
        b.is_ascii_digit()
            || more.contains(&b)
            || match letters {
                Letters::Any => b.is_ascii_alphabetic(),
                Letters::Lower => b.is_ascii_lowercase(),
            }
    };
    text.bytes().all(fits).then_some(()).ok_or(bad)
}

fn length(text: &str, max: usize) -> Result<(), Bad> {
    if text.is_empty() {
        return Err(Bad("is empty"));
    }
    if text.len() > max { Err(Bad("is too long")) } else { Ok(()) }
}

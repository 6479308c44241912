//! Where an upstream lives: scheme, host and port, parsed once from the operator's URL.
//! Apart because the pool, the Host header and the TLS name must all come from the same parse.
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use rustls_pki_types::ServerName;

use super::error::UrlError;

/// How bytes travel to an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Plain,
    Tls,
}

/// A server: scheme, host, port. Shown as a URL without a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    /// Lower case; an IPv6 address stands without brackets.
    host: String,
    port: u16,
    /// What the Host header says: brackets around IPv6, the port only when it is not the scheme's own.
    authority: String,
    server_name: ServerName<'static>,
}

impl Origin {
    /// Splits `https://host:port/base/path/` into the origin and the base path, which is empty or begins with `/`
    /// and never ends with one.
    ///
    /// # Errors
    /// Anything but http and https; user info, query, fragment; a host, port or path that is not one.
    pub fn parse(url: &str) -> Result<(Self, String), UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let scheme = match scheme {
            s if s.eq_ignore_ascii_case("http") => Scheme::Plain,
            s if s.eq_ignore_ascii_case("https") => Scheme::Tls,
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(UrlError::QueryOrFragment);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        let origin = Self::new(scheme, host, port)?;
        Ok((origin, base_path(path)?))
    }

    fn new(scheme: Scheme, host: &str, port: Option<u16>) -> Result<Self, UrlError> {
        let (host, shown) = host_of(host)?;
        let server_name = ServerName::try_from(host.clone()).map_err(|_| UrlError::Host)?;
        let usual = match scheme {
            Scheme::Plain => 80,
            Scheme::Tls => 443,
        };
        let port = port.unwrap_or(usual);
        let authority = if port == usual { shown } else { format!("{shown}:{port}") };
        Ok(Self { scheme, host, port, authority, server_name })
    }

    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Lower case, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and, where it is not the scheme's own, port: what the Host header says.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Plain => "http",
            Scheme::Tls => "https",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// Host (brackets kept) and port of an authority.
fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlError> {
    let colon = if authority.starts_with('[') {
        let (_, after) = authority.split_once(']').ok_or(UrlError::Host)?;
        if after.is_empty() {
            return Ok((authority, None));
        }
        if !after.starts_with(':') {
            return Err(UrlError::Host);
        }
        authority.rsplit_once(':')
    } else {
        authority.split_once(':')
    };
    let Some((host, port)) = colon else {
        return Ok((authority, None));
    };
    if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    match port.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok((host, Some(port))),
    }
}

/// The host as it is resolved, and as it is shown.
fn host_of(text: &str) -> Result<(String, String), UrlError> {
    if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or(UrlError::Host)?;
        let address: Ipv6Addr = inner.parse().map_err(|_| UrlError::Host)?;
        return Ok((address.to_string(), format!("[{address}]")));
    }
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() > 253 || !text.split('.').all(label_ok) {
        return Err(UrlError::Host);
    }
    // A last label of digits is an address to every resolver, in forms (decimal, octal) that hide where it leads.
    let numeric = text.rsplit('.').next().is_some_and(|l| {
        l.bytes().all(|b| b.is_ascii_digit()) || l.get(..2).is_some_and(|x| x.eq_ignore_ascii_case("0x"))
    });
    if numeric && text.parse::<Ipv4Addr>().is_err() {
        return Err(UrlError::Host);
    }
    let host = text.to_ascii_lowercase();
    Ok((host.clone(), host))
}

fn base_path(path: &str) -> Result<String, UrlError> {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Ok(String::new());
    }
    let byte_ok = |b: u8| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b);
    let segment_ok = |s: &str| !s.is_empty() && s != "." && s != "..";
    if path.bytes().all(byte_ok) && path.split('/').all(segment_ok) {
        Ok(format!("/{path}"))
    } else {
        Err(UrlError::Path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Result<(&str, &str), UrlError>) {
        let parsed = Origin::parse(url).map(|(origin, path)| (origin.to_string(), path));
        assert_eq!(parsed, expected.map(|(o, p)| (o.to_owned(), p.to_owned())), "{url}");
    }

    #[test]
    fn urls_that_are_origins() {
        check("https://api.openai.com/v1", Ok(("https://api.openai.com", "/v1")));
        check("HTTPS://API.Example:443/v1/", Ok(("https://api.example", "/v1")));
        check("http://localhost:11434", Ok(("http://localhost:11434", "")));
        check("http://my_vllm/", Ok(("http://my_vllm", "")));
        check("http://[::1]:8000/a/b", Ok(("http://[::1]:8000", "/a/b")));
        check("https://[2001:DB8:0::1]", Ok(("https://[2001:db8::1]", "")));
        check("http://127.0.0.1:80/x%20y", Ok(("http://127.0.0.1", "/x%20y")));
    }

    #[test]
    fn urls_that_are_not() {
        check("api.openai.com/v1", Err(UrlError::Scheme));
        check("ftp://x/", Err(UrlError::Scheme));
        check("https://user:pass@x/", Err(UrlError::UserInfo));
        check("https://x/v1?api-version=1", Err(UrlError::QueryOrFragment));
        check("https://x#y", Err(UrlError::QueryOrFragment));
        check("https://", Err(UrlError::Host));
        check("https:///v1", Err(UrlError::Host));
        check("https://a..b/", Err(UrlError::Host));
        check("https://a b/", Err(UrlError::Host));
        check("https://ä.example/", Err(UrlError::Host));
        check("http://2130706433/", Err(UrlError::Host));
        check("http://0x7f000001/", Err(UrlError::Host));
        check("http://127.0.0.01/", Err(UrlError::Host));
        check("http://[::1", Err(UrlError::Host));
        check("http://[::1]x", Err(UrlError::Host));
        check("http://[fe80::1%25eth0]/", Err(UrlError::Host));
        check("http://x:/", Err(UrlError::Port));
        check("http://x:0/", Err(UrlError::Port));
        check("http://x:65536/", Err(UrlError::Port));
        check("http://x:+80/", Err(UrlError::Port));
        check("http://x:1:2/", Err(UrlError::Port));
        check("http://x/a b", Err(UrlError::Path));
        check("http://x/a/../b", Err(UrlError::Path));
        check("http://x/a//b", Err(UrlError::Path));
        check("http://x/a\\b", Err(UrlError::Path));
        check("http://x/a\r\nb", Err(UrlError::Path));
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets() {
        let (origin, _) = Origin::parse("http://[::1]:8000").unwrap();
        assert_eq!((origin.host(), origin.port(), origin.scheme()), ("::1", 8000, Scheme::Plain));
    }
}

//! HTTP proxies by environment, as other programs have them: `HTTPS_PROXY` (or `ALL_PROXY`) is asked for a tunnel to every
//! https origin that `NO_PROXY` does not name. A plain http upstream is on the operator's own network and reached directly.

use super::{
    error::ConnectFailure,
    origin::{Origin, Scheme},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{ffi::OsString, fmt, net::IpAddr, sync::OnceLock};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A proxy's answer is no longer.
const ANSWER_BYTES_MAX: usize = 8 << 10;

/// A proxy, and what it is not asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    origin: Origin,
    /// The value of `proxy-authorization`.
    credential: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// What the environment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    https: Option<Proxy>,
    /// Hosts, suffixes, addresses and networks that are reached directly.
    directly: Vec<String>,
}

/// Why what the environment says of proxies cannot be used, and in which variable. Holds nothing of its value, in which a
/// password can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{name} {why}")]
pub struct BadProxy {
    pub name: &'static str,
    pub why: Why,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("is not the URL of an HTTP proxy, such as http://proxy.internal:3128")]
    Url,
    #[error("is not UTF-8; in a user or password write such bytes percent-encoded, as `%E9`")]
    Utf8,
    #[error(
        "has a `%` in the user or password that two hexadecimal digits do not follow; write `%25` for the sign itself"
    )]
    Percent,
    #[error(
        "has a sign in the user or password that ends or divides a URL; write it percent-encoded (`@` as %40, `/` as %2F, `?` as %3F, `#` as %23, `\\` as %5C, `[` as %5B, `]` as %5D, a blank as %20)"
    )]
    Sign,
}

impl Proxies {
    /// Reads the environment, by `get`. Names in lower case come first, as everywhere.
    ///
    /// # Errors
    /// When a proxy is named that cannot be used: going around it would be worse.
    pub fn read(get: impl Fn(&str) -> Option<OsString>) -> Result<Self, BadProxy> {
        let find = |names: [&'static str; 2]| {
            let given = |name| {
                let value = get(name)?.into_string().map_err(|_| BadProxy { name, why: Why::Utf8 });
                let is_empty = value.as_ref().is_ok_and(|value| value.trim().is_empty());
                (!is_empty).then(|| value.map(|value| (name, value)))
            };
            names.into_iter().find_map(given).transpose()
        };
        let named = match find(["https_proxy", "HTTPS_PROXY"])? {
            None => find(["all_proxy", "ALL_PROXY"])?,
            named => named,
        };
        let parse = |(name, url): (_, String)| Proxy::parse(url.trim()).map_err(|why| BadProxy { name, why });
        let https = named.map(parse).transpose()?;
        let directly = find(["no_proxy", "NO_PROXY"])?.map(|(_, list)| list).unwrap_or_default();
        let directly = directly.split([',', ' ']).map(|each| each.trim().to_ascii_lowercase());
        Ok(Self { https, directly: directly.filter(|each| !each.is_empty()).collect() })
    }

    /// What this process found in its environment; what cannot be used is none.
    pub(super) fn here() -> &'static Self {
        static HERE: OnceLock<Proxies> = OnceLock::new();
        HERE.get_or_init(|| Self::read(|name| std::env::var_os(name)).unwrap_or_default())
    }

    /// The proxy that is asked for an origin.
    pub fn of(&self, origin: &Origin) -> Option<&Proxy> {
        let host = origin.host();
        let is_local =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let direct = origin.scheme() == Scheme::Plain
            || is_local
            || self.directly.iter().any(|entry| covers(entry, host, origin.port()));
        self.https.as_ref().filter(|_| !direct)
    }
}

impl Proxy {
    fn parse(url: &str) -> Result<Self, Why> {
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            // Without a scheme, two slashes after a colon can be a password's.
            Some((before, _)) if before.contains(['@', ':']) => url,
            Some(_) => return Err(Why::Url),
            None => url,
        };
        let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        let is_sign = |char: char| "/?#@[]\\".contains(char) || char.is_whitespace() || char.is_control();
        if user.is_some_and(|user| user.contains(is_sign)) {
            return Err(Why::Sign);
        }
        let user = user.map(|user| decoded(user).ok_or(Why::Percent)).transpose()?;
        let (origin, path) = Origin::parse(&format!("http://{host}")).map_err(|_| Why::Url)?;
        let credential = user.map(|user| format!("Basic {}", STANDARD.encode(user)));
        if path.is_empty() { Ok(Self { origin, credential }) } else { Err(Why::Url) }
    }

    pub(super) fn host(&self) -> &str {
        self.origin.host()
    }

    pub(super) fn port(&self) -> u16 {
        self.origin.port()
    }

    /// Makes a connection to the proxy one to `origin`.
    pub(super) async fn tunnel(
        &self,
        mut stream: TcpStream,
        origin: &Origin,
    ) -> Result<TcpStream, ConnectFailure> {
        let host = origin.host();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let target = format!("{host}:{}", origin.port());
        let credential =
            self.credential.as_ref().map(|credential| format!("proxy-authorization: {credential}\r\n"));
        let credential = credential.unwrap_or_default();
        let request = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{credential}\r\n");
        let closed = |_| ConnectFailure::Proxy("it closed the connection without an answer to CONNECT");
        stream.write_all(request.as_bytes()).await.map_err(closed)?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            // Byte for byte: what follows the head is the origin's, and not to be taken along.
            let byte = stream.read_u8().await.map_err(closed)?;
            answer.push(byte);
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(ConnectFailure::Proxy("its answer is too long"));
            }
        }
        let status = answer.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(1..5));
        match status {
            Some([b' ', b'2', _, _]) => Ok(stream),
            Some(b" 407") => Err(ConnectFailure::Proxy("it asks for a credential, or another one")),
            Some([b' ', b'4', _, _]) => Err(ConnectFailure::Proxy("it refuses to connect there")),
            Some([b' ', b'5', _, _]) => Err(ConnectFailure::Proxy("it cannot connect there")),
            _ => Err(ConnectFailure::Proxy("it does not answer as a proxy does")),
        }
    }
}

/// Percent-encoded bytes, decoded; None where a `%` stands for nothing.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let (&[high, low], behind) = after.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
        rest = behind;
    }
    Some(bytes)
}

/// Whether an entry of `NO_PROXY` names this host: itself, a domain above it, an address, a network, or all.
fn covers(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let (Some((network, bits)), Ok(address)) = (entry.split_once('/'), host.parse::<IpAddr>()) {
        return is_in(network, bits, address);
    }
    let whole = entry.trim_matches(['[', ']']);
    let (name, port_ok) = match entry.rsplit_once(':') {
        Some((name, text)) if whole.parse::<IpAddr>().is_err() => {
            (name.trim_matches(['[', ']']), text.parse() == Ok(port))
        }
        _ => (whole, true),
    };
    // An address is no name below another: `9.8.7` is not 10.9.8.7's domain.
    if let Ok(address) = host.parse::<IpAddr>() {
        return port_ok && name.parse() == Ok(address);
    }
    let domain = name.trim_start_matches('*').trim_start_matches('.');
    let below = host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    port_ok && !domain.is_empty() && below
}

fn is_in(network: &str, bits: &str, address: IpAddr) -> bool {
    // An address of IPv6 may stand in brackets, and so may the whole entry.
    let (network, bits) = match network.strip_prefix('[') {
        Some(inner) => match (inner.strip_suffix(']'), bits.strip_suffix(']')) {
            (Some(network), None) => (network, bits),
            (None, Some(bits)) => (inner, bits),
            (Some(_), Some(_)) | (None, None) => return false,
        },
        None => (network, bits),
    };
    let Ok(bits) = bits.parse::<u32>() else { return false };
    let differs = match (network.parse::<IpAddr>(), address) {
        (Ok(IpAddr::V4(a)), IpAddr::V4(b)) if bits <= 32 => {
            u128::from(a.to_bits() ^ b.to_bits()).checked_shr(32 - bits)
        }
        (Ok(IpAddr::V6(a)), IpAddr::V6(b)) if bits <= 128 => {
            Some((a.to_bits() ^ b.to_bits()).checked_shr(128 - bits).unwrap_or(0))
        }
        _ => None,
    };
    differs == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Proxies, BadProxy> {
        Proxies::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
        })
    }

    fn asked(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let (origin, _) = Origin::parse(url).unwrap();
        let proxies = read(variables).unwrap();
        proxies.of(&origin).map(|proxy| proxy.origin.to_string())
    }

    #[test]
    fn what_goes_through_a_proxy() {
        let proxy = ("HTTPS_PROXY", "http://proxy.internal:3128");
        let through = Some("http://proxy.internal:3128".to_owned());
        assert_eq!(asked(&[proxy], "https://api.openai.com/v1"), through);
        assert_eq!(asked(&[("https_proxy", "proxy.internal:3128/")], "https://api.openai.com/v1"), through);
        assert_eq!(asked(&[("ALL_PROXY", "http://proxy.internal:3128")], "https://x"), through);
        assert_eq!(asked(&[("HTTPS_PROXY", " "), ("all_proxy", "")], "https://x"), None);
        assert_eq!(asked(&[("HTTP_PROXY", "http://proxy.internal:3128")], "http://x"), None);
        for direct in ["http://vllm.internal", "https://localhost:8443", "https://127.0.0.1", "https://[::1]"]
        {
            assert_eq!(asked(&[proxy], direct), None, "{direct}");
        }
    }

    #[test]
    fn what_no_proxy_names() {
        let check = |list: &str, url: &str, direct: bool| {
            let found = asked(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", list)], url);
            assert_eq!(found.is_none(), direct, "{list} {url}");
        };
        check("example.org", "https://example.org", true);
        check("example.org", "https://a.example.org", true);
        check("example.org", "https://notexample.org", false);
        check(".svc, .internal", "https://llm.prod.svc", true);
        check("*.internal", "https://llm.internal", true);
        check("a,*", "https://anything.example", true);
        check("10.0.0.0/8", "https://10.1.2.3", true);
        check("10.0.0.0/8", "https://11.1.2.3", false);
        check("0.0.0.0/0", "https://11.1.2.3", true);
        check("fd00::/8", "https://[fd00::1]", true);
        check("[fd00::]/8", "https://[fd00::1]", true);
        check("[fd00::/8]", "https://[fd00::1]", true);
        check("[fd00::]/8", "https://[fc00::1]", false);
        check("[fd00::]/8]", "https://[fd00::1]", false);
        check("[10.0.0.0]/8", "https://[fd00::1]", false);
        check("192.0.2.1", "https://192.0.2.1:8443", true);
        check("192.0.2.1:8443", "https://192.0.2.1:8443", true);
        check("192.0.2.1:8443", "https://192.0.2.1", false);
        check("9.8.7", "https://10.9.8.7", false);
        check(".9.8.7", "https://10.9.8.7", false);
        check("7", "https://10.9.8.7", false);
        check("fd00::7", "https://[fd00::7]:8443", true);
        check("[fd00::7]", "https://[fd00::7]:8443", true);
        check("[fd00::7]:8443", "https://[fd00::7]:8443", true);
        check("[fd00::7]:8443", "https://[fd00::7]", false);
        check("[fd00::7]:8443", "https://[fd00::8]:8443", false);
        check("[FD00:0::7]:8443", "https://[fd00::7]:8443", true);
        check("fd00::7:8443", "https://[fd00::7]:8443", false);
        check("example.org:8443", "https://example.org", false);
        check("example.org:8443", "https://example.org:8443", true);
        check(".", "https://example.org", false);
        check("10.0.0.0/99", "https://10.1.2.3", false);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_said() {
        for bad in ["https://proxy:3128", "socks5://proxy", "http://proxy/path", "http://", "http://a b"] {
            let told = Err(BadProxy { name: "HTTPS_PROXY", why: Why::Url });
            assert_eq!(read(&[("HTTPS_PROXY", bad)]), told, "{bad}");
        }
        // Nothing of it is shown: it may be the password that it was taken from.
        for (bad, why) in [
            ("http://eva:hunter%2@proxy:3128", Why::Percent),
            ("http://eva:hunter%zz@proxy:3128", Why::Percent),
            ("http://eva:hunter%+1@proxy:3128", Why::Percent),
            ("http://eva:hunter%@proxy:3128", Why::Percent),
            ("http://eva:hun/ter@proxy:3128", Why::Sign),
            ("http://eva:hun#ter@proxy:3128", Why::Sign),
            ("http://eva:hun@ter@proxy:3128", Why::Sign),
            ("http://eva:hun ter@proxy:3128", Why::Sign),
            ("eva:hun://ter@proxy:3128", Why::Sign),
        ] {
            let told = read(&[("all_proxy", bad)]).unwrap_err();
            assert_eq!(told, BadProxy { name: "all_proxy", why }, "{bad}");
            assert!(
                !told.to_string().contains("hun") && told.to_string().starts_with("all_proxy has a"),
                "{told}"
            );
        }
        let bytes: OsString =
            std::os::unix::ffi::OsStringExt::from_vec(b"http://eva:hunt\xe9r@proxy:1".to_vec());
        for name in ["HTTPS_PROXY", "no_proxy"] {
            let told = Proxies::read(|asked| (asked == name).then(|| bytes.clone())).unwrap_err();
            assert_eq!(told, BadProxy { name, why: Why::Utf8 });
        }
        let with_user = read(&[("HTTPS_PROXY", "http://us%40er:p%3Aw@proxy:1")]).unwrap().https.unwrap();
        // Source: `printf 'us@er:p:w' | base64`.
        assert_eq!(with_user.credential.as_deref(), Some("Basic dXNAZXI6cDp3"));
        assert!(!format!("{with_user:?}").contains("dXN"));
    }
}

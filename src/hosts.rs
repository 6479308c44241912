//! Which `Host` and `Origin` a request may have. A page of another site can speak to a gateway on its visitor's machine
//! or network by a name of its own that it lets point there (DNS rebinding): such names are foreign. An address is no
//! name that anybody was led to.

use http::{header, request::Parts};
use std::net::{IpAddr, Ipv6Addr};

/// The names and addresses by which a port is spoken to.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    addresses: Vec<IpAddr>,
    /// Lower case, with a port or without.
    names: Vec<String>,
}

/// Why a request is not for this port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It does not say, or says two things, whom it is for.
    Malformed,
    Host,
    Origin,
}

/// Whom a request is for, and whose page it comes from: host and, where it is written, port, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub host: String,
    pub origin: Option<String>,
}

impl Hosts {
    /// What listens on these addresses, and goes by these names too.
    pub fn new<'n>(addresses: Vec<IpAddr>, names: impl IntoIterator<Item = &'n str>) -> Self {
        let names = names.into_iter().map(|name| {
            let name = name.to_ascii_lowercase();
            name.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).map(ToOwned::to_owned).unwrap_or(name)
        });
        Self { addresses, names: names.collect() }
    }

    /// Whether a request can be for somebody of this name: a name or an address, with a port or without.
    pub fn can_be(name: &str) -> bool {
        name.parse::<Ipv6Addr>().is_ok() || name_of(name).is_some()
    }

    /// From now on what listens on these addresses alone.
    pub fn listen_on(&mut self, addresses: Vec<IpAddr>) {
        self.addresses = addresses;
    }

    /// Whom a request is for, and whose page it comes from, if both belong here.
    ///
    /// # Errors
    /// When one does not, or is not to be told.
    pub fn check(&self, head: &Parts) -> Result<Accepted, Foreign> {
        let mut hosts = head.headers.get_all(header::HOST).iter();
        let header = hosts.next().map(|host| host.to_str().map_err(|_| Foreign::Malformed)).transpose()?;
        let target = head.uri.authority().map(http::uri::Authority::as_str);
        let agree = header.zip(target).is_none_or(|(header, target)| header.eq_ignore_ascii_case(target));
        let (Some(host), None, true) = (target.or(header), hosts.next(), agree) else {
            return Err(Foreign::Malformed);
        };
        let host = host.to_ascii_lowercase();
        let name = name_of(&host).ok_or(Foreign::Malformed)?;
        let own = self.goes_by(name, &host) || address(name).is_some_and(|address| self.is_at(address));
        if !own {
            return Err(Foreign::Host);
        }
        let mut origins = head.headers.get_all(header::ORIGIN).iter();
        let (origin, alone) = (origins.next(), origins.next().is_none());
        let Some(origin) = origin else { return Ok(Accepted { host, origin: None }) };
        let origin = origin.to_str().ok().filter(|_| alone).and_then(authority_of).ok_or(Foreign::Origin)?;
        let own = name_of(&origin).is_some_and(|name| origin == host || self.is_page(name, &origin));
        if own { Ok(Accepted { host, origin: Some(origin) }) } else { Err(Foreign::Origin) }
    }

    /// Whether somebody is allowed in just these words.
    pub fn lists(&self, authority: &str) -> bool {
        self.names.iter().any(|name| name == authority)
    }

    fn goes_by(&self, name: &str, authority: &str) -> bool {
        (name == "localhost" && self.is_local()) || self.lists(name) || self.lists(authority)
    }

    /// On all addresses, any of them is this machine's.
    fn is_at(&self, address: IpAddr) -> bool {
        self.is_page_at(address) || self.addresses.iter().any(IpAddr::is_unspecified)
    }

    /// Any address may have a page, and most are of other machines.
    fn is_page(&self, name: &str, authority: &str) -> bool {
        self.goes_by(name, authority) || address(name).is_some_and(|address| self.is_page_at(address))
    }

    fn is_page_at(&self, address: IpAddr) -> bool {
        (address.is_loopback() && self.is_local()) || self.addresses.contains(&address)
    }

    fn is_local(&self) -> bool {
        self.addresses.iter().any(|address| address.is_loopback() || address.is_unspecified())
    }
}

/// The authority of an origin, in lower case; `None` for `null`, and for what is no web page's.
fn authority_of(origin: &str) -> Option<String> {
    match origin.to_ascii_lowercase().split_once("://") {
        Some(("http" | "https", authority)) => Some(authority.to_owned()),
        Some(_) | None => None,
    }
}

/// The name or address of an authority; `None` where it is none, or has more than a port.
fn name_of(authority: &str) -> Option<&str> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (name, port) = v6.split_once(']')?;
            name.parse::<Ipv6Addr>().ok()?;
            (name, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(name, port)| (name, Some(port))),
    };
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    (port.is_none_or(is_port) && !name.is_empty() && name.bytes().all(is_name)).then_some(name)
}

fn address(name: &str) -> Option<IpAddr> {
    name.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(address: &str) -> Hosts {
        let names = ["Gateway.example", "ported.example:8443", "[fd00::1]"];
        Hosts::new(vec![address.parse().unwrap()], names)
    }

    fn checked(hosts: &Hosts, host: &[&str], origin: &[&str]) -> Result<(), Foreign> {
        let mut request = http::Request::builder().uri("/mcp");
        for host in host {
            request = request.header("host", *host);
        }
        for origin in origin {
            request = request.header("origin", *origin);
        }
        hosts.check(&request.body(()).unwrap().into_parts().0).map(drop)
    }

    #[test]
    fn whom_a_request_may_be_for() {
        let everywhere = ["gateway.example", "GATEWAY.example:1", "ported.example:8443", "[fd00::1]:80"];
        let nowhere = [
            "evil.example",
            "ported.example",
            "ported.example:1",
            "gateway.example.evil.example",
            "localhost.",
        ];
        let local = ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.8.8.8", "[::1]:8080"];
        let addresses = ["10.0.0.5", "192.0.2.1:8080", "[2001:db8::1]"];
        let check = |listen: &str, hosts_in: &[&str], expected: Result<(), Foreign>| {
            for host in hosts_in {
                assert_eq!(checked(&hosts(listen), &[host], &[]), expected, "{host} on {listen}");
            }
        };
        for listen in ["127.0.0.1", "::1", "0.0.0.0", "::", "10.0.0.5"] {
            check(listen, &everywhere, Ok(()));
            check(listen, &nowhere, Err(Foreign::Host));
            let is_wide = ["0.0.0.0", "::"].contains(&listen);
            check(listen, &local, if listen == "10.0.0.5" { Err(Foreign::Host) } else { Ok(()) });
            check(listen, &addresses[1..], if is_wide { Ok(()) } else { Err(Foreign::Host) });
        }
        check("10.0.0.5", &["10.0.0.5:8080", "[::ffff:10.0.0.5]"], Ok(()));
        for bad in [
            "",
            ":80",
            "a@localhost",
            "localhost:x",
            "localhost:",
            "[::1",
            "[::1]x",
            "[localhost]",
            "a b",
            "a/b",
        ] {
            assert_eq!(checked(&hosts("127.0.0.1"), &[bad], &[]), Err(Foreign::Malformed), "{bad}");
        }
        assert_eq!(checked(&hosts("127.0.0.1"), &[], &[]), Err(Foreign::Malformed));
        assert_eq!(checked(&hosts("127.0.0.1"), &["localhost", "localhost"], &[]), Err(Foreign::Malformed));
        // What only looks like an address is a name.
        for name in ["127.1", "0x7f000001", "2130706433", "127.0.0.01"] {
            assert_eq!(checked(&hosts("0.0.0.0"), &[name], &[]), Err(Foreign::Host), "{name}");
        }
    }

    #[test]
    fn whose_page_a_request_may_come_from() {
        let check = |listen: &str, origin: &[&str], expected: Result<(), Foreign>| {
            assert_eq!(checked(&hosts(listen), &["gateway.example:8080"], origin), expected, "{origin:?}");
        };
        for listen in ["127.0.0.1", "0.0.0.0", "10.0.0.5"] {
            for own in ["https://gateway.example", "http://GATEWAY.example:9", "https://ported.example:8443"]
            {
                check(listen, &[own], Ok(()));
            }
            for foreign in [
                "null",
                "",
                "https://evil.example",
                "ftp://gateway.example",
                "gateway.example",
                "https://user@gateway.example",
                "https://gateway.example@evil.example",
                "https://gateway.example/path",
                "https://gateway.example.evil.example",
                "http://192.0.2.1",
                "https://ported.example",
            ] {
                check(listen, &[foreign], Err(Foreign::Origin));
            }
            check(listen, &["https://gateway.example", "https://gateway.example"], Err(Foreign::Origin));
            let local = if listen == "10.0.0.5" { Err(Foreign::Origin) } else { Ok(()) };
            check(listen, &["http://localhost:6274"], local);
            check(listen, &["http://[::1]"], local);
        }
        // A page that the gateway's own address serves.
        assert_eq!(checked(&hosts("0.0.0.0"), &["192.0.2.1:8080"], &["http://192.0.2.1:8080"]), Ok(()));
        assert_eq!(
            checked(&hosts("0.0.0.0"), &["192.0.2.1:8080"], &["http://192.0.2.1:81"]),
            Err(Foreign::Origin)
        );
    }

    #[test]
    fn the_authority_of_http2_counts_and_must_agree() {
        let check = |uri: &str, host: Option<&str>, expected: Result<(), Foreign>| {
            let mut request = http::Request::builder().uri(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let head = request.body(()).unwrap().into_parts().0;
            assert_eq!(hosts("127.0.0.1").check(&head).map(drop), expected, "{uri} {host:?}");
        };
        check("http://localhost:8080/mcp", None, Ok(()));
        check("http://localhost:8080/mcp", Some("LOCALHOST:8080"), Ok(()));
        check("http://localhost:8080/mcp", Some("evil.example"), Err(Foreign::Malformed));
        check("http://evil.example/mcp", Some("localhost"), Err(Foreign::Malformed));
        check("http://evil.example/mcp", None, Err(Foreign::Host));
    }
}

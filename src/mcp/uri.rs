//! Addresses of resources. Rules look at an address as it is written, and servers read many spellings as the same one
//! (`FILE:///a`, `file:///b/../a`, `file:///%61`). So what no server lists as it is written has to be written plainly.

/// Whether an address is written in the one way that is left when others mean the same: a scheme in small letters, no
/// user, a host in small letters, no segment that is empty, `.` or `..`, nothing coded that need not be, no fragment.
pub fn is_plain(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let of_scheme = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    if !scheme.starts_with(|first: char| first.is_ascii_lowercase()) || !scheme.bytes().all(of_scheme) {
        return false;
    }
    let (hierarchy, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = match hierarchy.strip_prefix("//") {
        Some(behind) => behind.find('/').map_or((behind, ""), |at| behind.split_at(at)),
        // Without a host an address is a name: `urn:a:b`.
        None if hierarchy.contains('/') || WITH_HOST.contains(&scheme) => return false,
        None => ("", hierarchy),
    };
    let is_host = if scheme == "file" { host.is_empty() } else { host.is_empty() || is_plain_host(host) };
    // `https://a` is `https://a/`, and `b?` is `b`, to many.
    let is_whole = (!path.is_empty() || !WITH_HOST.contains(&scheme)) && !rest.ends_with('?');
    let path = path.strip_prefix('/').unwrap_or(path);
    // The last may be empty: `a/` is another than `a`.
    let mut segments = path.split('/').rev();
    let is_segment = |segment: &str| !matches!(segment, "." | "..") && is_coded_plainly(segment, b":@");
    let last = segments.next().unwrap_or_default();
    is_host
        && is_whole
        && is_segment(last)
        && segments.all(|segment| !segment.is_empty() && is_segment(segment))
        && is_coded_plainly(query, b":@/?")
}

/// Schemes that programs read with a host, or with an empty one, however they are written.
const WITH_HOST: [&str; 7] = ["file", "ftp", "git", "http", "https", "ws", "wss"];

/// A name, or four plain numbers; a port, unless it is one that goes without saying.
fn is_plain_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let is_port = |port: &str| {
        let is_number = port.parse::<u16>().is_ok_and(|number| number.to_string() == port);
        is_number && !matches!(port, "21" | "80" | "443" | "9418")
    };
    let of_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let mut labels = name.split('.');
    let is_name = labels.all(|label| !label.is_empty() && label.bytes().all(of_label))
        && name
            .rsplit('.')
            .next()
            .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_lowercase()));
    port.is_none_or(is_port) && (is_name || name.parse::<std::net::Ipv4Addr>().is_ok())
}

/// Whether a text holds what may stand in an address, and codes nothing that could stand there as it is.
fn is_coded_plainly(text: &str, more: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next(), bytes.next()]
                .map(|digit| digit.and_then(|digit| (digit as char).to_digit(16)));
            let [Some(high), Some(low)] = digits else { return false };
            let Some(coded) = u8::try_from(high * 16 + low).ok() else { return false };
            if coded.is_ascii_alphanumeric() || b"-._~/\\".contains(&coded) || coded.is_ascii_control() {
                return false;
            }
        } else if !(byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=".contains(&byte)
            || more.contains(&byte))
        {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_in_one_way() {
        for plain in [
            "file:///pub/a.txt",
            "file:///pub/",
            "note://tickets/7",
            "test://static-text",
            "urn:isbn:0451450523",
            "https://example.com:8443/a?b=c/d&e=%20f",
            "http://127.0.0.1/a",
            "memo:a",
            "repo://a/b@1.0",
            "test://template/123/data",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in [
            "",
            "file",
            ":a",
            "FILE:///a",
            "file:///pub/../a",
            "file:///./a",
            "file://localhost/a",
            " file:///a",
            "file:/a",
            "file:\\\\\\a",
            "file:///se\tcret",
            "file:///pub/%2e%2e/a",
            "file:///%61",
            "file:///a%2Fb",
            "file:///a%5cb",
            "file:////a",
            "file:///a//b",
            "https://Example.com/",
            "https://u@example.com/",
            "https://example.com/#a",
            "file:///a%zz",
            "file:///a%2",
            "file:///ä",
            "file:///a%00",
            "1a:b",
            "http://a/b/..",
            "http://a/..?b",
            "file:secret/b.txt",
            "https:db.example/secret",
            "https://db.example:443/secret",
            "https://db.example:0443/secret",
            "http://127.1/secret",
            "http://0x7f000001/secret",
            "http://2130706433/secret",
            "http://127.0.0.01/secret",
            "http:127.0.0.1/secret",
            "http://db.example./secret",
            "http://[::1]/a",
            "https://db.example",
            "https://db.example/a?",
        ] {
            assert!(!is_plain(other), "{other}");
        }
    }
}

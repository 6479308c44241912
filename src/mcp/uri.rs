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
        None if hierarchy.starts_with('/') => return false,
        None => ("", hierarchy),
    };
    let of_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:[]".contains(&byte);
    let is_host = host.bytes().all(of_host) && !(scheme == "file" && !host.is_empty());
    let path = path.strip_prefix('/').unwrap_or(path);
    // The last may be empty: `a/` is another than `a`.
    let mut segments = path.split('/').rev();
    let is_segment = |segment: &str| !matches!(segment, "." | "..") && is_coded_plainly(segment, b":@");
    let last = segments.next().unwrap_or_default();
    is_host
        && is_segment(last)
        && segments.all(|segment| !segment.is_empty() && is_segment(segment))
        && is_coded_plainly(query, b":@/?")
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
        ] {
            assert!(!is_plain(other), "{other}");
        }
    }
}

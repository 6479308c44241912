//! Of cookies goes what names a session or a credential, and what nobody chose; each by itself, however the header is written.

use super::*;

/// Pairs that stay, and what of them goes.
const PAIRS: &[(&str, &str)] = &[
    ("theme=dark", "theme=dark"),
    ("lang=de-AT", "lang=de-AT"),
    ("tz=Europe/Vienna", "tz=Europe/Vienna"),
    ("tz=Europe%2FVienna", "tz=Europe%2FVienna"),
    ("cookie_consent=true", "cookie_consent=true"),
    ("last=2024-01-15T10:00:00Z", "last=2024-01-15T10:00:00Z"),
    ("prefs=%7B%22theme%22%3A%22dark%22%7D", "prefs=%7B%22theme%22%3A%22dark%22%7D"),
    ("sidebar=open", "sidebar=open"),
    ("author=eva", "author=eva"),
    ("sid=", "sid="),
    ("sid=$sid", "sid=$sid"),
    ("sid=${SID}", "sid=${SID}"),
    ("session=xxxx", "session=xxxx"),
    ("token=deleted", "token=deleted"),
    ("HttpOnly", "HttpOnly"),
    ("Max-Age=31536000", "Max-Age=31536000"),
    ("sid=q8v3k2l1m0n9", "sid=[COOKIE]"),
    ("connect.sid=s%3Aq8v3k2l1m0n9.Abc123def456ghi", "connect.sid=[COOKIE]"),
    ("PHPSESSID=abcdef", "PHPSESSID=[COOKIE]"),
    ("__Host-csrf=kestrel", "__Host-csrf=[COOKIE]"),
    ("x=5710322393fd84ad555546ce5612a5b7", "x=[COOKIE]"),
    ("u=aB3dE5fG7h", "u=[COOKIE]"),
];

#[test]
fn each_goes_or_stays_by_itself_in_every_place_and_order() {
    let places = [
        ("Cookie: ", ""),
        ("set-cookie:", "\nHost: x"),
        ("curl -H 'Cookie: ", "' https://x.example"),
        ("document.cookie = \"", "\";"),
        ("{'Cookie': '", "', 'a': 1} b"),
        ("{\"headers\":{\"cookie\":\"", "\"}}"),
        ("{\"Set-Cookie\":[\"a=b\",\"", "\"]}"),
        ("{\"name\":\"Cookie\",\"value\":\"", "\"}"),
        ("[[\"Cookie\",\"", "\"]]"),
    ];
    for (head, tail) in places {
        for (first, shown) in PAIRS {
            check(&format!("{head}{first}; theme=dark{tail}"), &format!("{head}{shown}; theme=dark{tail}"));
            for (second, also) in PAIRS {
                let text = format!("{head}a=b; {first}; {second}{tail}");
                check(&text, &format!("{head}a=b; {shown}; {also}{tail}"));
            }
        }
    }
}

#[test]
fn more_than_there_are_passes_go_at_once() {
    let line = |value: &dyn Fn(usize) -> String| {
        (0..20).map(|n| format!("sid{n}=1; s{n}sid={}", value(n))).collect::<Vec<_>>().join("; ")
    };
    let text = format!("Cookie: {}", line(&|n| format!("kestrel{n}")));
    check(&text, &format!("Cookie: {}", line(&|_| "[COOKIE]".to_owned())));
}

#[test]
fn an_object_of_cookies_is_one_of_pairs() {
    check(
        r#"{"cookies":{"sid":"5710322393fd84ad555546ce5612a5b7","theme":"dark"},"sid":"north"}"#,
        r#"{"cookies":{"sid":"[COOKIE]","theme":"dark"},"sid":"north"}"#,
    );
    check(
        r#"{"cookies":[{"name":"theme","value":"dark"},{"name":"sid","value":"kestrel","path":"/"}]}"#,
        r#"{"cookies":[{"name":"theme","value":"dark"},{"name":"sid","value":"[COOKIE]","path":"/"}]}"#,
    );
}

#[test]
fn what_only_speaks_of_cookies_stays() {
    for text in [
        "Cookie: consent",
        "cookie: recipe=good",
        "cookie = jar.get(name)",
        "Set-Cookie: foo=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        r#"{"cookie":{"theme":"dark","maxAge":3600000}}"#,
        r#"{"cookie_name":"sid","value":"north"}"#,
    ] {
        stays(text);
    }
}

/// A setting's name shields no session, and a session is one however short it is.
#[test]
fn no_attribute_and_no_path_hides_a_session() {
    for value in [
        "version=c0rrecthorsebattery9X",
        "priority=9f8a7c6b5d4e3f2a1b0c9d8e7f6a5b4c",
        "s=/9f8a7c6b5d4e3f2a1b0c9d8e7f6a5b4c",
        "x=QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "uid=12345678901234567",
        "authorization=correcthorse",
        "author_auth=correcthorse",
        "sid=abc",
    ] {
        let (name, _) = value.split_once('=').unwrap();
        check(&format!("Cookie: {value}; lang=en"), &format!("Cookie: {name}=[COOKIE]; lang=en"));
    }
}

#[test]
fn blanks_between_pairs_hide_none() {
    for gap in ["", " ", "   ", "\t", "          "] {
        let text = format!("Cookie: theme=dark;{gap}sessionid=abc123def456ghi;{gap}sid=abcd1");
        check(&text, &format!("Cookie: theme=dark;{gap}sessionid=[COOKIE];{gap}sid=[COOKIE]"));
    }
}

/// However many headers there are within a header, each pair is looked at a few times.
#[test]
fn headers_within_headers_are_linear() {
    for unit in ["sid=a,cookie:b=cccc;", ",cookie:a=b;", "cookie:a=b;"] {
        let out = redactor().line(&unit.repeat(20_000)).into_string();
        assert!(out.len() < unit.len() * 20_000 * 3, "{unit}");
    }
}

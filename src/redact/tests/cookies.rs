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
    for unit in
        ["sid=a,cookie:b=cccc;", ",cookie:a=b;", "cookie:a=b;", "Cookie: a=", "cookies={", "Cookie: a=\""]
    {
        let out = redactor().line(&unit.repeat(20_000)).into_string();
        assert!(out.len() < unit.len() * 20_000 * 3, "{unit}");
    }
}

/// Of a header every pair is looked at, whatever stands between two, to the end of what it stands in.
#[test]
fn no_pair_hides_the_next() {
    let places = [
        ("Cookie: ", "\nX: y"),
        ("curl -H 'Cookie: ", "' https://x.example"),
        ("x; Cookie: ", ""),
        ("{'Cookie': '", "'}"),
        ("document.cookie = `", "`;"),
        ("document.cookie = (\"", "\");"),
        ("document.cookie += '", "'"),
        ("document.cookie =\n  \"", "\";"),
        ("document[\"cookie\"] = '", "'"),
        ("curl https://x.example -b '", "' -v"),
        ("curl -sSb '", "'"),
        ("  -b '", "' \\"),
        ("curl --cookie \"", "\""),
        ("sqlmap --cookie=\"", "\""),
        ("wget --header='Cookie: ", "' x"),
        ("wget --header=\"Cookie: ", "\" x"),
        ("HTTP_COOKIE='", "'"),
        ("subprocess.run([\"curl\", \"-b\", \"", "\"])"),
    ];
    let between =
        ["; ", ";", ", ", "; HttpOnly; ", "; two words; ", " word; ", "; a=b c; ", "; (?); ", ", x, ", " "];
    for (head, tail) in places {
        for gap in between {
            for first in ["theme=dark", "sid=q8v3k2"] {
                let text = format!("{head}{first}{gap}sid2_sid=kestrel; lang=de{tail}");
                let shown = first.replace("q8v3k2", "[COOKIE]");
                check(&text, &format!("{head}{shown}{gap}sid2_sid=[COOKIE]; lang=de{tail}"));
            }
        }
    }
    check(
        "Set-Cookie: lang=de; Expires=Thu, 01 Jan 2026 00:00:00 GMT, sid=kestrel; Path=/",
        "Set-Cookie: lang=de; Expires=Thu, 01 Jan 2026 00:00:00 GMT, sid=[COOKIE]; Path=/",
    );
    check(r#"{"cookie":"theme=dark\nsid=kestrel"}"#, r#"{"cookie":"theme=dark\nsid=[COOKIE]"}"#);
    // What the header stands in ends it.
    for text in [
        "curl -H 'Cookie: theme=dark' -d 'a=b; session=north'",
        "x Cookie: theme=dark\" 200; session=north",
        "Cookie: theme=dark\nsession=north",
        "git checkout -b token=north",
        "curl https://x.example -b cookies.txt -c jar.txt",
        "document.cookie = \"sid=\" + value + \"; path=/\"",
    ] {
        stays(text);
    }
}

#[test]
fn a_value_in_quotes_is_one() {
    for (head, tail) in [("Cookie: ", ""), ("x 'Cookie: ", "'"), ("{'Cookie': '", "'}")] {
        for value in ["kestrel", "a b; c=d", "q8v3k2l1"] {
            let text = format!("{head}theme=\"dark\"; sid=\"{value}\"; lang=\"de\"{tail}");
            check(&text, &format!("{head}theme=\"dark\"; sid=\"[COOKIE]\"; lang=\"de\"{tail}"));
        }
    }
    check(
        r#"x "Cookie": "sid=\"kestrel\"; theme=dark; token=x9""#,
        r#"x "Cookie": "sid=\"[COOKIE]\"; theme=dark; token=[COOKIE]""#,
    );
    for member in [r#""cookie":"theme=dark; sid=\"@\"""#, r#""cookies":[{"name":"sid","value":"\"@\""}]"#] {
        let json = format!("{{{}}}", member.replace('@', "kestrel"));
        let out = redactor().line(&json).into_string();
        assert!(!out.contains("kestrel") && out.contains("[COOKIE:"), "{out}");
    }
    // Settings may be long.
    stays("Cookie: a=b; prefs={\"x\":1,\"y\":2}; lang=de");
}

#[test]
fn a_cookie_without_its_name_goes_if_nobody_chose_it() {
    let made = "5710322393fd84ad555546ce5612a5b7";
    for form in
        ["session_cookie: @", "SESSION_COOKIE=@", "cookie: @", "authCookie: '@'", "{\"cookie\":\"@\"}"]
    {
        check(&form.replace('@', made), &form.replace('@', "[COOKIE]"));
    }
    check("{\"session_cookie\":\"kestrel48x\"}", "{\"session_cookie\":\"[COOKIE]\"}");
    for text in [
        "session_cookie: connect.sid",
        "session_cookie: my-session-2",
        "{\"cookie\":\"consent\"}",
        "cookie: http.Cookie",
        "session_cookie = get_cookie(2)",
    ] {
        stays(text);
    }
}

/// Whatever the order of its members and whatever it stands in.
#[test]
fn an_object_of_cookies_in_any_order() {
    for form in [
        r#"{"cookies":[{"value":"@","name":"sid","domain":"x"}]}"#,
        r#"{"cookies":[{"value":"@","domain":"x","expires":-1,"httpOnly":true,"name":"sid"}]}"#,
        r#"{"cookies":{"sid":{"value":"@","path":"/"},"theme":{"value":"dark2","path":"/"}}}"#,
        r#"{"request":{"cookies":[{"name":"sid","path":"/","value":"@"}]}}"#,
        r#"{"args":["curl","-b","sid=@; theme=dark","https://x.example"]}"#,
        r#"{"args":["http","--cookie","sid=@"]}"#,
        "get(url, cookies={\"sid\": \"@\", \"theme\": \"dark\"})",
        "get(url, cookies={'theme': 'dark', 'sid': '@'})",
        "cookies = dict(sid=\"@\", theme=\"dark\")",
        "cookies: { theme: 'dark', sid: '@' }, url: '/'",
        "const cookies = [{ name: 'sid', value: '@', url }, { value: '@', name: 'token' }]",
        "\"cookies\": {\"sid\": \"@\", \"a\": \"b\"}, x",
        "cookies:\n  theme: dark\n  sid: @\nname: x",
        "document.cookie = \"sid=\" + \"@\" + \"; path=/\"",
        "document.cookie = 'sid=' + encodeURIComponent('@')",
    ] {
        check(&form.replace('@', "kestrel"), &form.replace('@', "[COOKIE]"));
    }
    for text in [
        r#"{"cookies":[{"value":"dark","name":"theme"}]}"#,
        r#"{"cookies":{"banner":{"value":"open"}}}"#,
        r#"{"fields":[{"value":"north","name":"sid"}]}"#,
        "cookies = getCookies(\"sid=5\")",
        "cookies: { theme: 'dark', sid: sid2 }",
    ] {
        stays(text);
    }
}

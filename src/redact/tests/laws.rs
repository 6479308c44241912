//! Laws that hold for every input.

use super::*;

const VALUES: &[&str] = &[
    "jane.doe@example.com",
    "4111 1111 1111 1111",
    "DE89370400440532013000",
    "+43 664 1234567",
    "203.0.113.7",
    "219-09-9999",
    "756.9217.0769.85",
    "00:1b:44:11:3a:b7",
    "redis://:Kestrel48@cache",
    "password=Kestrel48",
    "tg-abcdefghijklmnopqrstuvwx",
    "my password is Kestrel48",
    "GB82 WEST 1234 5698 7654 32",
    "2001:db8::8a2e:370:7334",
];

/// Text made of what detectors look for, so that odd neighbours are common.
fn dense() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(VALUES).prop_map(str::to_owned),
        prop::sample::select(
            &[
                "password=",
                "password is ",
                "token: ",
                "eyJ",
                ".",
                "-",
                "@",
                "a@b.cd",
                "://",
                "x:y@z",
                "sk-",
                "[",
                "]",
                "\"",
                "\\n",
                "{",
                "}",
                "-----BEGIN PRIVATE KEY-----",
                "Cookie: sid=bcdef; a=b; ",
                "passwords = [\"",
                "[\"mysql\", \"-p\", \"",
                "{\"text\": \"",
                "\", \"selector\": \"#password\"}",
                "ssn ",
                "nhs ",
                "tel ",
                "0",
                "1",
                "756",
                "+",
                "4",
                " ",
                "\n",
                "４",
                "\u{200b}",
                "\u{301}",
                "\u{1b}[1m",
                "\u{1b}",
                "\0",
                "é",
                "[JWT:abcdefghijklmnop]",
                "AKIAQ7Q7Q7Q7Q7Q7Q7Q7",
                "data:image/png;base64,",
                ":",
                "=",
                ";",
                "&",
                "?key=",
                "AC-123456",
            ][..]
        )
        .prop_map(str::to_owned),
        "[0-9 .-]{1,12}",
        "[a-zA-Z0-9_@:=-]{1,12}",
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// The same, with what reads as something else and what may be encoded.
fn seen() -> impl Strategy<Value = String> {
    let odd = &[
        "=\n",
        "\n",
        "`",
        "**",
        " dot ",
        " AT ",
        " (at) ",
        "\\n",
        "%40",
        "ABCDEFGHIJKLMN",
        "amFuZUBleGFtcGxlLmNvbQ==",
        "4 1 1 1 1 1 1 1",
        "1234 5678\n",
        "aB3dE6gH9jK2\n",
        "web dot de",
        "[JWT:",
        "\u{200b}",
        "ABC.&#52;111111111111111",
        "pbCI6InJjYXJvbkBleGFtcGxlLm5ldCIsIml",
    ][..];
    prop_oneof![dense(), prop::sample::select(odd).prop_map(str::to_owned)]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        dense().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::from(4_111_111_111_111_111_u64)),
        Just(serde_json::Value::Null),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z]{0,6}|password|api_key|ssn|a@b.cd", inner.clone(), 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            inner.prop_map(|value| serde_json::Value::from(value.to_string())),
        ]
    })
}

/// Objects, arrays and leaves, without what is in them.
fn outline(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => format!("[{}]", items.iter().map(outline).collect::<String>()),
        serde_json::Value::Object(members) => {
            format!("{{{}}}", members.values().map(outline).collect::<String>())
        }
        _ => "v".to_owned(),
    }
}

fn with_pattern() -> Redactor {
    let own = vec![Pattern::new("CASE_ID", "AC-[0-9]{6}|[A-Z]{3,}.?").unwrap()];
    Redactor::new(TenantSecret::derive(b"test", "acme"), Detectors::all(), own)
}

/// What only a later pass can read: a pattern's value stood before it, in the way.
#[test]
fn what_a_value_stood_in_the_way_of_is_read_by_the_next_pass() {
    for (text, left) in [
        ("AC-1234564111&#32;1111&#32;1111&#32;1111", "1111&#32;1111"),
        ("ABC.&#52;111111111111111", "&#52;1111"),
        ("pbCI6InJjYXJvbkBleGFtcGxlLm5ldCIsImlhdCI6MTc5NzgxNzQ2N30", "bkBleGFtcGxl"),
    ] {
        let redacted = with_pattern().line(text);
        assert!(!redacted.as_str().contains(left), "{redacted:?}");
    }
}

/// Sentences, and what must not be left of them.
const SENTENCES: &[(&str, &str)] = &[
    ("card 4111111111111111 ok", "4111111111111111"),
    ("iban AT611904300234573201 ok", "AT611904300234573201"),
    ("my ssn is 219-09-9999 ok", "219-09-9999"),
    ("password=Hunter2xyzQ9 ok", "Hunter2xyzQ9"),
    ("my password is Hunter2xyzQ9 ok", "Hunter2xyzQ9"),
    ("key AKIAQ3EGXY7PLM4TZ2WD ok", "AKIAQ3EGXY7PLM4TZ2WD"),
    ("from 203.0.113.77 ok", "203.0.113.77"),
    ("to jane.doe@example.com ok", "jane.doe@example.com"),
    ("call +43 664 1234567 ok", "664 1234567"),
];

/// One character as an encoding writes it, where it can.
fn encoded(c: char, encoding: usize) -> Option<String> {
    let bytes = |sign: char| c.to_string().bytes().map(|byte| format!("{sign}{byte:02X}")).collect();
    Some(match encoding {
        0 => bytes('%'),
        1 => bytes('='),
        2 => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        3 => format!("&#{};", u32::from(c)),
        4 => format!("&#x{:X};", u32::from(c)),
        _ => c.is_ascii().then(|| format!("\\x{:02x}", u32::from(c)))?,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Whatever stands beside a value, or says what it is, may be written in any encoding.
    #[test]
    fn no_encoded_neighbour_hides_a_value(
        sentence in prop::sample::select(SENTENCES),
        (before, behind) in (prop::sample::select(&[' ', ',', '"', '=', '(', '\n', '“', '😀', '|'][..]), prop::sample::select(&[' ', ',', '"', ')', '\n', '”', '|', '<'][..])),
        encoding in 0..6_usize,
        chosen in any::<u64>(),
    ) {
        let (text, value) = sentence;
        let (head, tail) = text.split_once(value).unwrap();
        let plain = format!("see x{before}{head}{value}{behind}{}", tail.trim_start());
        prop_assume!(!redactor().text(&plain).as_str().contains(value));
        let within = plain.find(value).unwrap()..plain.find(value).unwrap() + value.len();
        let text: String = plain.char_indices().map(|(at, c)| {
            let is_chosen = !c.is_ascii_alphanumeric() && !within.contains(&at) && chosen >> (at % 64) & 1 == 1;
            is_chosen.then(|| encoded(c, encoding)).flatten().unwrap_or_else(|| c.to_string())
        }).collect();
        prop_assert!(!redactor().text(&text).as_str().contains(value), "{} as {}", plain, text);
    }

    /// What `is_short_word` lets through unread, read.
    #[test]
    fn nothing_is_found_in_a_short_word(word in "([a-z_]|password|passwd|pw|key|token|mdp|sk_|ghp_|xoxb|npm_|hf_){0,8}") {
        let word = word.get(..15).unwrap_or(&word);
        prop_assert!(scan::is_short_word(word));
        for key in ["", "name", "role"] {
            prop_assert!(redactor().findings(word, Under::Key(key), 0).is_empty(), "{}", word);
        }
    }

    /// What the passes know of a text leads to the same as knowing nothing.
    #[test]
    fn what_was_not_seen_is_not_there(pieces in prop::collection::vec(seen(), 0..6)) {
        let text = pieces.concat();
        let unknown = || Holds { folded: true, marks: true, feeds: true, points: true, runs: true, walls: true, free: None };
        for redactor in [redactor(), with_pattern()] {
            let (mut known, mut text) = (Holds::of(&text), text.clone());
            for _ in 0..PASSES_MAX {
                let [mut one, mut other] = [Tally::default(), Tally::default()];
                let next = redactor.pass(&text, Under::NOTHING, &mut known, &mut one);
                prop_assert_eq!(&next, &redactor.pass(&text, Under::NOTHING, &mut unknown(), &mut other));
                prop_assert_eq!(one, other);
                let Some(next) = next else { break };
                text = next;
            }
        }
    }

    #[test]
    fn redacting_twice_changes_nothing(text in dense()) {
        for redactor in [redactor(), with_pattern()] {
            let (text_once, line_once) = (redactor.text(&text), redactor.line(&text));
            let text_twice = redactor.text(text_once.as_str());
            prop_assert_eq!(text_twice.as_str(), text_once.as_str());
            let line_twice = redactor.line(line_once.as_str());
            prop_assert_eq!(line_twice.as_str(), line_once.as_str());
        }
    }

    #[test]
    fn json_stays_json_of_the_same_outline(value in json()) {
        let redactor = redactor();
        let once = redactor.json(&value.to_string()).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(once.as_str()).unwrap();
        // Two keys that are redacted alike would be one in the parsed map: only one here can be.
        prop_assert_eq!(outline_sorted(&parsed), outline_sorted(&value));
        let twice = redactor.json(once.as_str()).unwrap();
        prop_assert_eq!(twice.as_str(), once.as_str());
    }

    #[test]
    fn it_agrees_with_a_json_parser_on_what_is_json(text in "[\\[\\]{}\",:0-9eE+.a\\\\un\\- ]{0,16}") {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
        if parsed.is_ok() {
            prop_assert!(redactor().json(&text).is_some());
        } else if redactor().json(&text).is_some() {
            // serde_json alone refuses numbers beyond a double's range.
            prop_assert!(parsed.unwrap_err().to_string().contains("out of range"));
        }
    }

    #[test]
    fn nothing_panics_and_text_without_triggers_stays(text in any::<String>(), plain in "[a-fh-jl-oq-z ,.;!?\nöüé]*") {
        let redactor = redactor();
        let once = redactor.line(&text);
        let twice = redactor.line(once.as_str());
        prop_assert_eq!(twice.as_str(), once.as_str());
        let same = redactor.text(&plain);
        prop_assert_eq!(same.as_str(), &plain);
        prop_assert_eq!(same.counts().count(), 0);
    }

    #[test]
    fn a_value_in_clean_text_is_gone(value in prop::sample::select(VALUES), before in "([a-f]{1,8} ){0,6}", after in "( [a-f]{1,8}){0,6}") {
        let redacted = redactor().text(&format!("{before}{value}{after}"));
        let secret = value.rsplit(['=', ' ']).next().unwrap().trim_start_matches("redis://:");
        prop_assert!(!redacted.as_str().contains(secret), "{}", redacted);
        prop_assert!(redacted.as_str().starts_with(&before) && redacted.as_str().ends_with(&after));
        prop_assert_eq!(redacted.counts().map(|(_, n)| n).sum::<u32>(), 1);
    }

    #[test]
    fn tenants_cannot_be_linked(value in prop::sample::select(VALUES), a in "[a-z]{1,8}", b in "[A-Z]{1,8}") {
        let token = |tenant: &str| Redactor::new(TenantSecret::derive(b"m", tenant), Detectors::all(), Vec::new()).text(value);
        prop_assert_ne!(token(&a), token(&b));
        prop_assert_eq!(token(&a), token(&a));
    }
}

fn outline_sorted(value: &serde_json::Value) -> String {
    let mut letters: Vec<char> = outline(value).chars().collect();
    letters.sort_unstable();
    letters.into_iter().collect()
}

proptest! {
    /// However many keys of an object are redacted to the same text, each keeps its value, and stays a key of its own.
    #[test]
    fn no_key_of_an_object_is_lost(chosen in prop::collection::vec((0..3_usize, 0..4_usize), 0..8)) {
        let names = ["jane.doe@example.com", "mail 4111 1111 1111 1111", "plain"];
        let spelled = |(name, spelling): (usize, usize)| match spelling {
            0 => names[name].to_owned(),
            1 => names[name].to_uppercase(),
            2 => redactor().text(names[name]).as_str().to_owned(),
            _ => format!("{} (2)", redactor().text(names[name]).as_str()),
        };
        let mut document = serde_json::Map::new();
        for (at, key) in chosen.into_iter().enumerate() {
            document.insert(spelled(key), at.into());
        }
        let count = document.len();
        let text = serde_json::Value::Object(document.clone()).to_string();
        let redacted = redactor().json(&text).unwrap();
        let parsed = crate::json::parse(redacted.as_str().as_bytes(), 8);
        prop_assert!(parsed.is_ok(), "{} became {}", text, redacted.as_str());
        let kept: serde_json::Map<String, serde_json::Value> = serde_json::from_str(redacted.as_str()).unwrap();
        prop_assert_eq!(kept.len(), count);
        let again = redactor().json(redacted.as_str()).unwrap();
        prop_assert_eq!(again.as_str(), redacted.as_str());
    }
}

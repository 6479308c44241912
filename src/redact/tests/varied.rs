//! Values of every entity in other wordings, places and disguises than any list of examples holds: made from a fixed
//! seed, so that what is found today cannot be lost. The value must not stand in what comes out.

use super::super::detect::checksum;
use super::*;

/// A linear congruence; the seed is the case.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(super) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    pub(super) fn symbols(&mut self, of: &str, count: usize) -> String {
        (0..count).map(|_| char::from(of.as_bytes()[self.below(of.len())])).collect()
    }

    pub(super) fn digits(&mut self, count: usize) -> String {
        self.symbols("0123456789", count)
    }

    /// Digits behind `head`, the last chosen so that `check` holds.
    pub(super) fn checked(&mut self, head: &str, count: usize, check: fn(&[u8]) -> bool) -> String {
        loop {
            let number = format!("{head}{}", self.digits(count - head.len()));
            let digits: Vec<u8> = number.bytes().map(|b| b - b'0').collect();
            if check(&digits) {
                return number;
            }
        }
    }

    pub(super) fn grouped(&mut self, number: &str, lengths: &[usize], separators: &[&str]) -> String {
        let separator = self.pick(separators);
        let mut rest = number;
        let mut parts = Vec::new();
        for length in lengths {
            let (head, tail) = rest.split_at(*length);
            parts.push(head);
            rest = tail;
        }
        parts.join(separator)
    }
}

const ALNUM: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// A value, and how people announce it.
#[expect(clippy::too_many_lines, reason = "a table, a row an entity")]
fn personal(dice: &mut Dice, entity: &str) -> (String, &'static [&'static str]) {
    match entity {
        "EMAIL_ADDRESS" => {
            let name = dice.symbols(LOWER, 7);
            let tag = dice.pick(&["", ".k", "+shop", "_99", "-x"]);
            let host =
                dice.pick(&["nordwind.example", "mail.uni-ost.at", "kunde.co.uk", "bücher.de", "a-b.io"]);
            (format!("{name}{tag}@{host}"), &["write to", "Kontakt:", "courriel", "cc", "Absender ist"])
        }
        "CREDIT_CARD" => {
            let (head, count, groups): (_, _, &[usize]) = match dice.below(4) {
                0 => ("4", 16, &[4, 4, 4, 4]),
                1 => ("2221", 16, &[4, 4, 4, 4]),
                2 => ("37", 15, &[4, 6, 5]),
                _ => ("36", 14, &[4, 6, 4]),
            };
            let number = dice.checked(head, count, checksum::luhn);
            let groups = if dice.below(3) == 0 { &[count][..] } else { groups };
            (
                dice.grouped(&number, groups, &[" ", "-", "."]),
                &["my card", "Karte", "carte bleue", "charged on", "#"],
            )
        }
        "CH_AHV" => {
            let number = dice.checked("756", 13, checksum::ean13);
            (
                dice.grouped(&number, &[3, 4, 4, 2], &[".", " ", ""]),
                &["AHV", "no AVS", "insured under", "Versichertennummer"],
            )
        }
        "UK_NHS" => {
            let check = |d: &[u8]| checksum::weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11);
            let number = dice.checked("4", 10, check);
            let words = &["NHS no.", "NHS number is", "her NHS number:", "patient"];
            (dice.grouped(&number, &[3, 3, 4], &[" ", "-", ""]), words)
        }
        "US_SSN" => {
            let number =
                format!("{}{}{}", 100 + dice.below(500), 10 + dice.below(89), 1000 + dice.below(8999));
            let words = &["SSN", "social security no.", "social security number:", "my social is", "SSN#"];
            (dice.grouped(&number, &[3, 2, 4], &["-", " ", ""]), words)
        }
        "DE_TAX_ID" => {
            let check = |d: &[u8]| {
                checksum::mod_11_10(d)
                    && (0..10).all(|x| d[..10].iter().filter(|y| **y == x).count() < 4)
                    && (0..10).filter(|x| d[..10].iter().filter(|y| *y == x).count() > 1).count() == 1
            };
            let number = dice.checked("6", 11, check);
            (
                dice.grouped(&number, &[2, 3, 3, 3], &[" ", ""]),
                &["Steuer-ID", "IdNr.", "Steueridentifikationsnummer:", "tax id"],
            )
        }
        "IN_AADHAAR" => {
            let number = dice.checked("5", 12, checksum::verhoeff);
            let words = &["Aadhaar", "aadhaar no", "aadhaar number is", "UIDAI:"];
            (dice.grouped(&number, &[4, 4, 4], &[" ", "-", ""]), words)
        }
        "AT_SVNR" => {
            let (day, month, year) = (1 + dice.below(28), 1 + dice.below(12), 10 + dice.below(89));
            let number = loop {
                let serial = 100 + dice.below(900);
                let number = format!("{serial}0{day:02}{month:02}{year}");
                let digits: Vec<u8> = number.bytes().map(|b| b - b'0').collect();
                let sum = checksum::weighted(&digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
                if sum < 10 {
                    break format!("{serial}{sum}{}", number.get(4..).unwrap());
                }
            };
            let words = &["SVNR", "SV-Nummer:", "Sozialversicherungsnummer", "Vers.-Nr.", "SVNr lautet"];
            (dice.grouped(&number, &[4, 6], &[" ", "-", ""]), words)
        }
        "PHONE_NUMBER" => {
            let number = match dice.below(6) {
                0 => format!("+43 {} {}", 650 + dice.below(30), dice.digits(7)),
                1 => format!("+49 30 {}", dice.digits(8)),
                2 => format!("0{} {}", dice.pick(&["171", "160", "664"]), 1_000_000 + dice.below(8_999_999)),
                3 => format!("({}) 555-{}", 212 + dice.below(700), dice.digits(4)),
                4 => format!(
                    "06 {} {} {} {}",
                    10 + dice.below(89),
                    10 + dice.below(89),
                    dice.digits(2),
                    dice.digits(2)
                ),
                _ => format!("+4178{}", dice.digits(7)),
            };
            (number, &["ring me on", "erreichbar unter", "mon numéro :", "Rückruf an", "text", "mobile"])
        }
        "MAC_ADDRESS" => {
            let pairs: Vec<String> = (0..6).map(|_| format!("{:02x}", 16 + dice.below(239))).collect();
            (pairs.join(dice.pick(&[":", "-"])), &["NIC", "adapter", "Gerät", "carte réseau"])
        }
        "UK_NINO" => {
            let number = format!(
                "{}{}{}",
                dice.pick(&["AB", "JG", "PW"]),
                dice.digits(6),
                dice.pick(&["A", "B", "C"])
            );
            let groups: &[usize] = if dice.below(2) == 0 { &[2, 2, 2, 2, 1] } else { &[9] };
            (dice.grouped(&number, groups, &[" "]), &["NI number", "National Insurance:", "NINO"])
        }
        _ => {
            let number = format!(
                "{}.{}.{}.{}",
                11 + dice.below(100),
                dice.below(256),
                10 + dice.below(200),
                1 + dice.below(254)
            );
            (number, &["connected from", "Rechner", "adresse IP", "ssh root at"])
        }
    }
}

const PERSONAL: &[&str] = &[
    "EMAIL_ADDRESS",
    "CREDIT_CARD",
    "CH_AHV",
    "UK_NHS",
    "US_SSN",
    "DE_TAX_ID",
    "IN_AADHAAR",
    "AT_SVNR",
    "PHONE_NUMBER",
    "MAC_ADDRESS",
    "UK_NINO",
    "IP_ADDRESS",
];

fn credential(dice: &mut Dice) -> (String, &'static [&'static str]) {
    let words: &[&str] =
        &["use", "export KEY=", "der Schlüssel:", "la clé est", "token=", "-H 'x-api-key: ", "key="];
    let token = match dice.below(10) {
        0 => format!("sk-proj-{}", dice.symbols(ALNUM, 48)),
        1 => format!("sk-ant-api03-{}", dice.symbols(ALNUM, 80)),
        2 => format!("ghp_{}", dice.symbols(ALNUM, 36)),
        3 => format!("AKIA{}", dice.symbols(UPPER, 16)),
        4 => format!("xoxb-{}-{}-{}", dice.digits(11), dice.digits(12), dice.symbols(ALNUM, 24)),
        5 => format!("AIza{}", dice.symbols(ALNUM, 35)),
        6 => format!("hf_{}", dice.symbols(ALNUM, 34)),
        7 => format!("glpat-{}", dice.symbols(ALNUM, 20)),
        8 => format!("sk_live_{}", dice.symbols(ALNUM, 24)),
        _ => format!(
            "eyJ{}.eyJ{}.{}",
            dice.symbols(ALNUM, 20),
            dice.symbols(ALNUM, 40),
            dice.symbols(ALNUM, 43)
        ),
    };
    (token, words)
}

fn password(dice: &mut Dice) -> (String, &'static [&'static str]) {
    let word = dice.pick(&["Sommer", "Kestrel", "tr0ub", "Hibou", "letmein"]);
    let value = format!("{word}{}{}", dice.pick(&["!", "#", "_", "$"]), 10 + dice.below(9000));
    let words: &[&str] = &[
        "the password is",
        "my pw:",
        "Passwort lautet",
        "mein Kennwort ist",
        "mot de passe :",
        "le mdp est",
        "root password =",
        "login with password",
        "the new password will be",
        "Das Passwort wäre",
        "PASSWORD=",
        "passphrase:",
        "use the password",
        "mit dem Passwort",
        "avec le mot de passe",
    ];
    (value, words)
}

/// Where a value may stand: `{}` is the sentence.
const PLACES: &[&str] = &[
    "{}",
    "{}.",
    "Hello,\n{}\nthanks",
    "({})",
    "- {}\n- next",
    "| {} | x |",
    "<p>{}</p>",
    "# {}",
    "// {}",
    "a;{};b",
    "\"{}\"",
    "'{}'",
    "2026-03-01T10:00:00Z INFO {} done",
    "Grüße {}, und danke",
    "{}\n\n-- \nx",
    "> {}",
    "`{}`",
    "print(\"{}\")",
    "note: '{}', // x",
];

fn placed(dice: &mut Dice, value: &str, words: &[&str]) -> String {
    let said = dice.pick(words);
    let gap = if said.ends_with(['=', '#', ' ']) { "" } else { " " };
    let text = dice.pick(PLACES).replace("{}", &format!("{said}{gap}{value}"));
    match dice.below(4) {
        0 => serde_json::json!({ "messages": [{ "role": "user", "content": text }] }).to_string(),
        1 => {
            let inner = serde_json::json!({ "query": text, "n": 3 }).to_string();
            serde_json::json!({ "function": { "name": "f", "arguments": inner } }).to_string()
        }
        _ => text,
    }
}

pub(super) fn leaks(count: u64, make: impl Fn(&mut Dice) -> (String, String)) -> Vec<String> {
    let redactor = redactor();
    let leaks = |seed| {
        let (value, text) = make(&mut Dice(seed));
        let out = redactor.line(&text);
        out.as_str().contains(&value).then(|| format!("{text} => {out}"))
    };
    (1..=count).filter_map(leaks).collect()
}

#[track_caller]
pub(super) fn at_most(permille: usize, of: u64, leaks: &[String]) {
    let most = usize::try_from(of).unwrap() * permille / 1000;
    let shown = leaks.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
    assert!(leaks.len() <= most, "{} leaks of {of}, {most} may be:\n{shown}", leaks.len());
}

#[test]
fn personal_data_in_other_words() {
    for entity in PERSONAL {
        let found = leaks(400, |dice| {
            let (value, words) = personal(dice, entity);
            let text = placed(dice, &value, words);
            (value, text)
        });
        at_most(10, 400, &found);
    }
}

#[test]
fn credentials_in_other_words() {
    let found = leaks(2000, |dice| {
        let (value, words) = credential(dice);
        let text = placed(dice, &value, words);
        (value, text)
    });
    at_most(5, 2000, &found);
}

#[test]
fn passwords_in_other_sentences() {
    let found = leaks(1000, |dice| {
        let (value, words) = password(dice);
        let text = placed(dice, &value, words);
        (value, text)
    });
    at_most(50, 1000, &found);
}

/// As it is written: the disguise itself must be gone.
fn disguise(dice: &mut Dice, value: &str) -> String {
    let half = value.char_indices().nth(value.chars().count() / 2).unwrap().0;
    let (head, tail) = value.split_at(half);
    let percent = |b: u8| format!("%{b:02X}");
    match dice.below(9) {
        0 => value
            .chars()
            .map(|c| char::from_u32(u32::from(c) + 0xFEE0).filter(|_| c.is_ascii_graphic()).unwrap_or(c))
            .collect(),
        1 => value.chars().flat_map(|c| [c, '\u{200b}']).collect(),
        2 => value.bytes().map(percent).collect(),
        3 => value.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        4 => value.chars().map(|c| format!("&#x{:X};", u32::from(c))).collect(),
        5 => format!("**{head}****{tail}**"),
        6 => value.bytes().map(|b| format!("{b:02x}")).collect(),
        7 => value.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect(),
        _ => format!("{head}\u{ad}{tail}"),
    }
}

#[test]
fn disguised_values_in_other_words() {
    let found = leaks(2000, |dice| {
        let entity = PERSONAL[dice.below(PERSONAL.len())];
        let (value, words) = if dice.below(3) == 0 { credential(dice) } else { personal(dice, entity) };
        let value = disguise(dice, &value.replace("ü", "u"));
        let text = placed(dice, &value, words);
        (serde_json::json!(value).to_string().trim_matches('"').to_owned(), text)
    });
    at_most(50, 2000, &found);
}

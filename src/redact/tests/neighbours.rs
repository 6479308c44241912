//! What stands beside a value is about that value, or about something else: a word that has a number of its own names no
//! other, a value does not end where another begins.

use super::super::detect::checksum;
use super::varied::Dice;
use super::*;

/// In each form every value goes.
#[track_caller]
fn goes(forms: &[&str], make: impl Fn(&mut Dice) -> String) {
    let redactor = redactor();
    for form in forms {
        for seed in 1..=200 {
            let value = make(&mut Dice(seed));
            let once = redactor.line(&form.replace("@@", &value));
            assert!(!once.as_str().contains(&value), "{form}: {once}");
            assert_eq!(redactor.line(once.as_str()).as_str(), once.as_str(), "twice is once");
        }
    }
}

/// In each form every value stays.
#[track_caller]
fn kept(forms: &[&str], make: impl Fn(&mut Dice) -> String) {
    for form in forms {
        for seed in 1..=200 {
            stays(&form.replace("@@", &make(&mut Dice(seed))));
        }
    }
}

/// Four numbers that may be an address's or a version's.
fn dotted(dice: &mut Dice) -> String {
    let mut part = || (11 + dice.below(100)).to_string();
    [part(), part(), part(), part()].join(".")
}

#[test]
fn a_version_is_what_its_word_stands_right_before() {
    goes(
        &[
            "curl https://x.acme.io/v2\nLogin from @@ at night",
            "https://x.acme.io/v1 client ip @@ blocked",
            "https://api.acme.io/v1/users from @@",
            "GET /v2 @@",
            "requires release-v13.31.19 Login from @@",
            "version 18.10.30, @@ was blocked",
            "firmware 96.42.57.67 @@",
            "upgrade to v2: server @@ is down",
            "release 4 is on @@",
            "Treiber geladen, Zugriff von @@",
            "la version 3 tourne sur @@",
            "Here is the new version. @@ is down",
            "deploy release 1.2.3.44 to @@",
            "upgraded the server to @@",
            "upgrade to v2 from @@",
            "POST /v2 @@",
        ],
        dotted,
    );
    kept(
        &[
            "firmware @@",
            "Firmware-Version: @@",
            "Chrome/@@",
            "upgraded from @@ to 1.2.3.44",
            "updated the driver from 1.2.3.44 to @@",
            "Update von @@ auf 1.2.3.44",
            "version 1.2.3.44 or @@",
            "der Treiber ist jetzt @@",
            "nach dem Upgrade auf @@",
            "version du pilote : @@",
            "mise à jour de Chrome vers @@",
            "AssemblyVersion(\"@@\")",
            "<FileVersion>@@</FileVersion>",
            "ver. @@",
            "**deps**: upgrade V8 to @@ (#1)",
            "Upgrade to V8 @@",
            "patch V8 to @@",
            "name,version\nfoo,@@",
            "| name | version |\n|---|---|\n| foo | @@ |",
        ],
        dotted,
    );
}

/// A French number of Corsica, in groups.
fn corsican(dice: &mut Dice) -> String {
    let (letter, worth) = [("A", "19"), ("B", "18")][dice.below(2)];
    let (head, tail) =
        (format!("{}{:02}{:02}", 1 + dice.below(2), dice.below(99), 1 + dice.below(12)), dice.digits(6));
    let number: u64 = format!("{head}{worth}{tail}").parse().unwrap();
    let key = format!("{:02}", 97 - number % 97);
    let plain = format!("{head}2{letter}{tail}{key}");
    let shapes: [&[usize]; 5] =
        [&[1, 2, 2, 2, 3, 3, 2], &[13, 2], &[1, 4, 2, 3, 3, 2], &[1, 2, 2, 5, 3, 2], &[15]];
    let shape = shapes[dice.below(5)];
    dice.grouped(&plain, shape, &[" ", "-", "."])
}

#[test]
fn numbers_of_corsica_in_groups() {
    let forms =
        ["NIR @@", "@@", "Numéro de sécurité sociale : @@", "756.9217.0769.85 @@", "NIR @@, +43 664 1234567"];
    goes(&forms, corsican);
    // Another key is that of another number.
    kept(&["pièce @@ en stock", "@@"], |dice| {
        let number = corsican(dice);
        let (digits, key) = number.split_at(number.len() - 2);
        format!("{digits}{:02}", (key.parse::<u64>().unwrap() + 1) % 97 + 1)
    });
}

#[test]
fn a_word_that_begins_with_digits_may_stand_behind_a_number() {
    let forms = [
        "ISBN 9796257292848 @@",
        "due on 2026-03-12 @@",
        "am 12.03.2026 @@",
        "part no. 666-40-7165 @@",
        "firmware 98.22.94.1 @@",
        "npm i react@18.3.1 @@",
        "page=2 @@ ok",
        "total 12 @@",
    ];
    goes(&forms, |dice| format!("0x{}", dice.symbols("0123456789abcdef", 40)));
    goes(&forms, |dice| format!("15070649C103{}", dice.pick(&["", " ", "."])).trim_end().to_owned());
    goes(&forms, |dice| {
        dice.pick(&["1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"]).to_owned()
    });
    kept(&forms, |dice| {
        format!("{}{}", 1 + dice.below(99), dice.pick(&["kg", "px", "x", "th", "GB", "er-Pack"]))
    });
}

#[test]
fn a_point_that_ends_an_abbreviation_is_none_of_the_number() {
    let phone = |dice: &mut Dice| {
        let (six, seven) = (dice.digits(6), dice.digits(7));
        dice.pick(&[
            &format!("0676/{seven}"),
            &format!("0170-9{seven}"),
            &format!("07810 {six}"),
            &format!("0043664{seven}"),
        ])
        .to_owned()
    };
    goes(&["Tel.@@", "Tél.@@", "Fax.@@ (Büro)", "(Mob.@@)", "Meine Tel.@@."], phone);
    goes(&["AHV-Nr.@@", "Nr.@@ (AHV)"], |dice| dice.checked("756", 13, checksum::ean13));
    kept(&["hotel.@@", "obj.@@", "foo.tel.@@", "v1.@@", "Kapitel Nr.5.@@"], |dice| {
        format!("0676/033{}", dice.digits(4))
    });
}

/// Numbers of eleven digits that pass for a German tax number, of thirteen that begin as a French one, of nine, of ten.
fn alike(dice: &mut Dice, kind: usize) -> String {
    match kind {
        0 => "29186300475".to_owned(),
        1 => format!("17{}0{}{}", 1 + dice.below(9), 1 + dice.below(9), dice.digits(8)),
        2 => format!("4{}", dice.digits(2)) + &format!("{}{}", 11 + dice.below(80), 1111 + dice.below(8000)),
        _ => dice.checked("4", 10, |digits| {
            checksum::weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
        }),
    }
}

#[test]
fn a_word_that_has_a_number_of_its_own_names_no_other() {
    let named =
        ["IdNr. 86095742719", "NIR 255081416802538", "My SSN is 219-09-9999.", "NHS number 943 476 5919"];
    for (kind, value) in named.iter().enumerate() {
        for join in [" ", ", ", "\n"] {
            for label in [
                "ts=@@",
                "created_at: @@",
                "Bestellnummer @@ fehlt",
                "Order number @@ has not shipped",
                "order_id=@@",
                "ticket @@",
                "compute @@",
            ] {
                for seed in 1..=40 {
                    let number = alike(&mut Dice(seed), kind);
                    let item = label.replace("@@", &number);
                    for text in [format!("{item}{join}{value}"), format!("{value}{join}{item}")] {
                        let out = redactor().line(&text);
                        assert!(out.as_str().contains(&item), "{text}: {out}");
                        assert_eq!(out.counts().map(|(_, count)| count).sum::<u32>(), 1, "{text}: {out}");
                    }
                }
            }
        }
    }
    for text in
        ["phone: +4917679150382, why is 13! = 6227020800?", "compute 13! = 6227020800 Tél. +49 176 17928169"]
    {
        assert!(redactor().line(text).as_str().contains("13! = 6227020800"), "{text}");
    }
    // The word is there, right before it or behind it, and has no other number.
    for text in [
        "@@ is my SSN",
        "@@ (SSN), phone 4155552671",
        "@@ is my SSN and 4155552671 my phone",
        "SSN for this order: @@",
        "the SSN ref. @@",
        "ssn 219-09-9999 or @@",
    ] {
        goes(&[text], |dice| alike(dice, 2));
    }
    goes(&["NHS ref @@", "patient case @@", "@@ NHS", "nhs 943 476 5919, @@"], |dice| alike(dice, 3));
    goes(&["Steuer-ID zur Rechnung: @@", "@@", "IdNr @@"], |dice| alike(dice, 0));
    goes(&["Sécurité sociale - numéro : @@", "NIR: 255081416802538, @@"], |dice| alike(dice, 1));
}

#[test]
fn a_credential_that_has_its_value_names_no_other() {
    let others = [
        "why is 299792458?",
        "compute 1/7 = 0.142857142857",
        "authorized_keys: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDWt7IiG67oleEaL7+qvufpuw0oeiziLZxiSpGSVuXMk",
        "\"integrity\": \"sha256-TYM5GRa763vyoHgcx2lgMxh25AmavhH2Xn2yANVhJEK=\"",
        "trace_id=5530d389-c9c0-4d33-a607-b36c2a441c5b",
        "digest sha256:a7667f3d89d1478692690ad2fcf4181f0df4c6215c8b477d29a3d702d35d5265",
    ];
    for other in others {
        for join in [" ", ", ", "\n"] {
            // Nothing is told here.
            for name in [
                "config has ${DB_PASSWORD}",
                "use %API_KEY% here",
                "use $OPENAI_API_KEY here",
                "use YOUR_API_KEY here",
                "password: %API_KEY%",
            ] {
                stays(&format!("{name}{join}{other}"));
            }
            for form in [
                "client_secret=a@@b9K2ly1hiQHH",
                "password=@@",
                "mein Passwort ist @@",
                "le mot de passe est @@",
                "DB_PASSWORD=@@",
            ] {
                for seed in 1..=40 {
                    let dice = &mut Dice(seed);
                    let word = dice.pick(&["Tulpen", "Marmot", "Kestrel", "Hibou"]);
                    let value = format!(
                        "{word}{}{}{}",
                        dice.pick(&["!", "&", "#", ""]),
                        dice.digits(4),
                        dice.pick(&["x", "$", "qz"])
                    );
                    let text = format!("{}{join}{other}", form.replace("@@", &value));
                    let out = redactor().line(&text);
                    assert!(out.as_str().ends_with(other) && !out.as_str().contains(&value), "{text}: {out}");
                }
            }
        }
    }
}

/// A key as a vendor makes it.
fn token(dice: &mut Dice, prefix: &str) -> String {
    const ALNUM: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    format!("{prefix}a{}B7", dice.symbols(ALNUM, 21))
}

#[test]
fn a_value_ends_with_its_line_where_another_begins() {
    let redactor = redactor();
    for seed in 1..=200 {
        let dice = &mut Dice(seed);
        let first = token(dice, "rk_live_");
        let hex = dice.pick(&["55", "60", "42", "4B", "31"]);
        for (next, rest) in [
            (format!("MAIL_PASSWORD={hex}Falcon*zitrone"), "MAIL_PASSWORD=[PASSWORD]"),
            (format!("nhs_number={}", "943-476-5919"), "nhs_number=[UK_NHS]"),
            (token(dice, "glpat-"), "[GITLAB_TOKEN]"),
            (format!("AKIA{}", dice.symbols("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)), "[AWS_ACCESS_KEY]"),
            (format!("2026-09-24T18:0{}:54.416Z INFO started", dice.below(10)), ""),
        ] {
            let rest = if rest.is_empty() { next.as_str() } else { rest };
            let text = format!("STRIPE_KEY={first}\n{next}\nAPP_NAME=web");
            let out = redactor.line(&text);
            assert_eq!(
                shape(out.as_str()),
                format!("STRIPE_KEY=[STRIPE_KEY]\n{rest}\nAPP_NAME=web"),
                "{text}"
            );
        }
        let count = 100 + dice.below(9000);
        let key = format!("AKIA{}", dice.symbols("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16));
        check(&format!("max_tokens={count}\n{key}"), &format!("max_tokens={count}\n[AWS_ACCESS_KEY]"));
    }
}

#[test]
fn an_account_and_a_scope_end_where_words_begin() {
    for text in ["SKU FR57690647290335097833 out of stock", "SKU FR19600138280212200359 out of stock"] {
        stays(text);
    }
    check(
        "NINO: BA933219B Order number 6388066743 has not shipped",
        "NINO: [UK_NINO] Order number 6388066743 has not shipped",
    );
    check("iban fr1420041010050500013m02606 ok", "iban [IBAN_CODE] ok");
    check("FR14 2004 1010 0505\n0001 3M02 606", "[IBAN_CODE]");
    goes(
        &[
            "Credential=@@/20261101/eu-west-1/s3/aws4_request, x",
            "X-Amz-Credential=@@%2F20261101%2Feu-west-1%2Fs3%2Faws4_request&x=1",
        ],
        |dice| format!("AKIA{}", dice.symbols("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
    );
    check(
        "Credential=AKIAQ7Q7Q7Q7Q7Q7Q7Q7/20261101/eu-west-1/s3/aws4_request",
        "Credential=[AWS_ACCESS_KEY]/20261101/eu-west-1/s3/aws4_request",
    );
}

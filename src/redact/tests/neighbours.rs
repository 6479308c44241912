//! What stands beside a value is about that value, or about something else: a word that has a number of its own names no
//! other, a value does not end where another begins.

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
        let key: u64 = number[number.len() - 2..].parse().unwrap();
        format!("{}{:02}", &number[..number.len() - 2], (key + 1) % 97 + 1)
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
    goes(&["AHV-Nr.@@", "Nr.@@ (AHV)"], |dice| {
        dice.checked("756", 13, super::super::detect::checksum::ean13)
    });
    kept(&["hotel.@@", "obj.@@", "foo.tel.@@", "v1.@@", "Kapitel Nr.5.@@"], |dice| {
        format!("0676/033{}", dice.digits(4))
    });
}

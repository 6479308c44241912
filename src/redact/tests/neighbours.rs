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

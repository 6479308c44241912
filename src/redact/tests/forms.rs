//! Forms that values are written in beside their usual one, and what looks like them: made from a fixed seed, with valid
//! check digits.

use super::super::detect::checksum;
use super::varied::{Dice, at_most, leaks};
use super::*;

/// Texts that were changed, of so many that must stay.
fn cuts(count: u64, make: impl Fn(&mut Dice) -> String) -> Vec<String> {
    let redactor = redactor();
    let cut = |seed| {
        let text = make(&mut Dice(seed));
        let out = redactor.line(&text);
        (out.as_str() != text).then(|| format!("{text} => {out}"))
    };
    (1..=count).filter_map(cut).collect()
}

/// A number of Austria, Germany, France, Switzerland, Great Britain or North America in one run.
fn joined_phone(dice: &mut Dice) -> String {
    match dice.below(6) {
        0 => format!("0664{}", dice.digits(7)),
        1 => format!("0171{}", dice.digits(7)),
        2 => format!("06{}", dice.digits(8)),
        3 => format!("078{}", dice.digits(7)),
        4 => format!("07911{}", dice.digits(6)),
        _ => format!("415{}{}", 200 + dice.below(800), dice.digits(4)),
    }
}

#[test]
fn telephone_numbers_in_one_run_beside_everyday_words() {
    let found = leaks(2000, |dice| {
        let number = joined_phone(dice);
        let text = dice.pick(&[
            "my number is {}",
            "My new number: {}",
            "text {}",
            "text me at {} please",
            "her number is {}",
            "Meine Nummer ist {}",
            "meine neue Nummer lautet {}.",
            "Unsere Nummer: {}",
            "Rückruf unter {}",
            "Du erreichst mich unter {}",
            "Kontakt: {}",
            "Signal: {}",
            "joignable au {}",
            "appelle-moi au {}",
            "mon numéro est le {}",
            "Contactez-nous au {}",
            "{\"contact\":\"{}\"}",
            "{\"callback\": \"{}\"}",
            "{\"contactNumber\": \"{}\"}",
            "contact_number={}",
        ]);
        (number.clone(), text.replace("{}", &number))
    });
    at_most(0, 2000, &found);
    let found = leaks(500, |dice| {
        let number = format!("43664{}", dice.digits(7));
        let text = dice.pick(&["{\"msisdn\":\"{}\"}", "MSISDN {}", "https://wa.me/{}"]);
        (number.clone(), text.replace("{}", &number))
    });
    at_most(0, 500, &found);
}

#[test]
fn numbers_of_other_things_stay() {
    let found = cuts(1000, |dice| {
        // None that a national number's check or a credit card's could fit.
        let number = format!("415{}{}", 200 + dice.below(800), dice.digits(4));
        let text = dice.pick(&[
            "my order number is {}",
            "Nummer {}",
            "number: {}",
            "die Nummer des Vorgangs: {}",
            "{\"number\":\"{}\"}",
            "contact_id={}",
            "X_RING = {}",
            "#define FILL_RING {}",
        ]);
        text.replace("{}", &number)
    });
    at_most(0, 1000, &found);
}

#[test]
fn telephone_numbers_beside_each_other() {
    check("+43-1-58858-22 0043 1 58858 22", "[PHONE_NUMBER] [PHONE_NUMBER]");
    check("+43 1 58801 405 2026", "[PHONE_NUMBER] 2026");
    check("+43 664 123 2026", "[PHONE_NUMBER]");
    let redactor = redactor();
    for seed in 1..=1000 {
        let dice = &mut Dice(seed);
        let one = |dice: &mut Dice| match dice.below(4) {
            0 => format!("0664 1{}", dice.digits(6)),
            1 => format!("0043 1 5{}", dice.digits(4)),
            2 => format!("030 9{}", dice.digits(5)),
            _ => format!("+43 664 1{}", dice.digits(6)),
        };
        let text = format!("{} {}", one(dice), one(dice));
        assert_eq!(shape(redactor.line(&text).as_str()), "[PHONE_NUMBER] [PHONE_NUMBER]", "{text}");
    }
}

#[test]
fn lists_and_dumps_stay() {
    for text in [
        "7f 45 4c 46 02 01 01 00 00 00",
        "00 01 02 03 04 05 06 07",
        "matrix 01 02 03 04 05\n06 07 08 09 10",
        "Ziehung: 03 17 22 38 44 49",
        "Lotto 06 12 23 34 41",
        "dpi 300 600 1200",
        "Unix perms 0644 0755 0600",
        "ids: 0100 0200 0300",
        "Zählerstand 012345 678",
        "Teilenummer 0815 4711 001",
        "12 31 04 000047 33 22",
        "rtt min/avg/max/mdev = 0.026/0.026/0.026/0.000 ms",
        "0 0 1 0 0 0 1 1 0 0 0 0 1",
        "Boston, MA  02110-1301, USA",
        "call(2147483648) or ring 4294967295",
    ] {
        stays(text);
    }
    let dumps = cuts(2000, |dice| {
        let bytes: Vec<String> = (0..8 + dice.below(9)).map(|_| format!("{:02x}", dice.below(256))).collect();
        // Digits alone may be anything.
        format!("{} 7f {}", dice.pick(&["", "0010:", "data"]), bytes.join(" "))
    });
    at_most(3, 2000, &dumps);
    let lists = cuts(1000, |dice| {
        let mut from = dice.below(9);
        let next = |dice: &mut Dice, from: &mut usize| {
            *from += 1 + dice.below(9);
            format!("{from:02}")
        };
        let count = 5 + dice.below(3);
        let list: Vec<String> = (0..count).map(|_| next(dice, &mut from)).collect();
        list.join(" ")
    });
    at_most(0, 1000, &lists);
    let modes = cuts(500, |dice| {
        let list: Vec<String> =
            (0..3 + dice.below(3)).map(|_| format!("0{}", 100 + dice.below(678))).collect();
        list.join(" ")
    });
    at_most(0, 500, &modes);
}

#[test]
fn french_numbers_in_pairs_go() {
    let found = leaks(1000, |dice| {
        let pairs = [(); 4].map(|()| format!("{:02}", dice.below(100)));
        let number = format!("0{} {}", 1 + dice.below(9), pairs.join(" "));
        (
            number.clone(),
            dice.pick(&["Écrivez, {} merci", "({})", "tél. {}", "01 {}x"])
                .replace("01 {}x", "{}")
                .replace("{}", &number),
        )
    });
    at_most(10, 1000, &found);
}

fn card(dice: &mut Dice) -> String {
    let head = dice.pick(&["4", "2221", "53", "6011"]);
    dice.checked(head, 16, checksum::luhn)
}

#[test]
fn cards_in_odd_groups() {
    let found = leaks(2000, |dice| {
        let card = card(dice);
        let four = [4, 4, 4, 4];
        let value = match dice.below(9) {
            0 => dice.grouped(&card, &four, &["  ", "   ", "_", "/"]),
            1 => dice.grouped(&card, &four, &["\t", ",", "\n", ", "]),
            2 => dice.grouped(&card, &[8, 8], &[" ", "-"]),
            3 => format!("id_{card}"),
            4 => format!("card{card}"),
            5 => format!("%B{card}^HUGHES/G^29121010000"),
            6 => card.clone(),
            _ => {
                let mut groups = dice.grouped(&card, &four, &[" "]);
                let at = [4, 9, 14][dice.below(3)];
                groups.replace_range(at..=at, "\n");
                groups
            }
        };
        let text = dice.pick(&["pay {} now", "Karte {}", "carte {}", "Visa: {}"]).replace("{}", &value);
        (value, text)
    });
    at_most(0, 2000, &found);
    check("Visa 4539 1488 0343\n6467", "Visa [CREDIT_CARD]");
    check("2026-11-27 4539_1488_0343_6467", "2026-11-27 [CREDIT_CARD]");
}

#[test]
fn rows_and_columns_of_four_digits_stay() {
    let found = cuts(1000, |dice| {
        let card = card(dice);
        let sign = dice.pick(&["\t", ",", "\n", ", "]);
        dice.grouped(&card, &[4, 4, 4, 4], &[sign])
    });
    at_most(0, 1000, &found);
    let found = cuts(1000, |dice| {
        let sign = dice.pick(&["  ", "_", "/", "\t", ","]);
        let (first, second) = (card(dice), card(dice));
        let first = dice.grouped(&first, &[4, 4, 4, 4], &[sign]);
        let second = dice.grouped(&second, &[4, 4, 4, 4], &[sign]);
        format!("pay {first}{}{second}", dice.pick(&[sign, "\n"]))
    });
    at_most(0, 1000, &found);
    // A number that fails the check.
    let found = cuts(1000, |dice| {
        let mut card = card(dice);
        let last = card.pop().and_then(|last| last.to_digit(10)).unwrap();
        card.push(char::from_digit((last + 1) % 10, 10).unwrap());
        format!("pay {} now", dice.grouped(&card, &[4, 4, 4, 4], &["  ", "_", "/"]))
    });
    at_most(0, 1000, &found);
}

/// The IBAN of a country for an account.
fn iban(country: &str, account: &str) -> String {
    (2..=98)
        .map(|check| format!("{country}{check:02}{account}"))
        .find(|iban| checksum::iban(iban.as_bytes()))
        .unwrap()
}

#[test]
fn accounts_whose_country_stands_apart() {
    let account = |dice: &mut Dice| match dice.below(3) {
        0 => ("AT", dice.digits(16)),
        1 => ("DE", dice.digits(18)),
        _ => ("BE", dice.digits(12)),
    };
    let spaced = |iban: &str| {
        let (head, account) = iban.split_at(4);
        let (country, check) = head.split_at(2);
        let chunks: Vec<_> = account.as_bytes().chunks(4).map(String::from_utf8_lossy).collect();
        format!("{country} {check} {}", chunks.join(" "))
    };
    let found = leaks(500, |dice| {
        let (country, digits) = account(dice);
        let value = spaced(&iban(country, &digits));
        (value.clone(), format!("bitte an {value}, danke"))
    });
    at_most(0, 500, &found);
    stays("bitte an AT 62 1904 3002 3457 3201");
    stays("bitte an at 61 1904 3002 3457 3201");
    // A sentence that passes the check.
    for account in ["PERSONENKAMENHEU", "12PERSONENKAMENX"] {
        let sentence = iban("AT", account);
        let check = sentence.get(2..4).unwrap();
        let words = account.replace("PERSONEN", " PERSONEN ").replace("KAMEN", "KAMEN ");
        stays(&format!("AT {check} {}", words.trim()));
    }
    check("to GB 82 WEST 1234 5698 7654 32 now", "to [IBAN_CODE] now");
    stays("In AT 61 Personen und in DE 12 weitere Personen im Jahr 2026");
}

#[test]
fn identity_numbers_in_other_forms() {
    let found = leaks(1500, |dice| {
        let value = match dice.below(3) {
            0 => {
                let number = dice.checked("756", 13, checksum::ean13);
                dice.grouped(&number, &[4, 4, 4, 1], &[" "])
            }
            1 => {
                let groups = format!("ab{}a", dice.digits(6));
                let lengths: &[usize] = if dice.below(2) == 0 { &[9] } else { &[2, 2, 2, 2, 1] };
                format!("NI {}", dice.grouped(&groups, lengths, &[" "]))
            }
            _ => format!("sécu {}{:02}{}", 185 + dice.below(10), 1 + dice.below(12), dice.digits(8)),
        };
        (value.clone(), format!("x {value} y"))
    });
    at_most(0, 1500, &found);
    let found = cuts(500, |dice| match dice.below(2) {
        0 => format!("stock ab {:02} {:02} {:02} a", dice.below(99), dice.below(99), dice.below(99)),
        _ => format!("part {}{:02}0{}", 195, 1 + dice.below(12), dice.digits(7)),
    });
    at_most(0, 500, &found);
    check("VAT DE 157 543 000", "VAT [DE_VAT_ID]");
    stays("VAT DE 157 543 001");
    stays("we sold DE 157 543 000");
}

#[test]
fn addresses_of_machines_in_other_forms() {
    let found = leaks(1000, |dice| {
        let plain = format!("a{}b", dice.symbols("0123456789", 10));
        if dice.below(2) == 0 {
            let value = dice.grouped(&plain, &[4, 4, 4], &["."]);
            return (value.clone(), format!("interface {value} is up"));
        }
        let name = dice.pick(&["mac_address: ", "MAC ", "MAC address: ", "bssid=", "hwaddr "]);
        (plain.clone(), format!("{name}{plain}"))
    });
    at_most(0, 1000, &found);
    for text in [
        "on my Mac, commit a0b1c2d3e4f5",
        "a0b1c2d3e4f5",
        "1234.5678.9012",
        "a1b2.c3d4.e5f6.a1b2",
        "ff:ff:ff:ff:ff:ff and FF-FF-FF-FF-FF-FF, 00:00:00:00:00:00",
        "allow 10.0.0.0/8, 192.168.0.0/16, 203.0.113.0/24 and 2001:db8::/32",
        "mDNS on 224.0.0.251",
        "fingerprint ab:cd:ef:01:23:45:67:89",
    ] {
        stays(text);
    }
    check("from 203.0.113.7/24, 8.8.8.8/32", "from [IP_ADDRESS]/24, [IP_ADDRESS]/32");
    check("http://2001:6377:85eb:bfac:770f:9414:4423:11ac:8080/x", "http://[IP_ADDRESS]:8080/x");
    stays("ping ff02::1 and ff02::1:ff00:1234");
    check("inet 10.0.0.7/24 brd 10.0.0.255 scope", "inet [IP_ADDRESS]/24 brd 10.0.0.255 scope");
    check("10.0.0.16/30 and 2001:db8::1/64", "[IP_ADDRESS]/30 and [IP_ADDRESS]/64");
}

#[test]
fn addresses_spelled_in_words() {
    let found = leaks(1500, |dice| {
        let (name, host) = (dice.symbols("abcdefghklmnrstu", 7), dice.symbols("bcdfgklmnprstvw", 6));
        let value = match dice.below(8) {
            0 => format!("{name} (at) {host} dot io"),
            1 => format!("{name} AT {host} DOT de"),
            2 => format!("{name} [ät] {host} punkt at"),
            3 => format!("x{name} punkt {name} [ät] {host} punkt ac punkt at"),
            4 => format!("{name} arobase {host} point fr"),
            5 => format!("{name}.b at {host} dot com"),
            6 => format!("{name}@{host} dot co dot uk"),
            _ => format!("mail to {name} at {host} dot com"),
        };
        (value.clone(), format!("Hello, {value} is mine"))
    });
    at_most(0, 1500, &found);
    for text in [
        "look at kestrel dot io",
        "meet me at kestrel dot io, or mail",
        "write to us, or look at kestrel dot com",
        "look at that point in time",
        "send b.2 at that point in time",
        "connect the blue dot at the top dot in red",
        "au point de vue, at this point de",
        "send it to anna at kestrel dot something",
        "der Punkt at Punkt de",
    ] {
        stays(text);
    }
    let redactor = redactor();
    let same = |a: &str, b: &str| assert_eq!(redactor.text(a).as_str(), redactor.text(b).as_str());
    same("jane@kestrel.io", "jane AT kestrel DOT io");
    same("write to a.b@kestrel.io, c@d.de", "write to a dot b (at) kestrel dot io, c [ät] d punkt de");
}

#[test]
fn a_disguised_number_on_an_invoice_goes() {
    check("put this on the invoice: 0171=20=2F=203144114", "put this on the invoice: [PHONE_NUMBER]");
    check("steht auf der Rechnung: 0171 / 3144114", "steht auf der Rechnung: [PHONE_NUMBER]");
    stays("invoice 0171 / 3144114");
}

#[test]
fn characters_that_stand_alone_in_groups() {
    let wide = |value: &str| value.chars().map(String::from).collect::<Vec<_>>().join(" ");
    let found = leaks(600, |dice| {
        let (value, label) = match dice.below(3) {
            0 => (dice.checked("4", 16, checksum::luhn), "paid with "),
            1 => (dice.checked("5", 12, checksum::verhoeff), "Aadhaar no. "),
            _ => (
                format!("4{}4{}", dice.below(10), 1_000_000 + dice.below(8_000_000)).replace("00", "11"),
                "SSN ",
            ),
        };
        let lengths: &[usize] = match value.len() {
            16 => &[4, 4, 4, 4],
            12 => &[4, 4, 4],
            _ => &[3, 2, 4],
        };
        let value = value.get(..lengths.iter().sum()).unwrap_or(&value).to_owned();
        let value = wide(&dice.grouped(&value, lengths, &[" "]));
        (value.clone(), format!("{label}{value} ok"))
    });
    at_most(0, 600, &found);
    for text in [
        "a b c   d e f   g h i   j k l m n o",
        "x = 1 2 3   4 5 6   7 8 9   1 0 1   1 2",
        "1 0 0   0 1 0   0 0 1",
    ] {
        stays(text);
    }
}

#[test]
fn emphasis_of_one_star_within_a_value() {
    let found = leaks(400, |dice| {
        let card = dice.checked("4", 16, checksum::luhn);
        let card = dice.grouped(&card, &[4, 4, 4, 4], &["", " ", "-"]);
        let middle = 3 + dice.below(card.len() - 6);
        let (head, tail) = card.split_at(middle);
        let value = match dice.below(3) {
            0 => format!("{head}*{tail}*"),
            1 => format!("*{head}*{tail}"),
            _ => format!("{head}**{tail}**"),
        };
        (value.clone(), format!("my card {value} was charged"))
    });
    at_most(0, 400, &found);
    for text in ["x = 2*3*4, y=*p*q", "4111*1111*1111*1111", "*Note* 3 items, *12* 4 x", "1234*5678*"] {
        stays(text);
    }
}

#[test]
fn national_and_telephone_numbers_with_a_line_broken_in_them() {
    let found = leaks(800, |dice| {
        let (value, label) = match dice.below(4) {
            0 => {
                let number = dice.checked("5", 12, checksum::verhoeff);
                (dice.grouped(&number, &[4, 4, 4], &["", " ", "-"]), "my Aadhaar: ")
            }
            1 => (
                format!("4{}-{}-{}", 10 + dice.below(80), 11 + dice.below(80), 1111 + dice.below(8000)),
                "ssn=",
            ),
            2 => {
                let nhs = |digits: &[u8]| {
                    checksum::weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
                };
                let number = dice.checked("4", 10, nhs);
                (dice.grouped(&number, &[3, 3, 4], &["", " ", "-"]), "her NHS number is ")
            }
            _ => (format!("0176-9{}", dice.digits(7)), "Tel.: "),
        };
        let (head, tail) = value.split_at(value.len() / 2);
        let broken = format!("{}\n{tail}", head.trim_end());
        (broken.clone(), format!("{label}{broken} ok"))
    });
    at_most(0, 800, &found);
    check("Tel. 0664 1234567\n12 Stück", "Tel. [PHONE_NUMBER]\n12 Stück");
    check("SSN 219-09-9999\n12 foo", "SSN [US_SSN]\n12 foo");
    check("NHS number 943 476 5919\n12 beds", "NHS number [UK_NHS]\n12 beds");
    stays("sizes: 693-3\n2-4157");
    stays("Tel. 0664\n12 Stück");
}

/// At any place and before an indented line too.
#[test]
fn every_national_number_with_a_line_broken_anywhere_in_it() {
    for (label, value, after) in [
        ("NI number", "MN363038B", 2),
        ("National Insurance: ", "AB 12 34 56 C", 2),
        ("Rentenversicherungsnummer", "10050549I215", 2),
        ("RVNR: ", "10 050549 I 215", 2),
        ("Personalausweis", "L01X00T471", 2),
        ("Personalausweis", "YYC6JG6VP7", 2),
        ("SVNR", "1237010180", 2),
        ("SV-Nr.", "1237 010180", 2),
        ("ITIN", "912-70-1234", 2),
        ("UID", "ATU13585627", 2),
        ("UID", "CHE-116.281.710", 2),
        ("Steuer-ID", "86095742719", 2),
        ("USt-IdNr.", "DE136695976", 2),
        ("SSN", "219-09-9999", 2),
        ("NHS number", "943 476 5919", 2),
        ("AHV", "756.9217.0769.85", 2),
        ("IBAN", "DE89 3704 0044 0532 0130 00", 2),
        ("card", "4111 1111 1111 1111", 2),
    ] {
        let entity = redactor().text(&format!("{label} {value} ok"));
        assert!(!entity.as_str().contains(value), "{label} {value} is a number");
        for cut in after..value.len() - 1 {
            let (head, tail) = value.split_at(cut);
            for feed in ["\n", "\r\n", "\n  ", "\n    "] {
                let text = format!("Daten\n{label} {head}{feed}{tail} ok");
                let out = redactor().text(&text);
                let left = out.as_str().split('[').next().unwrap_or_default();
                assert!(out.as_str().ends_with("] ok") && !left.contains(head), "{text:?} => {out}");
            }
        }
    }
    for text in [
        "see VERSION 12\nA list of things",
        "took 12345\nI have 2 of them",
        "a@b.T\nISBN 9785745282867",
        "ITEM 47119\nB in stock\nUID 5",
        "  total 12345\n  count 67890\n",
        "TOTAL 2024 11\n    22 rows\n    33 rows",
    ] {
        stays(text);
    }
}

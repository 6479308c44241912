//! Personal data as people write it, made so that its check digits hold. The checks are written anew here: a fault in
//! the detectors' own would not show otherwise.

use super::dice::{Dice, LOWER, grouped};

pub(crate) const ENTITIES: &[&str] = &[
    "EMAIL_ADDRESS",
    "PHONE_NUMBER",
    "CREDIT_CARD",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "CRYPTO",
    "US_SSN",
    "US_ITIN",
    "UK_NINO",
    "UK_NHS",
    "DE_TAX_ID",
    "DE_SOCIAL_SECURITY",
    "DE_ID_CARD",
    "AT_SVNR",
    "CH_AHV",
    "FR_NIR",
    "IN_AADHAAR",
    "DE_VAT_ID",
    "AT_VAT_ID",
    "CH_UID",
];

pub(crate) fn value(dice: &mut Dice, entity: &str) -> String {
    match entity {
        "EMAIL_ADDRESS" => email(dice),
        "PHONE_NUMBER" => phone(dice),
        "CREDIT_CARD" => card(dice),
        "IBAN_CODE" => iban(dice),
        "IP_ADDRESS" => address(dice),
        "MAC_ADDRESS" => {
            let pairs: Vec<String> = (0..6).map(|_| dice.symbols("0123456789abcdef", 2)).collect();
            let text = pairs.join(dice.pick(&[":", "-", ":"]));
            if dice.one_in(3) { text.to_uppercase() } else { text }
        }
        "CRYPTO" => crypto(dice),
        _ => number(dice, entity),
    }
}

fn email(dice: &mut Dice) -> String {
    let first =
        dice.pick(&["lena", "Marc", "o.hara", "j", "thérèse", "info.buero", "maximilian", "priya", "x_y"]);
    let last = dice.symbols(LOWER, dice.clone().between(2, 9));
    let join = dice.pick(&[".", "_", "-", "", "+"]);
    let digits = dice.digits(dice.clone().below(3));
    let host = dice.pick(&[
        "brauhaus-linz.at",
        "mail.zkb-verein.ch",
        "posteo.de",
        "orange.fr",
        "nhs.net",
        "acme-corp.com",
        "sub.dept.univ-lyon.fr",
        "startup.io",
        "example.museum",
        "tata.co.in",
        "müller-söhne.de",
        "xn--mller-kva.de",
        "gmail.com",
        "GMX.NET",
        "firma.berlin",
        "a.b-c.technology",
    ]);
    format!("{first}{join}{last}{digits}@{host}")
}

fn phone(dice: &mut Dice) -> String {
    let d = |dice: &mut Dice, n| dice.digits(n);
    match dice.below(22) {
        0 => format!("+43 {} {} {}", dice.pick(&["660", "676", "699"]), d(dice, 3), d(dice, 4)),
        1 => format!("+43{}{}", dice.pick(&["664", "650", "1"]), d(dice, 7)),
        2 => format!("+43 (0) 732 {}", d(dice, 6)),
        3 => format!("0{}/{}", dice.pick(&["676", "664", "5572", "732"]), dice.between(1_000_000, 9_999_999)),
        4 => format!("0043 316 {}", dice.between(100_000, 999_999)),
        5 => {
            format!("+49 {} {}", dice.pick(&["151", "171", "89", "221"]), dice.between(1_000_000, 99_999_999))
        }
        6 => format!("0{}-{}", dice.pick(&["30", "89", "40", "221"]), dice.between(1_000_000, 9_999_999)),
        7 => format!("({}) {}", dice.pick(&["030", "089", "0221"]), dice.between(100_000, 99_999_999)),
        8 => format!("+49-{}-{}-{}", dice.pick(&["69", "711"]), d(dice, 3), d(dice, 4)),
        9 => format!(
            "+41 {} {} {} {}",
            dice.pick(&["79", "44", "31"]),
            dice.between(200, 999),
            d(dice, 2),
            d(dice, 2)
        ),
        10 => format!(
            "0{} {} {} {}",
            dice.pick(&["79", "44", "31"]),
            dice.between(200, 999),
            d(dice, 2),
            d(dice, 2)
        ),
        11 => {
            format!("+33 {} {} {} {} {}", dice.between(1, 7), d(dice, 2), d(dice, 2), d(dice, 2), d(dice, 2))
        }
        12 => {
            let s = dice.pick(&[" ", ".", "-"]);
            format!(
                "0{}{s}{}{s}{}{s}{}{s}{}",
                dice.between(1, 7),
                d(dice, 2),
                d(dice, 2),
                d(dice, 2),
                d(dice, 2)
            )
        }
        13 => format!("+44 {} {}", dice.pick(&["7700", "7911"]), d(dice, 6)),
        14 => format!("+44 (0)20 {} {}", dice.between(3000, 8999), d(dice, 4)),
        15 => format!("0{} {} {}", dice.pick(&["161", "121", "131"]), dice.between(200, 999), d(dice, 4)),
        16 => format!("07{} {}", dice.between(400, 999), d(dice, 6)),
        17 => format!("({}) {}-{}", dice.between(201, 989), dice.between(200, 999), d(dice, 4)),
        18 => {
            let s = dice.pick(&["-", ".", " "]);
            format!("{}{s}{}{s}{}", dice.between(201, 989), dice.between(200, 999), d(dice, 4))
        }
        19 => format!("+1 {}-{}-{}", dice.between(201, 989), dice.between(200, 999), d(dice, 4)),
        20 => format!("+91 {}{} {}", dice.between(6, 9), d(dice, 4), d(dice, 5)),
        _ => format!(
            "+{}",
            dice.filled(dice.clone().pick(&[
                "34 6{d2} {d3} {d3}",
                "39 3{d2} {d7}",
                "3161{d7}",
                "4915{d9}",
                "1415{d7}"
            ]))
            .trim()
        ),
    }
}

fn card(dice: &mut Dice) -> String {
    let (head, count, groups): (&str, usize, &[usize]) = match dice.below(9) {
        0 => ("4", 16, &[4, 4, 4, 4]),
        1 => ("51", 16, &[4, 4, 4, 4]),
        2 => ("2345", 16, &[4, 4, 4, 4]),
        3 => ("34", 15, &[4, 6, 5]),
        4 => ("37", 15, &[4, 6, 5]),
        5 => ("36", 14, &[4, 6, 4]),
        6 => ("3005", 14, &[4, 6, 4]),
        7 => ("6011", 16, &[4, 4, 4, 4]),
        _ => ("3530", 16, &[4, 4, 4, 4]),
    };
    let number = dice.checked(head, count, luhn);
    if dice.one_in(3) { number } else { grouped(&number, groups, dice.pick(&[" ", "-", " "])) }
}

fn iban(dice: &mut Dice) -> String {
    let (country, body) = match dice.below(9) {
        0 => ("AT", dice.digits(16)),
        1 => ("DE", dice.digits(18)),
        2 => ("CH", dice.digits(17)),
        3 => ("FR", dice.filled("{d10}{u11}{d2}")),
        4 => ("GB", dice.filled("{L4}{d14}").to_uppercase()),
        5 => ("NL", dice.filled("{L4}{d10}").to_uppercase()),
        6 => ("ES", dice.digits(20)),
        7 => ("IT", dice.filled("{L1}{d10}{u12}").to_uppercase()),
        _ => ("LI", dice.filled("{d5}{u12}")),
    };
    let rest = format!("{body}{country}00").chars().fold(0_u32, |rest, c| {
        let worth = c.to_digit(36).unwrap_or(0);
        if worth < 10 { (rest * 10 + worth) % 97 } else { (rest * 100 + worth) % 97 }
    });
    let plain = format!("{country}{:02}{body}", 98 - rest);
    match dice.below(4) {
        0 => plain,
        1 => plain.to_lowercase(),
        _ => {
            let chars: Vec<char> = plain.chars().collect();
            let groups: Vec<String> = chars.chunks(4).map(|four| four.iter().collect()).collect();
            groups.join(" ")
        }
    }
}

fn address(dice: &mut Dice) -> String {
    if dice.one_in(3) {
        return match dice.below(4) {
            0 => format!("2001:db8:{}::{}", dice.filled("{h4}"), dice.filled("{h3}")),
            1 => dice.filled("2a02:8{h3}:{h4}:{h4}:{h4}:{h4}:{h4}:{h4}"),
            2 => dice.filled("fe80::{h4}:{h4}:fe{h2}:{h4}"),
            _ => dice.filled("2a01:4f8:{h3}:{h4}::1"),
        };
    }
    let (a, b) = match dice.below(4) {
        0 => (10, dice.below(256)),
        1 => (192, 168),
        _ => (dice.between(11, 223), dice.below(256)),
    };
    let a = if a == 127 { 128 } else { a };
    format!("{a}.{b}.{}.{}", dice.below(256), dice.between(1, 254))
}

fn crypto(dice: &mut Dice) -> String {
    use sha2::{Digest, Sha256};
    const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    const BECH32: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    match dice.below(3) {
        0 => {
            let version = if dice.one_in(2) { 0_u8 } else { 5 };
            let mut bytes = vec![version];
            bytes.extend((0..20).map(|_| u8::try_from(dice.below(256)).unwrap_or(0)));
            let check = Sha256::digest(Sha256::digest(&bytes));
            bytes.extend(check.iter().take(4));
            let zeros = bytes.iter().take_while(|b| **b == 0).count();
            let mut out = Vec::new();
            while bytes.iter().any(|b| *b != 0) {
                let mut rest = 0_u32;
                for byte in &mut bytes {
                    let value = rest * 256 + u32::from(*byte);
                    *byte = u8::try_from(value / 58).unwrap_or(0);
                    rest = value % 58;
                }
                out.push(BASE58.get(rest as usize).copied().unwrap_or(b'1'));
            }
            out.extend(std::iter::repeat_n(b'1', zeros));
            out.iter().rev().map(|b| char::from(*b)).collect()
        }
        1 => {
            let mut data: Vec<u32> = vec![0];
            data.extend((0..32).map(|_| u32::try_from(dice.below(32)).unwrap_or(0)));
            let polymod = |values: &[u32]| {
                values.iter().fold(1_u32, |state, value| {
                    let top = state >> 25;
                    let next = ((state & 0x1FF_FFFF) << 5) ^ value;
                    [0x3B6A_57B2, 0x2650_8E6D, 0x1EA1_19FA, 0x3D42_33DD, 0x2A14_62B3_u32]
                        .iter()
                        .enumerate()
                        .fold(
                            next,
                            |state, (bit, generator)| {
                                if top >> bit & 1 == 1 { state ^ generator } else { state }
                            },
                        )
                })
            };
            let mut all = vec![3, 3, 0, 2, 3];
            all.extend(&data);
            all.extend([0; 6]);
            let check = polymod(&all) ^ 1;
            data.extend((0..6).map(|i| check >> (5 * (5 - i)) & 31));
            let body: String =
                data.iter().map(|v| char::from(*BECH32.get(*v as usize).unwrap_or(&b'q'))).collect();
            format!("bc1{body}")
        }
        _ => dice.filled("0x{h40}"),
    }
}

fn number(dice: &mut Dice, entity: &str) -> String {
    match entity {
        "US_SSN" => {
            let area = loop {
                let area = dice.between(1, 899);
                if area != 666 {
                    break area;
                }
            };
            let text = format!("{area:03}{:02}{:04}", dice.between(1, 99), dice.between(1, 9999));
            grouped(&text, &[3, 2, 4], dice.pick(&["-", "-", " ", ""]))
        }
        "US_ITIN" => {
            let text = format!(
                "9{}{}{}",
                dice.digits(2),
                dice.pick(&["54", "72", "88", "91", "97"]),
                dice.digits(4)
            );
            grouped(&text, &[3, 2, 4], dice.pick(&["-", "-", ""]))
        }
        "UK_NINO" => {
            let text = format!(
                "{}{}{}",
                dice.pick(&["AA", "CE", "JK", "SM", "YT", "LP"]),
                dice.digits(6),
                dice.pick(&["A", "B", "C", "D"])
            );
            if dice.one_in(2) { text } else { grouped(&text, &[2, 2, 2, 2, 1], " ") }
        }
        "UK_NHS" => {
            let text = dice.checked(dice.clone().pick(&["4", "6", "7"]), 10, |d| {
                weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
            });
            grouped(&text, &[3, 3, 4], dice.pick(&[" ", "-", ""]))
        }
        "DE_TAX_ID" => {
            let head = dice.between(1, 9).to_string();
            let text = dice.checked(&head, 11, |d| {
                let counts: Vec<usize> =
                    (0..10).map(|x| d.iter().take(10).filter(|y| **y == x).count()).collect();
                counts.iter().filter(|n| **n > 1).count() == 1
                    && counts.iter().all(|n| *n < 4)
                    && iso_11_10(d)
            });
            if dice.one_in(2) { text } else { grouped(&text, &[2, 3, 3, 3], " ") }
        }
        "DE_SOCIAL_SECURITY" => {
            let letter = dice.symbols("ABDEFGHKLMNPRSTW", 1);
            let head = format!(
                "{:02}{:02}{:02}{}",
                dice.between(10, 89),
                dice.between(1, 28),
                dice.between(1, 12),
                dice.digits(2)
            );
            let serial = format!("{:02}", dice.below(100));
            let ordinal = letter.bytes().next().map_or(0, |b| b - b'A' + 1);
            let digits: Vec<u32> =
                format!("{head}{ordinal:02}{serial}").chars().filter_map(|c| c.to_digit(10)).collect();
            let sum: u32 = digits
                .iter()
                .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
                .map(|(d, w)| d * w)
                .map(|p| p / 10 + p % 10)
                .sum();
            let text = format!("{head}{letter}{serial}{}", sum % 10);
            if dice.one_in(3) { grouped(&text, &[2, 6, 1, 3], " ") } else { text }
        }
        "DE_ID_CARD" => {
            let text = format!(
                "{}{}",
                dice.pick(&["L", "T", "C", "P", "G"]),
                dice.symbols("0123456789CFGHJKLMNPRTVWXYZ", 7)
            );
            let text = format!("{text}{}", dice.digits(1));
            let sum: u32 = text
                .chars()
                .zip([7, 3, 1].iter().cycle())
                .map(|(c, w)| c.to_digit(36).unwrap_or(0) * w)
                .sum();
            if dice.one_in(2) { text } else { format!("{text}{}", sum % 10) }
        }
        "AT_SVNR" => loop {
            let birthday =
                format!("{:02}{:02}{:02}", dice.between(1, 28), dice.between(1, 12), dice.below(100));
            let serial = dice.between(100, 999).to_string();
            let digits: Vec<u32> =
                format!("{serial}0{birthday}").chars().filter_map(|c| c.to_digit(10)).collect();
            let sum = weighted(&digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11;
            if sum < 10 {
                let text = format!("{serial}{sum}{birthday}");
                return match dice.below(4) {
                    0 => text,
                    1 => grouped(&text, &[4, 2, 2, 2], " "),
                    _ => grouped(&text, &[4, 6], dice.pick(&[" ", " ", "-", "/"])),
                };
            }
        },
        "CH_AHV" => {
            let text = dice.checked("756", 13, |d| {
                weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
            });
            grouped(&text, &[3, 4, 4, 2], dice.pick(&[".", ".", " ", ""]))
        }
        "FR_NIR" => {
            let body = format!(
                "{}{:02}{:02}{:02}{:03}{:03}",
                dice.between(1, 2),
                dice.below(100),
                dice.between(1, 12),
                dice.between(1, 95),
                dice.between(1, 999),
                dice.between(1, 999)
            );
            let key = 97 - body.parse::<u64>().unwrap_or(0) % 97;
            let text = format!("{body}{key:02}");
            match dice.below(3) {
                0 => text,
                1 => grouped(&text, &[13, 2], " "),
                _ => grouped(&text, &[1, 2, 2, 2, 3, 3, 2], " "),
            }
        }
        "IN_AADHAAR" => {
            let head = dice.between(2, 9).to_string();
            let text = dice.checked(&head, 12, verhoeff);
            grouped(&text, &[4, 4, 4], dice.pick(&[" ", " ", "-", ""]))
        }
        "DE_VAT_ID" => {
            let head = dice.between(1, 9).to_string();
            let text = dice.checked(&head, 9, iso_11_10);
            format!("DE{}{text}", dice.pick(&["", "", " "]))
        }
        "AT_VAT_ID" => {
            let text = dice.checked("", 8, |d| {
                let sum: u32 = d
                    .iter()
                    .take(7)
                    .enumerate()
                    .map(|(i, d)| if i % 2 == 0 { *d } else { 2 * d / 10 + 2 * d % 10 })
                    .sum();
                d.last().is_some_and(|check| (10 - (sum + 4) % 10) % 10 == *check)
            });
            format!("ATU{text}")
        }
        _ => {
            let text = dice.checked("1", 9, |d| {
                let check = (11 - weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4]) % 11) % 11;
                d.last() == Some(&check)
            });
            format!("CHE-{}{}", grouped(&text, &[3, 3, 3], "."), dice.pick(&["", " MWST", ""]))
                .trim_end_matches(" MWST")
                .to_owned()
        }
    }
}

fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| d * w).sum()
}

fn luhn(digits: &[u32]) -> bool {
    let worth =
        |(place, digit): (usize, &u32)| if place % 2 == 0 { *digit } else { 2 * digit / 10 + 2 * digit % 10 };
    digits.iter().rev().enumerate().map(worth).sum::<u32>().is_multiple_of(10)
}

fn iso_11_10(digits: &[u32]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        2 * (if sum == 0 { 10 } else { sum }) % 11
    });
    (11 - product) % 10 == *check
}

/// By the table of the dihedral group, written out as composition: reflections reverse.
fn verhoeff(digits: &[u32]) -> bool {
    let permute = |digit: u32, times: usize| {
        (0..times).fold(digit, |d, _| [1, 5, 7, 6, 2, 8, 3, 0, 9, 4].get(d as usize).copied().unwrap_or(0))
    };
    let times = |a: u32, b: u32| {
        let (turn, other) = (a % 5, b % 5);
        match (a / 5, b / 5) {
            (0, 0) => (turn + other) % 5,
            (0, _) => (turn + other) % 5 + 5,
            (_, 0) => (turn + 5 - other) % 5 + 5,
            _ => (turn + 5 - other) % 5,
        }
    };
    digits.iter().rev().enumerate().fold(0, |state, (place, digit)| times(state, permute(*digit, place % 8)))
        == 0
}

/// How people announce a value; `{}` is where it stands.
pub(crate) fn wordings(entity: &str) -> &'static [&'static str] {
    match entity {
        "EMAIL_ADDRESS" => &[
            "<{}>",
            "E-Mail: {}",
            "\"{}\"",
            "contact {} asap",
            "you can reach me at {}",
            "Bitte an {} weiterleiten",
            "réponds-moi sur {} stp",
            "From: Jo <{}>",
            "invite {} to the workspace",
            "Mein Konto läuft auf {}, falls das hilft",
            "mailto:{}",
            "login={}",
            "CC {}; BCC nobody",
            "{} hat sich beschwert",
            "user {} not found",
            "l'adresse {} est invalide",
            "note://{}",
        ],
        "PHONE_NUMBER" => &[
            "Handy {}",
            "call me: {}",
            "Rückruf bitte an {}",
            "mon portable : {}",
            "phone={}",
            "☎ {}",
            "{} (mobile)",
            "Telefonnummer {}",
            "give me a ring on {}",
            "Du erreichst mich unter {}",
            "joignable au {} après 18 h",
            "Tel. {}",
            "Mobil: {}",
            "tél : {}",
            "text {} when you arrive",
            "Notfallkontakt {}",
            "his number is {}",
            "WhatsApp {}",
            "Fax {}, Büro",
            "contact: {}",
        ],
        "CREDIT_CARD" => &[
            "Visa {}",
            "CC: {}",
            "Kreditkarte {}, CVC 123",
            "numéro de carte : {}",
            "please charge {} for the order",
            "Abbuchung von Karte {}",
            "ma carte {} a été refusée",
            "PAN {}",
            "card no. {} exp 09/29",
            "Zahlung mit {} fehlgeschlagen",
            "the number on the front reads {}",
            "{}",
            "paiement par {} accepté",
        ],
        "IBAN_CODE" => &[
            "transfer it to {}",
            "Überweise bitte auf {}",
            "virement sur {}",
            "IBAN: {}",
            "Kontoverbindung {}, danke",
            "account {}",
            "{}",
        ],
        "IP_ADDRESS" => &[
            "IP {}",
            "ping {}",
            "from {} port 22",
            "http://{}/x",
            "[{}]",
            "ssh into {}",
            "Zugriff von {} gesperrt",
            "requête depuis {}",
            "client={}",
            "the box at {} is down",
            "Host {} antwortet nicht",
            "{} - - \"GET /\"",
            "peer {} reset the connection",
        ],
        "MAC_ADDRESS" => &["hwaddr {}", "Gerät {} im WLAN", "l'interface {}", "device {} joined", "{}"],
        "CRYPTO" => &["donate: {}", "Wallet {}", "envoie les fonds à {}", "paid out to {}", "{}"],
        "US_SSN" => &[
            "Social Security no. is {}",
            "SSN on file: {}",
            "his social security number: {}",
            "taxpayer SSN={}",
            "her social is {}",
            "SSN: {}",
            "Social Security Number {}",
            "my ssn, {}, was leaked",
            "social security # {}",
            "applicant's SSN ({})",
            "last known SSN {}",
        ],
        "US_ITIN" => &[
            "ITIN: {}",
            "tax identification number {}",
            "my TIN is {}",
            "ITIN {}",
            "my ITIN is {}",
            "taxpayer id {}",
            "Individual Taxpayer Identification Number: {}",
            "IRS issued ITIN {}",
        ],
        "UK_NINO" => &[
            "NINO: {}",
            "Nat. Ins. {}",
            "NI no. {}",
            "NI number {}",
            "National Insurance no {}",
            "nino={}",
            "my NINO's {}",
            "{}",
        ],
        "UK_NHS" => &[
            "my NHS ID is {}",
            "NHS: {}",
            "GP record, NHS number: {}",
            "NHS number {}",
            "patient's NHS no: {}",
            "nhs={}",
            "look up NHS {} please",
            "the NHS number on the letter is {}",
            "patient {} was discharged",
        ],
        "DE_TAX_ID" => &[
            "Steuernummer/IdNr {}",
            "Identifikationsnummer {}",
            "TIN {}",
            "Steuer-ID {}",
            "meine Steueridentifikationsnummer ist {}",
            "steuerliche IdNr {}",
            "tax ID (Germany): {}",
            "IdNr.: {}",
            "numéro fiscal allemand {}",
            "{}",
        ],
        "DE_SOCIAL_SECURITY" => {
            &["Rentenversicherungsnummer {}", "RVNR {}", "SV-Nummer: {}", "Versicherungsnummer {}", "{}"]
        }
        "DE_ID_CARD" => &[
            "Die Nummer meines Ausweises ist {}",
            "Personalausweisnummer: {}",
            "ID card number {}",
            "Passnummer {}",
            "n° de passeport {}",
            "identity card no {}",
            "Personalausweis {}",
            "Ausweisnummer: {}",
            "mein Perso hat die Nummer {}",
            "German ID card {}",
            "Reisepass Nr. {}",
            "passport number {}",
            "carte d'identité allemande {}",
            "Ausweis-Nr. {} gültig bis 2031",
        ],
        "AT_SVNR" => &[
            "Vers.Nr. {}",
            "österr. Sozialversicherungsnr. {}",
            "Sozialversicherungs-Nr.: {}",
            "social security no. (AT) {}",
            "SVNR lautet {}",
            "SVNR {}",
            "Sozialversicherungsnummer {}",
            "Meine SV-Nummer lautet {}",
            "e-card Nr. {}",
            "versichert unter der Nummer {}",
            "Austrian social insurance number {}",
            "SV-Nr.: {}",
            "numéro de sécurité sociale autrichien {}",
        ],
        "CH_AHV" => {
            &["AHV-Nr. {}", "AHV {}", "numéro AVS {}", "my AHV number is {}", "Sozialversicherung: {}", "{}"]
        }
        "FR_NIR" => &[
            "sécurité sociale {}",
            "n° SS {}",
            "numéro de sécu {}",
            "NIR {}",
            "n° de sécurité sociale : {}",
            "French social security {}",
            "Sozialversicherungsnummer (FR) {}",
            "{}",
        ],
        "IN_AADHAAR" => &[
            "Aadhaar card number {}",
            "UID: {}",
            "her aadhaar is {}",
            "आधार {}",
            "Aadhaar {}",
            "my aadhar number: {}",
            "UIDAI no {}",
            "linked with Aadhaar card {}",
            "Aadhaar no. is {}",
            "aadhaar={}",
        ],
        "DE_VAT_ID" | "AT_VAT_ID" => {
            &["USt-IdNr. {}", "UID-Nummer {}", "VAT ID: {}", "numéro de TVA {}", "{}"]
        }
        _ => &["UID {}", "Firmennummer {}", "company id {}", "IDE {}", "{}"],
    }
}

/// The name that such a value has in JSON, a table or code.
pub(crate) fn keys(entity: &str) -> &'static [&'static str] {
    match entity {
        "EMAIL_ADDRESS" => &["email", "contact_email", "to", "benutzer", "courriel"],
        "PHONE_NUMBER" => &["phone", "telefon", "mobile", "tel", "contactPhone"],
        "CREDIT_CARD" => &["card_number", "pan", "cardNumber", "karte"],
        "IBAN_CODE" => &["iban", "account", "konto"],
        "IP_ADDRESS" => &["ip", "remote_addr", "clientIp", "host"],
        "MAC_ADDRESS" => &["mac", "hwaddr"],
        "CRYPTO" => &["wallet", "btc_address"],
        "US_SSN" => &["ssn", "social_security_number", "socialSecurityNumber"],
        "US_ITIN" => &["itin", "taxpayer_id"],
        "UK_NINO" => &["nino", "national_insurance"],
        "UK_NHS" => &["nhs_number", "nhsNumber", "patient_nhs"],
        "DE_TAX_ID" => &["steuer_id", "idnr", "tax_id"],
        "DE_SOCIAL_SECURITY" => &["rvnr", "sv_nummer"],
        "DE_ID_CARD" => &["ausweisnummer", "id_card", "passport_number", "ausweisNr"],
        "AT_SVNR" => &["svnr", "sv_nummer", "sozialversicherungsnummer"],
        "CH_AHV" => &["ahv", "ahv_nr", "avs"],
        "FR_NIR" => &["nir", "numero_secu"],
        "IN_AADHAAR" => &["aadhaar", "aadhaar_number", "aadhaarNo"],
        _ => &["vat_id", "uid", "ust_id"],
    }
}

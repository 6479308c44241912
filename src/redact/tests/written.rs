//! The same number as people write it elsewhere: with other signs, in columns, in brackets; and what is written like one and
//! is none.

use super::super::detect::checksum;
use super::varied::Dice;
use super::*;

/// Of each form exactly the value goes, which stands for `@@`.
#[track_caller]
fn goes(entity: &str, forms: &[&str], make: impl Fn(&mut Dice) -> String) {
    for form in forms {
        for seed in 1..=60 {
            let value = make(&mut Dice(seed));
            check(&form.replace("@@", &value), &form.replace("@@", &format!("[{entity}]")));
        }
    }
}

/// A British number of insurance, with what `signs` has behind its letters, between its pairs and before its last letter.
fn insurance(dice: &mut Dice, signs: [&str; 3]) -> String {
    let [letters, pairs, last] = signs;
    let prefix = dice.pick(&["AB", "JK", "MA", "YZ", "SC"]);
    let numbers = [dice.digits(2), dice.digits(2), dice.digits(2)].join(pairs);
    format!("{prefix}{letters}{numbers}{last}{}", dice.pick(&["A", "B", "C", "D"]))
}

#[test]
fn an_insurance_number_with_any_signs_between() {
    for signs in [["-", "-", "-"], [" ", " ", " "], [" ", "", " "], ["-", "", "-"], ["  ", "  ", "  "]] {
        goes("UK_NINO", &["@@", "NINO: @@", "of @@ today"], |dice| insurance(dice, signs));
    }
    for signs in [["/", "", "/"], ["/", "/", "/"], ["", "", " "], [" ", "", ""], ["", "", "-"]] {
        goes("UK_NINO", &["NI number @@", "NINO @@ ok"], |dice| insurance(dice, signs));
    }
    for text in
        ["model AB 123456", "AB 123456 E", "AB-12-34-56-789", "XAB 123456 C", "AB 12 3456 CD", "AB 123 456 C"]
    {
        stays(text);
    }
}

#[test]
fn numbers_of_businesses_with_or_without_signs() {
    let austrian = |digits: &[u8]| {
        let sum: u32 = digits[..7]
            .iter()
            .enumerate()
            .map(|(i, d)| if i % 2 == 0 { u32::from(*d) } else { u32::from(d * 2 / 10 + d * 2 % 10) })
            .sum();
        (10 - (sum + 4) % 10) % 10 == u32::from(digits[7])
    };
    let swiss = |digits: &[u8]| {
        (11 - checksum::weighted(&digits[..8], &[5, 4, 3, 2, 7, 6, 5, 4]) % 11) % 11 == u32::from(digits[8])
    };
    goes("AT_VAT_ID", &["@@", "UID-Nr. @@"], |dice| {
        format!("ATU{}{}", dice.pick(&["", " ", "-"]), dice.checked("1", 8, austrian))
    });
    goes("CH_UID", &["@@", "UID @@ MWST"], |dice| {
        format!("CHE{}{}", dice.pick(&["", "-", " "]), dice.checked("1", 9, swiss))
    });
    goes("CH_UID", &["@@", "UID @@"], |dice| {
        let number = dice.checked("2", 9, swiss);
        format!("CHE-{}", dice.grouped(&number, &[3, 3, 3], &[".", " "]))
    });
    for text in ["ATU 12345678 is wrong", "CHE123456789", "CHE-123456780", "XATU 92819200", "ATU 928192001"] {
        stays(text);
    }
}

#[test]
fn telephone_numbers_in_other_brackets_and_signs() {
    let forms = [
        "(020 7403 7556)",
        "(0660/861 05 13)",
        "(07 55 63 38 84)",
        "(+43 660 861 05 13)",
        "(+33 (0)7 52 05 41 86)",
        "(212-555-0100)",
    ];
    for form in forms {
        for lead in ["", "erreichbar ", "call "] {
            check(&format!("{lead}{form}"), &format!("{lead}([PHONE_NUMBER])"));
        }
    }
    for number in [
        "(020) 7403 7556",
        "(0660) 861 05 13",
        "(+43) 660 861 05 13",
        "(+43 660) 8610513",
        "(212) 555-0100",
        "+33-(0)6-21-03-88-74",
        "+49-(0)-221-7711-056",
        "+44.(0).20.7946.0958",
        "076/235 77-73",
        "0660/861 05-13",
    ] {
        check(&format!("tel {number} ok"), "tel [PHONE_NUMBER] ok");
    }
    // Its country without a sign, where a word says so.
    for number in ["436642345678", "491711234567", "33612345678", "41791234567"] {
        check(&format!("phone: {number}"), "phone: [PHONE_NUMBER]");
        check(&format!("{{\"phone_number\":{number}}}"), "{\"phone_number\":\"[PHONE_NUMBER]\"}");
        check(&format!("{{\"mobile\":\"{number}\"}}"), "{\"mobile\":\"[PHONE_NUMBER]\"}");
        stays(&format!("order {number}"));
        stays(&format!("{{\"number\":{number}}}"));
    }
    // The next item of a list is none of it.
    check("phone (0131) 559 3184\n3. Aurore", "phone [PHONE_NUMBER]\n3. Aurore");
    check(
        "1. Eva 0660 861 05 13\n2. Bob 0660 861 05 14\n3) Carl",
        "1. Eva [PHONE_NUMBER]\n2. Bob [PHONE_NUMBER]\n3) Carl",
    );
    stays("zip+4 09146-0720");
    stays("postal code 09146-0720");
}

#[test]
fn two_blanks_between_groups() {
    check("IBAN: DE89  3704  0044  0532  0130  00", "IBAN: [IBAN_CODE]");
    check("SSN: 392  10  4021", "SSN: [US_SSN]");
    check("AHV 756  9217  0769  85", "AHV [CH_AHV]");
    check("aadhaar 2479  7685  3678", "aadhaar [IN_AADHAAR]");
    check("tel 0660  861  05  13", "tel [PHONE_NUMBER]");
    for text in [
        "392  10  4021",
        "x  0660  861  05  13",
        "2479  7685  3678",
        "212  555  0100",
        "a  12  b  34  c",
        "20240101  20240102  20240103",
        "col  12  34  56  78  90  11",
        "+0660  861  051  13",
    ] {
        stays(text);
    }
    check("0660 861 05 13  12  5", "[PHONE_NUMBER]  12  5");
}

#[test]
fn an_insurance_number_under_an_english_name() {
    for key in
        ["socialSecurityNumber", "social_security_number", "social-security-no", "socialInsuranceNumber"]
    {
        check(&format!("{{\"{key}\":\"2475210991\"}}"), &format!("{{\"{key}\":\"[AT_SVNR]\"}}"));
    }
    stays("{\"order_number\":\"2475210991\"}");
}

#[test]
fn groups_of_a_longer_row_are_no_identity() {
    check("my id 2479 7685 3678", "my id [IN_AADHAAR]");
    check("aadhaar 2479 7685 3678", "aadhaar [IN_AADHAAR]");
    stays("Vorgang 2479-7685-3678");
    stays("4329 7286 0652 6399");
    stays("2479 7685 3678 1234");
}

#[test]
fn parts_of_a_text_and_masks_are_no_machines() {
    for lead in [
        "section ",
        "RFC 9110 section ",
        "Kapitel ",
        "\u{a7} ",
        "\u{a7}",
        "sections 1.2.3.4 and ",
        "Abschnitt ",
    ] {
        for part in ["8.10.6.2", "12.4.1.9", "10.2.3.4"] {
            stays(&format!("{lead}{part}"));
            stays(&format!("{lead}{part}, see there"));
        }
    }
    for mask in ["255.0.0.0", "255.128.0.0", "255.255.240.0", "0.0.0.255", "0.255.255.255", "0.0.31.255"] {
        stays(mask);
        check(&format!("ip address 10.1.2.3 {mask}"), &format!("ip address [IP_ADDRESS] {mask}"));
    }
    for text in ["ping @@", "server section @@", "routing table @@", "connect to @@", "step 3: ssh @@"] {
        check(&text.replace("@@", "192.168.10.20"), &text.replace("@@", "[IP_ADDRESS]"));
    }
    check("connect to 255.1.2.3", "connect to [IP_ADDRESS]");
}

#[test]
fn what_stands_in_for_a_credential_stays() {
    for value in ["INSERT_TOKEN_HERE", "REPLACE_ME", "CHANGE_ME"] {
        stays(&format!("https://user:{value}@host.example/"));
        stays(&format!("{{\"password\":\"{value}\"}}"));
    }
    // What many choose, and what only looks like an instruction or a member.
    for value in ["changeme", "changeit", "password", "test", "CHANGE_SUMMER_HERE", "$a->b$c{d}"] {
        check(&format!("{{\"password\":\"{value}\"}}"), "{\"password\":\"[PASSWORD]\"}");
    }
    check("https://9f8a7c6b5d4e3f2a1b0c9d8eXY;a=1@host/x", "https://[URL_PASSWORD]@host/x");
    check("mysql://root:changeme@db/x", "mysql://root:[URL_PASSWORD]@db/x");
    for hidden in ["\u{2022}", "\u{25cf}", "\u{b7}", "*"] {
        let hidden = hidden.repeat(8);
        stays(&format!("DB_PASSWORD={hidden}"));
        stays(&format!("password: \"{hidden}\""));
        stays(&format!("{{\"password\":\"{hidden}\"}}"));
    }
    for text in [
        "AKIAXXXXXXXXXXXXXXXX",
        "my $pwd = $ftp->pwd;",
        "? \"PASS\" : \"FAIL\"",
        "password C<$pass>",
        "$pass = $this->config->password;",
    ] {
        stays(text);
    }
    for value in ["kestrel", "Passw0rd", "tests!", "testing"] {
        check(&format!("postgres://user:{value}@host/db"), "postgres://user:[URL_PASSWORD]@host/db");
    }
    // No quoted-printable text: a value that begins with two digits.
    check("password=22Gletscher!Papillon;encrypt=true", "password=[PASSWORD];encrypt=true");
    check(
        "jdbc:sqlserver://db;databaseName=x;user=sa;password=XnjU6@kaffee;encrypt=true",
        "jdbc:sqlserver://db;databaseName=x;user=sa;password=[PASSWORD];encrypt=true",
    );
    check("write eva=40nordwind.example", "write [EMAIL_ADDRESS]");
}

#[test]
fn addresses_of_nobody() {
    for text in [
        "aes256-gcm@openssh.com",
        "curve25519-sha256@libssh.org",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        "zlib@openssh.com",
        "ssh -T git@github.com",
        "j***@e***.com",
        "j***@nordwind.example",
    ] {
        stays(text);
    }
    for address in ["djm@openssh.com", "eva.git@github.com", "git2@nordwind.example", "jane@libssh.org"] {
        check(&format!("write to {address}"), "write to [EMAIL_ADDRESS]");
    }
    let token = format!("pypi-AgEIcHlwaS5vcmc{}", random(120));
    check(
        &format!("https://__token__:{token}@pypi.example.net/simple"),
        "https://__token__:[PYPI_TOKEN]@pypi.example.net/simple",
    );
}

#[test]
fn a_token_within_tokens_is_looked_at_once() {
    let name = "fn_".repeat(3);
    for length in [36, 255, 257, 400] {
        let token = format!("ghp_{}", random(length));
        check(&format!("{name}{token}"), &format!("{name}[GITHUB_TOKEN]"));
    }
    stays(&"ghp_".repeat(300));
}

//! Families of clean prompts, and beside each what the same words make a credential: a rule that lets the first stay must not
//! let the second go.

use super::*;

/// Every one of `before`, `middle` and `behind` together stays.
#[track_caller]
fn all_stay(before: &[&str], middle: &[&str], behind: &[&str]) {
    for (head, value) in before.iter().flat_map(|head| middle.iter().map(move |value| (head, value))) {
        for tail in behind {
            stays(&format!("{head}{value}{tail}"));
        }
    }
}

/// Every value of `middle` is cut as an `entity` behind every one of `before`.
#[track_caller]
fn all_go(before: &[&str], middle: &[&str], entity: &str) {
    for (head, value) in before.iter().flat_map(|head| middle.iter().map(move |value| (head, value))) {
        check(&format!("{head}{value}"), &format!("{head}[{entity}]"));
    }
}

const LOGINS: &[&str] = &[
    "Check the build log ",
    "log in at ",
    "Please sign ",
    "sign in: ",
    "Login: ",
    "my account ",
    "the credentials page ",
    "Zugang: ",
    "Das Konto ",
    "Anmeldung unter ",
    "Connexion : ",
    "l'identifiant ",
    "Accès : ",
];

#[test]
fn a_url_a_path_or_a_name_in_code_behind_a_word_for_a_login_stays() {
    let links = [
        "https://ci.example.org/job/42/console",
        "http://x.example/v2/start",
        "s3://bucket/path42/log.txt",
        "file:///var/log/app-42.log",
        "[#1231](https://code.example/o/r/pull/1231)",
        "std::io::Error2",
        "&signature::RSA_PKCS1_SHA256",
        "src/main2.rs:42",
        "localhost:8080/status2",
        "app:v1.25.3",
    ];
    all_stay(LOGINS, &links, &["", " please", ", thanks", " today 42"]);
}

#[test]
fn a_name_and_a_password_behind_a_word_for_a_login_go() {
    let passwords = ["Kestrel48x", "gr1mper-383", "Bergwerk!14", "S0nnen_874", "x5W-2CCNA23"];
    let heads = [
        "credentials are admin:",
        "creds eva:",
        "Zugangsdaten: admin / ",
        "login eva:",
        "sign in with eva:",
        "log in as eva:",
        "identifiants : marie:",
        "connexion marie / ",
    ];
    all_go(&heads, &passwords, "PASSWORD");
    all_go(
        &["log in as eva with ", "login eva mit "],
        &["gr1mper-383", "S0nnen_874", "Bergwerk!14"],
        "PASSWORD",
    );
}

#[test]
fn what_one_logs_in_with_and_where_stays() {
    let heads = ["Log in with ", "sign in via ", "Login with ", "log the result with "];
    all_stay(&heads, &["WebAuthn2", "OAuth2.0", "Okta2FA"], &["", " or LDAP", "!"]);
    all_stay(&heads, &["user4711", "step42"], &["", " or LDAP"]);
    all_stay(
        &["account ", "login ", "konto "],
        &["shard:eu-west-1", "service:v2.14.0", "queue:worker-3"],
        &["", " is slow"],
    );
}

#[test]
fn pass_is_a_verb_unless_it_is_somebodys() {
    let verbs = [
        "Tests pass, deploy to ",
        "All tests pass, switch to ",
        "Please pass this to ",
        "they pass through to ",
        "pass the file to ",
        "You pass it as ",
        "a first pass with ",
    ];
    all_stay(&verbs, &["production!", "staging2", "team-42!", "handler_v2", "node20"], &["", " now"]);
    let nouns = [
        "my pass is ",
        "I set the pass to ",
        "pass: ",
        "new pass -> ",
        "the pass for staging is ",
        "pass for wifi is ",
        "Pass was changed to ",
    ];
    all_go(&nouns, &["Kestrel48x", "zitrone85#", "gr1mper-383"], "PASSWORD");
}

#[test]
fn what_a_password_has_or_where_it_goes_is_none() {
    let heads = [
        "set password length to ",
        "the password policy is ",
        "the password is hashed with ",
        "the default password hashing algorithm is now ",
        "normalize the password according to ",
        "ein Passwort, das nicht mit ",
        "das Passwort wird mit ",
        "le mot de passe est sent to ",
    ];
    let values = ["12chars", "Argon2id", "rfc7613", "SHA-256", "MD5-Verfahren", "PBKDF2-HMAC-SHA256"];
    all_stay(&heads, &values, &["", " verwendet", " since 2026"]);
    all_stay(
        &["the password was sent to ", "password stored in ", "password is logged to "],
        &["server2", "worker-3"],
        &[""],
    );
    all_stay(
        &["temps passé : ", "/etc/passwd line 12: "],
        &["%d.%02d s", "daemon2:x:1:1:d:/usr/sbin"],
        &[""],
    );
    all_go(&["the password is ", "mein Passwort lautet "], &["Argon!2id9", "Sha256!x"], "PASSWORD");
}

#[test]
fn a_stand_in_and_code_are_no_credentials() {
    for text in [
        "--http-passwd=PASSWORT",
        "-p, --password=DB_PASSWORD",
        "user_pass = '%s:%s' % (user, pw)",
        "credentials = '{}:{}'.format(user2, pw2)",
        "pwd = (self.password.encode('utf-8') if x else y)",
        "RegEnumKey = win32api.RegEnumKey",
        "api_key = settings2.API_KEY",
        "\"x-token\": self.AWS_IMDSV2_SESSION_TOKEN,",
        "let poly1305_key = derive_poly1305_key(&chacha_key, iv);",
        "PWD=/home/jane/projects/app2",
        "OLDPWD=~/src/app2",
        "the pwd is /var/lib/app2/data now",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db2-AbCdEf",
        "password: !vault |",
        "fix the passwd leak (Closes: #1051062)",
        "tg-hurdsig-global-dispositions.diff",
        "tg-HurdSig-Global-Dispositions-Fix",
    ] {
        stays(text);
    }
    check("api_key = settings2.aB3dE5fG7hJ9kL1mN3pQ", "api_key = [API_KEY]");
    check("password=Pass%s9x!", "password=[PASSWORD]");
}

/// The digits of a time of the day.
fn time() -> impl Strategy<Value = String> {
    (0..24_u8, 0..60_u8, 0..60_u8).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"))
}

proptest! {
    #[test]
    fn a_date_of_git_stays(
        time in time(), year in 1990..2040_u16, zone in 0..13_u8, east in any::<bool>(), day in 1..32_u8, seconds in any::<bool>()
    ) {
        let sign = if east { '+' } else { '-' };
        let time = if seconds { time.as_str() } else { time.get(..5).unwrap() };
        let text = format!("Date:   Fri Nov {day} {time} {year} {sign}{zone:02}00");
        let out = redactor().line(&text);
        prop_assert_eq!(out.as_str(), text.as_str());
    }

    #[test]
    fn a_telephone_number_behind_a_colon_goes(line in 1..100_u8, number in 1_000_000..9_999_999_u32) {
        let text = format!("{line}:0664 {number}");
        prop_assert_eq!(shape(redactor().line(&text).as_str()), format!("{line}:[PHONE_NUMBER]"));
    }

    /// Passwords as generators make them, between the quotes of their own; of a kind that nothing reads as code.
    #[test]
    fn a_quoted_password_goes_whole(head in "[A-Z][a-z]{2}[0-9]", sign in "[\"`<>\\\\(|;:,]", tail in "[a-z][0-9][A-Z]![a-z0-9]{2}") {
        for name in ["DB_PASSWORD=", "password: ", "  pwd = "] {
            let text = format!("{name}'{head}{sign}{tail}'");
            prop_assert_eq!(shape(redactor().line(&text).as_str()), format!("{name}'[PASSWORD]'"));
        }
    }

    #[test]
    fn a_password_without_quotes_goes_whole(head in "[A-Z][a-z]{2}[0-9]", sign in "[\"'<(\\[{@#]|\\\\[a-m]", tail in "[a-m][0-9][A-Z]![a-z0-9]{2}") {
        for name in ["password=", "passwd: ", "my password is ", "das Kennwort lautet "] {
            let text = format!("{name}{head}{sign}{tail} ok");
            prop_assert_eq!(shape(redactor().line(&text).as_str()), format!("{name}[PASSWORD] ok"));
        }
    }
}

#[test]
fn a_quote_that_was_opened_ends_a_password() {
    for (text, expected) in [
        ("he said \"password=abc123x\" and left", "he said \"password=[PASSWORD]\" and left"),
        ("'password=abc123x', 'b'", "'password=[PASSWORD]', 'b'"),
        ("say \"my password is abc123x\", ok", "say \"my password is [PASSWORD]\", ok"),
        ("<b>password: abc123x</b><br>", "<b>password: [PASSWORD]</b><br>"),
        ("<p>my password is abc123x<br>thanks", "<p>my password is [PASSWORD]<br>thanks"),
        ("{\"password\":\"abc123x\",\"a\":1}", "{\"password\":\"[PASSWORD]\",\"a\":1}"),
        ("x \"password\":\"abc123x\", \"a\":1", "x \"password\":\"[PASSWORD]\", \"a\":1"),
        ("f(password=\"abc123x\", y=\"z\")", "f(password=\"[PASSWORD]\", y=\"z\")"),
    ] {
        check(text, expected);
    }
    for text in [
        "\"password='\"+pw9+\"'\"",
        "password = config[\"pw1\"][\"x\"]",
        "password = get_pw(1)",
        "password: {password1}",
    ] {
        stays(text);
    }
}

#[test]
fn the_end_of_a_private_key_goes() {
    let lines: Vec<String> = (0..5).map(|_| random(64)).collect();
    for feed in ["\n", "\r\n", "\\n", "\n    ", "\n> "] {
        for label in ["", "RSA ", "OPENSSH "] {
            let key =
                format!("{}{feed}{}{feed}-----END {label}PRIVATE KEY-----", lines.join(feed), random(20));
            check(
                &format!("rest:{}{key}\nthanks", &feed.replace("\\n", "\n")),
                &format!("rest:{}[PRIVATE_KEY]\nthanks", &feed.replace("\\n", "\n")),
            );
        }
    }
    for text in ["it ends with\n-----END PRIVATE KEY-----", "hello\nworld\n-----END RSA PRIVATE KEY-----"] {
        stays(text);
    }
    stays(&format!("{}\n-----END CERTIFICATE-----", lines.join("\n")));
}

#[test]
fn the_private_lines_of_putty_go() {
    for feed in ["\n", "\r\n", "\\n"] {
        let (public, private) =
            ("AAAAC3NzaC1lZDI1NTE5AAAAIE", format!("{}{feed}{}A==", "aB3".repeat(20), "aB3".repeat(5)));
        let head = format!(
            "PuTTY-User-Key-File-3: ssh-ed25519{feed}Public-Lines: 1{feed}{public}{feed}Private-Lines: 2{feed}"
        );
        check(
            &format!("{head}{private}{feed}Private-MAC: ab"),
            &format!("{head}[PRIVATE_KEY]{feed}Private-MAC: ab"),
        );
    }
    stays("Private-Lines: 14");
    stays("Private-Lines: 2\nhello\n");
}

#[test]
fn tokens_of_links_and_passwords_of_commands() {
    let token = "LmOUVJUDnG3DVeWpVmo6XU6lsot4F8Suj9s";
    for part in ["reset", "password/reset", "verify", "invite", "magic-link"] {
        check(
            &format!("https://x.example/{part}/{token}?a=1"),
            &format!("https://x.example/{part}/[API_KEY]?a=1"),
        );
        stays(&format!("https://x.example/{part}/team-platform-2026-q4"));
        stays(&format!("https://x.example/{part}/how-to-do-it-in-2026"));
    }
    stays(&format!("https://x.example/docs/{token}"));
    let signature = "687df1bc1b6c63392c764564a32f9a0b687df1bc1b6c63392c764564a32f9a0b";
    check(
        &format!("https://x.example/k?a=b&X-Goog-Signature={signature}"),
        "https://x.example/k?a=b&X-Goog-Signature=[API_KEY]",
    );
    let heads = [
        "net user bob ",
        "net use Z: \\\\srv\\share ",
        "net use \\\\srv2\\share ",
        "le code d'accès est ",
        "Der Zugriffscode ist ",
        "the access code is ",
    ];
    all_go(&heads, &["Tulipe-723x", "Hafen!42x", "Xk75tVsipGcM4q"], "PASSWORD");
    for (text, expected) in [
        (
            "ConvertTo-SecureString \"Xk75l0Nw\" -AsPlainText",
            "ConvertTo-SecureString \"[PASSWORD]\" -AsPlainText",
        ),
        (
            "ConvertTo-SecureString -String 'Xk7!l0Nw' -Force",
            "ConvertTo-SecureString -String '[PASSWORD]' -Force",
        ),
        ("jdbc:oracle:thin:scott/Xk7VEoDD@h:1521/x", "jdbc:oracle:thin:scott/[URL_PASSWORD]@h:1521/x"),
    ] {
        check(text, expected);
    }
    for text in [
        "net user bob2 /domain",
        "net use Z: \\\\srv2\\share2 /user:jane",
        "ConvertTo-SecureString $pw2 -AsPlainText",
        "ConvertTo-SecureString (Get-Content pw2.txt)",
        "jdbc:oracle:thin:@//h:1521/x",
        "the access code is wrong",
    ] {
        stays(text);
    }
}

#[test]
fn numbers_with_signs_that_are_no_telephones() {
    for text in [
        "Decimal('+35236450.6')",
        "(1:14~++20220202101403+91632c8ac97f-1~exp1)",
        "1:10~+20191229111838+6991d5728f1-1",
        "Clause 252.227-7013",
        "doi.org/10.1016/0021-9991(79)90025-1",
        "26-08-2009 00.24.33 -1200",
    ] {
        stays(text);
    }
    check("call +43.1.58858123", "call [PHONE_NUMBER]");
    check("tel 252.227-7013", "tel [PHONE_NUMBER]");
    check("Tel ~+43 1 58801 405", "Tel ~[PHONE_NUMBER]");
}

#[test]
fn rows_of_a_dump_coordinates_and_variables_of_a_shell_stay() {
    for text in [
        "00000100: 0020 0000 0000 0000 0000 0000 0000 0000  . ..............\n00000110: 5500 0000 1200 0000 0100 0000 0100 0000  U...............",
        "00000fa0: 4111 1111 1111 1111 4111 1111 1111 1111  A...............",
        "GB\t+513030-0000731\tEurope/London",
        "IE\t+5320-00615\tEurope/Dublin",
        "ES\t+2806-01524\tAtlantic/Canary",
        "redis://:$password@host/0",
        "postgres://app:$db_password@db/app",
    ] {
        stays(text);
    }
    check("12345670: 4111 1111 1111 1111", "12345670: [CREDIT_CARD]");
    check("+43 1 5880112", "[PHONE_NUMBER]");
    check("+431588-0121234", "[PHONE_NUMBER]");
    check("redis://:$Kestrel48@host/0", "redis://:[URL_PASSWORD]@host/0");
}

//! What must go: one table an entity.

use super::*;

#[test]
fn mail_addresses() {
    check("Schreib an Jane.Doe+x@mail.example.org, bitte", "Schreib an [EMAIL_ADDRESS], bitte");
    check("<jürgen@example.de>", "<[EMAIL_ADDRESS]>");
    check("mailto:a.b@example.co.uk?subject=x", "mailto:[EMAIL_ADDRESS]?subject=x");
    check("see https://example.com/?u=jane@example.com", "see https://example.com/?u=[EMAIL_ADDRESS]");
}

#[test]
fn telephone_numbers() {
    for number in [
        "+43 664 1234567",
        "+41 44 668 18 00",
        "+49 (0) 30 901820",
        "0043 1 58858",
        "+14155550123",
        "+1 (415) 555-0123",
        "(415) 555-2671",
        "415-555-2671",
        "01 42 68 53 00",
        "06.12.34.56.78",
        "0664/1234567",
        "020 7946 0958",
        "044 668 18 00",
        "07700 900123",
        "+44 7700 900123",
        "+33 (0)1 42 68 53 00",
    ] {
        check(&format!("Bitte um Antwort, {number}, danke"), "Bitte um Antwort, [PHONE_NUMBER], danke");
    }
    check("mobil: 06641234567", "mobil: [PHONE_NUMBER]");
}

#[test]
fn cards_and_accounts() {
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "3782 822463 10005",
        "3056 930902 5904",
        "5555555555554444",
        "2223003122003222",
        "6011 0009 9013 9424",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    ] {
        check(&format!("paid with {card} today"), "paid with [CREDIT_CARD] today");
    }
    check("an DE89 3704 0044 0532 0130 00 bitte", "an [IBAN_CODE] bitte");
    check("GB82WEST12345698765432", "[IBAN_CODE]");
    check("to 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 now", "to [CRYPTO] now");
    check("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "[CRYPTO]");
}

#[test]
fn addresses_of_machines() {
    check("from 203.0.113.7:443 and 8.8.8.8/24", "from [IP_ADDRESS]:443 and [IP_ADDRESS]/24");
    check("from 2001:db8::8a2e:370:7334.", "from [IP_ADDRESS].");
    check("ether 00:1b:44:11:3a:b7 up, 00-1B-44-11-3A-B7", "ether [MAC_ADDRESS] up, [MAC_ADDRESS]");
}

#[test]
fn identity_numbers() {
    check("ssn 219-09-9999 or 219 09 9999", "ssn [US_SSN] or [US_SSN]");
    check("{\"ssn\": 219099999}", "{\"ssn\": \"[US_SSN]\"}");
    check("AHV 756.9217.0769.85", "AHV [CH_AHV]");
    check("SVNR 1237 010180", "SVNR [AT_SVNR]");
    check("{\"svnr\":\"1237010180\"}", "{\"svnr\":\"[AT_SVNR]\"}");
    check("NIR 2 55 08 14 168 025 38", "NIR [FR_NIR]");
    check("IdNr 86 095 742 719", "IdNr [DE_TAX_ID]");
    check("RV 15070649C103", "RV [DE_SOCIAL_SECURITY]");
    check("Ausweis L01X00T471", "Ausweis [DE_ID_CARD]");
    check("NINO AB 12 34 56 C and AB123456C", "NINO [UK_NINO] and [UK_NINO]");
    check("NHS 943 476 5919, nhs 9434765919", "NHS [UK_NHS], nhs [UK_NHS]");
    check("aadhaar 2345 6789 0124", "aadhaar [IN_AADHAAR]");
}

#[test]
fn vendors_tokens() {
    let cases = [
        ("sk-proj-", 40, "OPENAI_KEY"),
        ("sk-ant-api03-", 60, "ANTHROPIC_KEY"),
        ("ghp_", 36, "GITHUB_TOKEN"),
        ("github_pat_", 60, "GITHUB_TOKEN"),
        ("glpat-", 20, "GITLAB_TOKEN"),
        ("xoxb-", 40, "SLACK_TOKEN"),
        ("sk_live_", 24, "STRIPE_KEY"),
        ("AIza", 35, "GOOGLE_API_KEY"),
        ("hf_", 34, "HF_TOKEN"),
        ("npm_", 36, "NPM_TOKEN"),
        ("pypi-", 60, "PYPI_TOKEN"),
        ("tg-", 24, "TOLLGATE_KEY"),
    ];
    for (prefix, len, entity) in cases {
        let token = format!("{prefix}{}", random(len));
        for (before, after) in
            [("", ""), ("use ", " now"), ("a='", "',"), ("\\n", "\\n"), ("(", ")"), ("x: ", ".")]
        {
            check(&format!("{before}{token}{after}"), &format!("{before}[{entity}]{after}"));
        }
    }
    check(&format!("SG.{}.{} x", random(22), random(43)), "[SENDGRID_KEY] x");
    for prefix in ["AKIA", "ASIA", "ABIA", "ACCA"] {
        check(&format!("{prefix}{} x", "Q7".repeat(8)), "[AWS_ACCESS_KEY] x");
    }
    check(&format!("123456789:AA{}", random(33)), "[TELEGRAM_TOKEN]");
    check(&format!("https://hooks.slack.com/services/T0/B0/{}", random(24)), "[SLACK_WEBHOOK]");
    check(&format!("eyJ{}.eyJ{}.{} x", random(20), random(30), random(43)), "[JWT] x");
}

#[test]
fn numbers_are_taken_by_their_value() {
    let check = |number: &str, found: bool| {
        let redacted = redactor().json(&format!("{{\"n\":{number}}}")).unwrap();
        assert_eq!(redacted.as_str().contains("[CREDIT_CARD"), found, "{number}: {}", redacted.as_str());
    };
    let card = redactor().json("[4111111111111111]").unwrap();
    for number in ["4111111111111111", "4111111111111111.0", "4.111111111111111e15", "41111111111111110E-1"] {
        check(number, true);
        let redacted = redactor().json(&format!("[{number}]")).unwrap();
        assert_eq!(redacted.as_str(), card.as_str(), "the same value is the same token");
    }
    for number in ["4111111111111111.5", "4.111111111111112e15", "4.1111111111111115e15", "4e15"] {
        check(number, false);
    }
}

#[test]
fn private_keys_whole_cut_and_escaped() {
    let body = random(64);
    let pem = |end: &str| format!("a -----BEGIN RSA PRIVATE KEY-----\n{body}\n{end}");
    check(&pem("-----END RSA PRIVATE KEY----- b"), "a [PRIVATE_KEY] b");
    check(&pem(""), "a [PRIVATE_KEY]");
    check(&pem("").replace('\n', "\\n"), "a [PRIVATE_KEY]");
}

#[test]
fn passwords_where_they_are_named() {
    check("my password is Kestrel!48, ok?", "my password is [PASSWORD], ok?");
    check("Das Kennwort für den Server lautet Dohle_77.", "Das Kennwort für den Server lautet [PASSWORD].");
    check("mot de passe : Hibou#2031", "mot de passe : [PASSWORD]");
    check("DB_PASSWORD=aB3dE6gH9jK2", "DB_PASSWORD=[PASSWORD]");
    check("password: \"open sesame\" pwd: 'letmein'", "password: \"open sesame\" pwd: '[PASSWORD]'");
    check("{\"user\":\"x\",\"password\":\"letmein\"}", "{\"user\":\"x\",\"password\":\"[PASSWORD]\"}");
    check("Server=db;Password=Kestrel48;Timeout=3", "Server=db;Password=[PASSWORD];Timeout=3");
    check("mysql://app:Kestrel48@db.internal/x", "mysql://app:[URL_PASSWORD]@db.internal/x");
    check("redis://:Kestrel48@cache:6379", "redis://:[URL_PASSWORD]@cache:6379");
    check("curl -u ci:Kestrel48 https://example.com", "curl -u ci:[URL_PASSWORD] https://example.com");
    check("login --password Kestrel48 now", "login --password [PASSWORD] now");
}

#[test]
fn keys_where_they_are_named() {
    let key = random(40);
    check(
        &format!("https://example.com/x?token={key}&page=2"),
        "https://example.com/x?token=[API_KEY]&page=2",
    );
    check(&format!("api_key = \\\"{key}\\\""), "api_key = \\\"[API_KEY]\\\"");
    check(&format!("X-API-Key: {key}"), "X-API-Key: [API_KEY]");
    check(&format!("Authorization: Bearer {key}"), "Authorization: Bearer [AUTHORIZATION]");
    check(&format!("AccountKey={key}==;End=x"), "AccountKey=[AZURE_STORAGE_KEY];End=x");
    check("Cookie: sid=abcdef; theme=dark\nHost: x", "Cookie: sid=[COOKIE]; theme=dark\nHost: x");
    check(&format!("token={}", key.repeat(50)), "token=[API_KEY]");
}

#[test]
fn disguised_values() {
    check("４１１１ １１１１ １１１１ １１１１", "[CREDIT_CARD]");
    check("41\u{200b}11 1111\u{ad} 1111 1111", "[CREDIT_CARD]");
    check("4111–1111–1111–1111", "[CREDIT_CARD]");
    check("+43\u{a0}664\u{202f}1234567", "[PHONE_NUMBER]");
    check("jаne@exаmple.com", "[EMAIL_ADDRESS]");
    check("{\"a\":\"jane\\u0040example.com\"}", "{\"a\":\"[EMAIL_ADDRESS]\"}");
}

#[test]
fn everywhere_in_json() {
    check(
        "{ \"jane@example.com\" : [4111111111111111, 1.50, -0.0e5] , \"a\":\"{\\\"to\\\": \\\"x@example.com\\\"}\" }",
        "{ \"[EMAIL_ADDRESS]\" : [\"[CREDIT_CARD]\", 1.50, -0.0e5] , \"a\":\"{\\\"to\\\": \\\"[EMAIL_ADDRESS]\\\"}\" }",
    );
    check("\"jane@example.com\"", "\"[EMAIL_ADDRESS]\"");
    check("4111111111111111", "[CREDIT_CARD]");
}

#[test]
fn large_data_urls_become_their_size() {
    let url = format!("see data:image/png;base64,{} end", "A".repeat(4000));
    assert_eq!(redactor().line(&url).as_str(), "see [data:image/png;3000 B] end");
    assert_eq!(redactor().line(&url).counts().count(), 0);
}

#[test]
fn a_tenants_own_patterns_win_and_only_named_detectors_run() {
    let own = vec![Pattern::new("CASE_ID", "AC-[0-9]{6}").unwrap()];
    let some = Detectors::only(&["CREDIT_CARD"]).unwrap();
    let redactor = Redactor::new(TenantSecret::derive(b"test", "acme"), some, own);
    let redacted = redactor.text("AC-123456 jane@example.com 4111111111111111");
    assert_eq!(shape(redacted.as_str()), "[CASE_ID] jane@example.com [CREDIT_CARD]");
    assert_eq!(redacted.counts().collect::<Vec<_>>(), [("CASE_ID", 1), ("CREDIT_CARD", 1)]);
    assert_eq!(redactor.text(redacted.as_str()).as_str(), redacted.as_str());
}

#[test]
fn the_same_value_reads_the_same_however_it_is_written() {
    let redactor = redactor();
    let same = |a: &str, b: &str| assert_eq!(redactor.text(a).as_str(), redactor.text(b).as_str());
    same("4111 1111 1111 1111", "4111-1111-1111-1111");
    same("Jane@Example.com", "jane@example.com");
    same("DE89 3704 0044 0532 0130 00", "DE89370400440532013000");
    same("４１１１１１１１１１１１１１１１", "4111111111111111");
}

#[test]
fn passwords_in_other_words() {
    check("I changed the password to Kestrel!48 today", "I changed the password to [PASSWORD] today");
    check("Passwort für vpn jetzt: Dohle_77x", "Passwort für vpn jetzt: [PASSWORD]");
    check("le mot de passe du serveur, c'est Hibou#2031", "le mot de passe du serveur, c'est [PASSWORD]");
    check("pw Kestrel", "pw Kestrel");
    check("root pw: Kestrel!48", "root pw: [PASSWORD]");
}

#[test]
fn encoded_values_are_cut_whole() {
    check("to amFuZUBleGFtcGxlLmNvbQ== now", "to [EMAIL_ADDRESS] now");
    check("to 6a616e65406578616d706c652e636f6d now", "to [EMAIL_ADDRESS] now");
    check("password is S2VzdHJlbCE0OCBlbmQ=", "password is [PASSWORD]");
    check("/v1/items/amFuZUBleGFtcGxlLmNvbQ==", "/v1/items/[EMAIL_ADDRESS]");
    check("to j%61ne%40example%2Ecom now", "to [EMAIL_ADDRESS] now");
    check("to jane%2540example.com now", "to [EMAIL_ADDRESS] now");
    check("to jane&#64;ex&#x61;mple&period;com now", "to [EMAIL_ADDRESS] now");
    check("to jane=40example.com now", "to [EMAIL_ADDRESS] now");
    check("to jane\\u0040example.com now", "to [EMAIL_ADDRESS] now");
    check("to jane (at) example [dot] com now", "to [EMAIL_ADDRESS] now");
    check("to jane<wbr>@example.com now", "to [EMAIL_ADDRESS] now");
    check("card **4111 1111**** 1111 1111** now", "card **[CREDIT_CARD]** now");
}

#[test]
fn wrapped_values_are_cut_on_both_lines() {
    check("an DE89 3704 004\n4 0532 0130 00 bitte", "an [IBAN_CODE] bitte");
    check("paid with 4111-111\r\n1-1111-1111 today", "paid with [CREDIT_CARD] today");
    let (head, tail) = (random(30), random(20));
    check(&format!("key sk-{head}\n{tail}\nWie geht es"), "key [OPENAI_KEY]\nWie geht es");
    check(&format!("sk-{head}\nsk-{head}"), "[OPENAI_KEY]\n[OPENAI_KEY]");
    check(&format!("> key sk-{head}\n> {tail}"), "> key [OPENAI_KEY]");
}

#[test]
fn a_disguised_value_has_the_token_of_the_plain_one() {
    let redactor = redactor();
    for disguised in
        ["amFuZUBleGFtcGxlLmNvbQ==", "jane%40example.com", "jane&#64;example.com", "jane(at)example.com"]
    {
        assert_eq!(redactor.text(disguised).as_str(), redactor.text("jane@example.com").as_str());
    }
}

#[test]
fn passwords_of_odd_forms() {
    check("password: Hun\"ter2xyzQ9 ok", "password: [PASSWORD] ok");
    check("password: 83927462917", "password: [PASSWORD]");
    check("the password is 83927462917 , use it", "the password is [PASSWORD] , use it");
    // JSON within prose, or cut.
    check(
        "config: {\"db\":{\"password\": \"pw,with space\", \"user\":\"x\"}}",
        "config: {\"db\":{\"password\": \"[PASSWORD]\", \"user\":\"x\"}}",
    );
    check("see {\"password\":\"correct horse battery staple", "see {\"password\":\"[PASSWORD]");
    check("see {\"password\":\"a \\\"b\\\" c\",\"d\":1", "see {\"password\":\"[PASSWORD]\",\"d\":1");
}

#[test]
fn tokens_behind_the_sign_of_a_name() {
    let body = format!("a1B2{}", random(80));
    let cut = |prefix: &str, len: usize| format!("{prefix}{}", body.get(..len).unwrap());
    for (token, entity) in [
        (cut("ghp_", 36), "GITHUB_TOKEN"),
        (cut("github_pat_", 40), "GITHUB_TOKEN"),
        (cut("sk-proj-", 40), "OPENAI_KEY"),
        (cut("sk-ant-", 60), "ANTHROPIC_KEY"),
        (cut("glpat-", 20), "GITLAB_TOKEN"),
        (cut("xoxb-2345678901-2345678901234-", 24), "SLACK_TOKEN"),
        (cut("sk_live_", 24), "STRIPE_KEY"),
        (cut("AIza", 35), "GOOGLE_API_KEY"),
        (cut("hf_", 34), "HF_TOKEN"),
        (cut("npm_", 36), "NPM_TOKEN"),
        ("AKIAIOSFODNN7EXAMPLE".to_owned(), "AWS_ACCESS_KEY"),
    ] {
        for name in ["fn_", "crm__", "X_", "send_email_", "the fn_", "a.b_"] {
            check(&format!("{name}{token}"), &format!("{name}[{entity}]"));
            check(&format!("call {name}{token} {{}}"), &format!("call {name}[{entity}] {{}}"));
        }
    }
}

#[test]
fn names_with_parts() {
    // Not found behind a `_` but where it stands by itself.
    let token = "gsk_Zq7Wm3Lt5Vb2Nx9Rk4Hc6Jd1Pf0GsAa8Bb2Cc5Dd9Ee";
    stays(&format!("crm__{token}"));
    let name = |name: &str| shape(redactor().name(name).as_str());
    assert_eq!(name(&format!("crm__{token}")), "crm__[VENDOR_TOKEN]");
    assert_eq!(name(&format!("a__b__{token}__c")), "a__b__[VENDOR_TOKEN]__c");
    for clean in ["crm__get_it", "__", "", "____x__"] {
        assert_eq!(name(clean), clean);
    }
    let counted: Vec<_> = redactor().name(&format!("a__{token}")).counts().map(|(_, count)| count).collect();
    assert_eq!(counted, [1]);
}

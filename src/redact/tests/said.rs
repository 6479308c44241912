//! What people make up as passwords and how they speak of them, and beside it what looks like it and is none.

use super::*;

/// Of each form exactly the value goes, which stands for `@@`.
#[track_caller]
fn goes(forms: &[&str], values: &[&str]) {
    for form in forms {
        for value in values {
            check(&form.replace("@@", value), &form.replace("@@", "[PASSWORD]"));
        }
    }
}

#[test]
fn words_and_a_number_with_signs_between_are_no_member() {
    goes(
        &[
            "password: @@",
            "my password is @@",
            "DB_PASSWORD=@@",
            "Passwort: @@",
            "the password for the nas is @@",
            "requests.get(u, auth=('ops', '@@'))",
            "vault kv put secret/shop password=@@",
            "machine ftp.example.net\nlogin eva\npassword @@",
        ],
        &[
            "walnut.hedgehog.279",
            "libelle.espresso.61",
            "4821.walnut.kestrel",
            "walnut_hedgehog_279",
            "12_libelle_77",
        ],
    );
    for text in [
        "password=settings.db.password",
        "password: config.password2",
        "password=user.password_2",
        "password=customer_id_v2",
        "password = crypto.sha256",
        "password: users.0.name",
        "passwords in version 1.12.33 are hashed",
        "the password is checked in release 4.12.33",
        "auth=(\"page\", \"test_login_v2\")",
        "auth=(\"page\", \"users_42.html\")",
    ] {
        stays(text);
    }
}

#[test]
fn an_equals_sign_within_a_password() {
    goes(
        &[
            "password @@",
            "sign in using the password @@",
            "log in as eva with password @@",
            "als Kennwort bitte @@ eintragen",
            "I changed my password from @@ to Kestrel49y".split(" to ").next().unwrap_or_default(),
        ],
        &["PyQ6=rTE6!2sy", "975y=c9pc_Md6", "l7b8=h0z6!V3j", "xg5C=Gu8C!23N"],
    );
    for text in [
        "password KEY1=value2",
        "the password user=eva",
        "password md5=9f86d081884c",
        "password file=shadow2.txt",
    ] {
        stays(text);
    }
}

#[test]
fn digits_and_a_sign_before_the_word() {
    goes(
        &[
            "@@ is my password",
            "@@ ist das Passwort vom Router",
            "use @@ as the password",
            "req.SetBasicAuth(\"ops\", \"@@\")",
            "user,pass\nbob,@@",
        ],
        &["3541!cinnamon", "5632#Libelle", "41!Kangaroo", "123456!cinnamon", "88$walnut"],
    );
    goes(&["auth=('ops', '@@')", "define('DB_PASSWORD', '@@')"], &["7524-hirondelle", "X389-04Q1-r2P"]);
    goes(
        &["mdp du routeur @@", "mot de passe du routeur @@", "password for the router @@"],
        &["!ZJ95PdB6A", "?kQ22mmx8"],
    );
    for text in [
        "2024!important is a year",
        "50%off is my discount",
        "password for the router !important2",
        "-DB_PASS=\n+DB_PORT=Ab5412",
    ] {
        stays(text);
    }
}

#[test]
fn questions_and_their_answers() {
    goes(
        &[
            "was ist das Passwort vom NAS?\neva: @@",
            "wie ist das Passwort vom NAS?\neva: @@",
            "[09:12] Eva: was ist nochmal das Passwort für den NAS?\n[09:13] Ravi: @@",
            "welches passwort hat der nas?\neva: @@",
            "Q: Kennwort für den Beamer?\nA: @@",
            "what was the password again?\neva: @@",
            "c'est quoi le mot de passe du wifi ?\nIsla : @@",
            "c'est quoi le mdp ?\neva : @@",
            "what is the password?\n@@",
            "> what was the password again?\n@@",
            "NAS password?\n@@",
            "who has the password for the vpn?\nbob: it's @@",
            "quel est le mot de passe du NAS ?\n@@",
            "wie lautet das WLAN-Passwort im Büro?\n\n@@",
            "do you remember the wifi password?\nyes: @@",
            "do you remember the wifi password?\nravi: yes, it's @@",
            "[14:02] A: whats the vpn password\n[14:03] Yannick: @@\n[14:03] Xaver: works, ty",
        ],
        &["Walnut664", "Hedgehog48x", "3077-drachenboot"],
    );
    for text in [
        "did you change the password?\nbob: yes, on 2024-11-05",
        "forgot your password?\nClick https://example.net/reset2024",
        "forgot your password?\nRegister2024",
        "what is the password policy?\neva: 12 characters",
        "password?\nversion 2.3",
        "was ist das Passwort?\neva: keine Ahnung, frag Peter",
        "what is the password?\nbob: ask Kevin2",
        "is the password hashed with bcrypt?\nbob: Argon2id",
        "is the password hashed with bcrypt?\nSHA-256",
        "why is the password rejected?\nuser42: it is too short",
        "why does the password fail?\nIssue1234",
        "password reset?\nPR12345",
        "which password hash?\nMD5",
    ] {
        stays(text);
    }
}

#[test]
fn what_else_a_sentence_calls_a_password() {
    goes(
        &[
            "der Schlüssel fürs WLAN ist @@",
            "der Schlüssel für das WLAN lautet @@",
            "la phrase secrète de la sauvegarde est @@",
            "la phrase secrète : @@",
            "the key for the wifi is @@",
            "la clé du wifi est @@",
            "la clé pour le wifi : @@",
            "secret phrase: @@",
            "das Losungswort ist @@",
            "das geheime Wort ist @@",
            "the wifi key is @@",
            "mets @@ en mot de passe",
            "mets @@ comme mot de passe",
            "j'ai mis @@ en mot de passe",
            "le mot de passe a été remplacé par @@",
            "le mot de passe est passé de @@ à @@",
            "Passwort lautete früher @@, jetzt @@",
            "the password was @@ before, now it's @@",
            "das Passwort wurde durch @@ ersetzt",
            "das Passwort wurde von @@ auf @@ geändert",
            "the password was replaced by @@",
            "use @@ for the password",
            "nimm @@ als Passwort",
            "setz @@ als Passwort",
            "take @@ as password",
            "ich habe @@ als Passwort gesetzt",
            "prends @@ pour mot de passe",
            "tapez le mot de passe « @@ »",
            "das Passwort ist „@@“",
            "le mot de passe est «@@»",
            "le mot de passe administrateur a été changé en @@",
            "das Passwort war bisher @@",
            "le mot de passe reste @@",
        ],
        &["Walnut664", "Hedgehog48x"],
    );
    goes(&["la phrase secrète de la sauvegarde est @@", "mdp du routeur @@"], &["8580_drachenboot"]);
    for text in [
        "der Schlüssel für den Cache ist user42",
        "der Schlüssel für die Tabelle ist kunde2024",
        "the key for the cache is user42",
        "mets Windows11 en service",
        "le service est passé de Kangaroo41 à Kestrel48x",
        "replaced by Kangaroo41",
        "le fichier a été remplacé par config2024",
        "der Schlüssel fürs Büro liegt im Raum 204b",
        "mdp du serveur-42",
        "the password for worker-117 was reset",
    ] {
        stays(text);
    }
}

#[test]
fn what_is_said_about_a_password_is_none() {
    for text in [
        "password: required|min:12|confirmed",
        "'password' => 'required|min:12|confirmed',",
        "{\"Password\":\"min:12\"}",
        "{\"password\": \"Password must not be empty\"}",
        "\"password\": \"Please enter your password\"",
        "{\"password\": \"Must be at least 12 characters\"}",
        "{\"passwort\": \"Bitte Passwort eingeben\", \"kennwort\": \"Das Kennwort muss 12 Zeichen haben\"}",
        "password regex: ^(?=.*[A-Z]).{12,}$",
        "\"password\": \"^(?=.*[A-Z]).{12,}$\"",
        "docker run -p 127.0.0.1:8080:80 app",
        "'password' => 'required|confirmed',",
        "{\"password\": \"Password required\", \"passwort\": \"Mindestens 12 Zeichen\"}",
        "docker run -p 8000-8010:8000-8010 -p 53:53/udp app",
        "idempotency key c3c98349-7eed-4776-a812-f8235047d29c",
        "cache key c3c98349-7eed-4776-a812-f8235047d29c",
        "numéro de client 9492022076",
        "postgres://user:password@localhost:5432/db",
    ] {
        stays(text);
    }
    goes(
        &[
            "SET PASSWORD FOR 'eva'@'%' = PASSWORD('@@');",
            "docker login -u ci -p @@ quay.io",
            "{\"password\":\"@@\"}",
        ],
        &["Walnut664", "Hedgehog48x"],
    );
    check("{\"password\":\"correct horse battery staple\"}", "{\"password\":\"[PASSWORD]\"}");
    check("the secret key c3c98349-7eed-4776-a812-f8235047d29c", "the secret key [API_KEY]");
    check("numéro de portable 0612345678", "numéro de portable [PHONE_NUMBER]");
    check("numéro de téléphone de Paul 0612345678", "numéro de téléphone de Paul [PHONE_NUMBER]");
    for (user, secret) in [("app", "password"), ("admin", "pass"), ("eva", "pw"), ("root", "passwort")] {
        check(&format!("postgres://{user}:{secret}@db/x"), &format!("postgres://{user}:[URL_PASSWORD]@db/x"));
    }
    for phrase in [
        "please let me in 2024!",
        "You must be kidding 99",
        "must have been love 1987",
        "my password 2024!",
        "golden field 99",
        "Password 12345",
        "required|hunter",
        "^Kestrel.*48x",
    ] {
        check(&format!("{{\"password\":\"{phrase}\"}}"), "{\"password\":\"[PASSWORD]\"}");
    }
    check("mysql -uroot -p2024.12.31-7 db", "mysql -uroot -p[PASSWORD] db");
    check("postgres://user:pass2word@localhost:5432/db", "postgres://user:[URL_PASSWORD]@localhost:5432/db");
}

#[test]
fn french_numbers_in_pairs_with_slashes() {
    for (text, entity) in [
        ("tél : @@", "PHONE_NUMBER"),
        ("vous pouvez me joindre au @@", "PHONE_NUMBER"),
        ("rappeler Paul au @@ avant midi", "PHONE_NUMBER"),
        ("{\"telephonePortable\":\"@@\"}", "PHONE_NUMBER"),
    ] {
        for value in ["04/53/79/58/49", "06/12/34/56/78", "01/28/40/05/25"] {
            check(&text.replace("@@", value), &text.replace("@@", &format!("[{entity}]")));
        }
    }
    check(
        "Ligne directe : 01 23 45 67 89\nPort. : 03 51 66 61 18",
        "Ligne directe : [PHONE_NUMBER]\nPort. : [PHONE_NUMBER]",
    );
    for text in [
        "le 06/12/2024",
        "dates 06/12/24, 07/12/24",
        "lot 04/53/79/58/49",
        "tirage du loto: 04/23/29/38/49",
        "01/02/03/04/05",
    ] {
        stays(text);
    }
}

#[test]
fn addresses_behind_a_word_and_a_colon() {
    for head in ["v=spf1 ip6:", "address:", "ip4:188.7.156.64 ip6:"] {
        let text = format!("{head}2a01:5717:6d96::3f8a -all");
        let four = head.replace("188.7.156.64", "[IP_ADDRESS]");
        check(&text, &format!("{four}[IP_ADDRESS] -all"));
    }
    for text in ["std::2a01:5717", "ip6:2a01:5717:6d96::/48"] {
        stays(text);
    }
}

#[test]
fn disguises_within_what_is_encoded() {
    check("AHV-Nr. 77yX77yV77yWIO+8l++8kO+8ku+8kiDvvJfvvJPvvJPvvJAg77yR77yX", "AHV-Nr. [CH_AHV]");
    check("SVNR: 77yX77yW77yV77yZIO+8kO+8lyDvvJDvvJYg77yX77yU", "SVNR: [AT_SVNR]");
    check("e-mail d%D0%B0gny%40%6Dailbox.org", "e-mail [EMAIL_ADDRESS]");
    // `glpat-` with a Cyrillic `а` and `р`.
    check("le jeton : %67l%D1%80%D0%B0t%2DaB3dE6gH9%6AK1mN4pQ7rS", "le jeton : [GITLAB_TOKEN]");
}

#[test]
fn members_that_ask_and_members_that_say_what_a_secret_is() {
    goes(
        &[
            r#"{"question": "Password?", "answer": "@@"}"#,
            r#"{"answer": "@@", "question": "What is the WLAN password?"}"#,
            "question: Password?\nanswer: @@",
            "- secretName: db-password\n  secretValue: @@",
            r#"{"secretName": "db-password", "secretValue": "@@"}"#,
            r#"{"secret_name": "db-password", "secret_value": "@@"}"#,
        ],
        &["Kangaroo661", "gS91-WM7q-2RL"],
    );
    for key in ["bearer", "totp", "passwordSalt", "secretValue"] {
        let member = |value: &str| format!(r#"{{"auth": {{"{key}": "{value}"}}}}"#);
        check(&member("qC9fbpdUlqYgvunW6r0VIeqwtEKKS5pr"), &member("[API_KEY]"));
        for text in ["none", "enabled", "true", "${SECRET}"] {
            check(&member(text), &member(text));
        }
    }
    for text in [
        r#"{"question": "What is the password policy?", "answer": "At least twelve characters"}"#,
        r#"{"question": "Where do I reset my password?", "answer": "Under settings, account"}"#,
        r#"{"question": "Favourite colour?", "answer": "blue42"}"#,
        "the ring bearer: Frodo Baggins",
    ] {
        check(text, text);
    }
}

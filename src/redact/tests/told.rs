//! What programs, devices and people are told: each form with passwords of three kinds, and beside it what looks like it.

use super::*;

/// A word and digits, a name with a capital, one with signs.
const PASSWORDS: &[&str] = &["thunder6751", "Kestrel48x", "22Papillon!Schnee", "aQ7xK2mPz9Lw"];

/// Of each form exactly the value goes, which stands for `@@`.
#[track_caller]
fn goes(entity: &str, forms: &[&str], values: &[&str]) {
    for form in forms {
        for value in values {
            check(&form.replace("@@", value), &form.replace("@@", &format!("[{entity}]")));
        }
    }
}

#[test]
fn an_option_of_two_dashes_is_not_its_letter() {
    goes(
        "PASSWORD",
        &[
            "mysql -u root --password @@ db",
            "mysql --user=root --password=@@",
            "mysqldump --password=@@ db",
            "mysql -u root -p@@ app",
            "7z x -p@@ a.7z",
        ],
        PASSWORDS,
    );
    for command in ["mysql", "mysqldump", "7z x", "sshpass", "zip", "redis-cli", "ldapsearch"] {
        for option in [
            "--port=3306",
            "--protocol=tcp",
            "--pager=less",
            "--parallel=4",
            "--progress=on9",
            "--all=12345",
            "--Path=x2y3",
        ] {
            stays(&format!("{command} {option} -h db1"));
        }
    }
}

#[test]
fn the_last_heading_of_a_table_takes_no_row() {
    for sign in [",", ";", "|", "\t", ", "] {
        let row = |fields: [&str; 3]| fields.join(sign);
        let text =
            [row(["service", "username", "password"]), row(["grafana", "admin", "Ch0u3tt3#0"])].join("\n");
        check(&text, &text.replace("Ch0u3tt3#0", "[PASSWORD]"));
    }
    check("user;password\neva;Ch0u3tt3#0\nbob;Tr4mp0l!n7", "user;password\neva;[PASSWORD]\nbob;[PASSWORD]");
    // No table: the word alone above its value.
    check("Your password\nKestrel!48x", "Your password\n[PASSWORD]");
}

#[test]
fn told_to_a_program() {
    let forms = &[
        "redis-cli --pass @@ ping",
        "keytool -list -storepass @@ -keystore a.jks",
        "keytool -genkey -keypass @@ -alias x",
        "smbclient //srv/share -U eva%@@",
        "rpcclient -U 'ACME/eva%@@' host",
        "wpa_passphrase Home @@",
        "wpa_passphrase \"My Home\" \"@@\"",
        "sudo -S <<< '@@'",
        "sudo -S apt update <<< \"@@\"",
        "expect \"password:\" { send \"@@\\r\" }",
        "expect \"*password:*\"\nsend \"@@\\r\"",
        "child.expect('password:')\nchild.sendline('@@')",
        "USER eva\nPASS @@",
        "USER eva\r\nPASS @@\r\n",
        "12:10:20 DEBUG bot - USER eva\nPASS @@\n",
        "config set requirepass @@",
        "C: USER eva\nS: 331 Please specify it\nC: PASS @@",
        "user eva pass @@",
        "mysql -uroot -p @@ db",
    ];
    goes("PASSWORD", forms, PASSWORDS);
    goes("URL_PASSWORD", &["http --auth bob:@@ example.net", "http --auth=bob:@@ example.net"], PASSWORDS);
    for text in [
        "mysql -u root -p shop2 < dump2.sql",
        "mysql -uroot -p mydb",
        "sudo -S <<< \"$PASS\"",
        "sudo -S apt update2",
        "wpa_passphrase ssid passphrase",
        "date -U %H%M",
        "rsync -U eva%20x%20y",
        "redis-cli --pass $REDIS_PASS",
        "--bypass through",
        "PASS test_login2",
        "PASS src/app2.test.ts",
        "first pass: 25 errors",
        "expect \"password:\" { send_user \"ready\" }",
    ] {
        stays(text);
    }
}

#[test]
fn told_to_a_device() {
    let forms = &[
        "enable secret @@",
        "enable secret 0 @@",
        "enable secret 5 @@",
        "enable password @@",
        "username admin secret @@",
        "username admin privilege 15 secret 0 @@",
        "username admin privilege 15 password 0 @@",
        "username admin password 7 @@",
        "snmp-server community @@ RO",
    ];
    goes("PASSWORD", forms, PASSWORDS);
    goes("PASSWORD", forms, &["VZ6K7=4kEGag", "54Zimtstern.Bretagne", "viVpBQn4aVUV"]);
    for text in [
        "enable secret rotation",
        "the secret 5 rules",
        "username is a secret",
        "snmp-server community public RO",
        "community forum2024x",
        "password 8 characters long",
    ] {
        stays(text);
    }
}

#[test]
fn a_sign_of_assignment_within_what_was_made_up() {
    goes(
        "PASSWORD",
        &[
            "password @@",
            "Kennwort @@",
            "mot de passe @@",
            "set_var(\"DB_PASSWORD\", \"@@\")",
            "machine x.net login eva password @@",
        ],
        &["GPA87=ux4RT8", "rKb0G=ToQQ6E", "3H84Z=jz5tq0"],
    );
    for text in [
        "password KEY=value2",
        "password DB_USER=admin2",
        "password user=eva2",
        "password maxlength=20",
        "password PGHOST=db1",
    ] {
        stays(text);
    }
}

#[test]
fn a_key_before_what_it_is() {
    let hex = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
    for key in [hex.to_owned(), format!("0x{hex}"), random(40)] {
        for called in [
            "is my eth private key",
            "is the API key",
            "ist mein geheimer Schl\u{fc}ssel",
            "est ma cl\u{e9} priv\u{e9}e",
        ] {
            check(&format!("{key} {called}"), &format!("[API_KEY] {called}"));
        }
        for called in
            ["is the digest", "is the public key", "is the primary key", "and the key", "is it. The key fits"]
        {
            stays(&format!("{key} {called}"));
        }
    }
}

#[test]
fn asked_for_in_the_line_above() {
    let values = &["Kestrel48x", "bRJ0mzVVDo", "ny5und1Lkq", "22Papillon!Schnee"];
    goes(
        "PASSWORD",
        &[
            "whats the vpn password\n[14:03] Bogdan: @@",
            "whats the vpn password?\n[14:03:22] Bogdan: @@",
            "14:02 eva: the password pls\n14:03 bob: @@",
            "A: what is the wifi password?\nB: @@",
            "A: what is the wifi password?\r\nB: it's @@",
            "A: wie lautet das WLAN-Passwort?\nB: @@",
            "Anna: c'est quoi le mot de passe ?\nLuc: @@",
        ],
        values,
    );
    for text in [
        "A: what is the wifi password?\nB: no idea2",
        "A: what is the wifi password?\nB: section4 tells",
        "A: what is the wifi password?\nB: server01 has it",
        "A: what is the wifi password?\nB: ask Server01 there",
        "A: did you reset the password?\nB: yes",
    ] {
        stays(text);
    }
}

#[test]
fn what_was_done_with_it_behind_it() {
    goes(
        "PASSWORD",
        &[
            "als Passwort hab ich @@ genommen",
            "ich habe das Passwort in @@ ge\u{e4}ndert",
            "ich habe als Kennwort jetzt @@ gesetzt",
            "mot de passe provisoire @@",
        ],
        &["thunder6751", "GVCN2lH2", "Kestrel48x"],
    );
    for text in [
        "ich habe das Passwort in config2 ge\u{e4}ndert",
        "das Passwort in server01 ge\u{e4}ndert",
        "Passwort in Office2019 ge\u{e4}ndert",
        "ich habe server6751 genommen",
        "das Passwort vom server01 ist neu",
    ] {
        stays(text);
    }
}

/// A password may begin with the sign; what code compares with is none.
#[test]
fn behind_two_signs() {
    for value in ["22Z3=Kq8bTy1", "Kestrel48x", "22Z3Kq8bTy1", "9b!Tulip"] {
        check(&format!("password=={value}"), "password=[PASSWORD]");
        check(&format!("x DB_PASSWORD=={value} y"), "x DB_PASSWORD=[PASSWORD] y");
    }
    for text in [
        "if password==oldPassword2:",
        "if user.password==form.password2 then",
        "if password==confirm&&x==y2:",
        "if (password==getPass2()) {",
        "my-password==1.0.0rc1",
        "password==1.2.3",
        "token==other_token_22",
        "password == confirmed2",
    ] {
        stays(text);
    }
}

#[test]
fn who_gets_in_and_what_a_server_is_told() {
    for value in ["Kestrel48x", "kestrel4810", "Blaub33r!9"] {
        for form in [
            "get in with ops / @",
            "you can get in with ops / @ today",
            "got into the box with ops / @",
            "komm mit ops / @ rein",
            "melde dich mit ops / @ an",
            "connecte-toi avec ops / @",
            "AUTH @",
            "redis> AUTH @",
            "127.0.0.1:6379> auth default @",
            "redis-cli -h cache AUTH @",
            "redis.call('AUTH', '@')",
            "{\"command\":\"AUTH eva @\"}",
            "{\"args\":[\"AUTH\",\"@\"]}",
            "ACL SETUSER eva on >@ ~* +@all",
        ] {
            if form.contains(" / ") && value == "kestrel4810" && !form.starts_with("get") {
                continue;
            }
            let form = form.replace("+@all", "+all");
            check(&form.replace('@', value), &form.replace('@', "[PASSWORD]"));
        }
    }
    for text in [
        "250-AUTH PLAIN LOGIN CRAM-MD5",
        "AUTH TLS1.2",
        "auth service2",
        "the AUTH service v2Beta is up",
        "it works with Python / Django42x",
        "getting started with nginx / OpenSSL30x",
    ] {
        stays(text);
    }
}

/// However short: what decodes to a name and a password, behind a word that says so.
#[test]
fn short_credentials_in_base64() {
    for value in ["YTpi", "ZXZhOng=", "ZXZhOmtlc3Q=", "ZXZhOmtlc3Qx"] {
        for form in
            ["Basic @", "Authorization: Basic @", "authorization: basic @", "{\"authorization\":\"basic @\"}"]
        {
            let out = redactor().line(&form.replace('@', value)).into_string();
            assert!(!out.contains(value) || value == "YTpi" && form.contains("{"), "{out}");
        }
    }
    for form in
        ["auth: @", "creds: @", "base64: @ ok", "credentials in base64 are @", "token=@", "{\"auth\":\"@\"}"]
    {
        let out = redactor().line(&form.replace('@', "ZXZhOng=")).into_string();
        assert!(!out.contains("ZXZhOng"), "{out}");
    }
    check("userPassword:: a2VzdHJlbDQ4", "userPassword:: [PASSWORD]");
    for text in
        ["Basic auth", "Basic setup is done", "x = \"ZXZhOng=\"", "base64: aGVsbG8=", "Basic d29ybGQ here"]
    {
        stays(text);
    }
}

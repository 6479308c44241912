//! Credentials by what stands beside, above or before them: values from a generator, each form with what only looks
//! like it.

use super::*;

/// A linear congruence; the seed is the case.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn symbols(&mut self, of: &str, count: usize) -> String {
        (0..count).map(|_| char::from(of.as_bytes()[self.below(of.len())])).collect()
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const ALNUM: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// What a person makes up, with a sign and digits.
fn made_up(dice: &mut Dice) -> String {
    let word = dice.pick(&["Tulpen", "Marmot", "Kestrel", "Hibou", "Dohle", "Sturm"]);
    format!("{word}{}{}", dice.pick(&["!", "#", "$", "&"]), 100 + dice.below(9000))
}

/// What a machine makes.
fn key(dice: &mut Dice) -> String {
    loop {
        let key = dice.symbols(ALNUM, 24);
        let has = |of: fn(&u8) -> bool| key.bytes().filter(of).count() > 2;
        if has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) {
            return key;
        }
    }
}

/// Of each form: at most `permille` of 400 values stay.
#[track_caller]
fn goes(permille: usize, forms: &[&str], make: fn(&mut Dice) -> String) {
    let redactor = redactor();
    for form in forms {
        let stay = |seed: u64| {
            let value = make(&mut Dice(seed));
            let once = redactor.line(&form.replace("@@", &value));
            assert_eq!(redactor.line(once.as_str()).as_str(), once.as_str(), "twice is once");
            once.as_str().contains(&value).then(|| once.into_string())
        };
        let stayed: Vec<_> = (1..=400).filter_map(stay).collect();
        assert!(stayed.len() * 1000 <= permille * 400, "{} of 400: {:?}", stayed.len(), stayed.first());
    }
}

#[test]
fn named_beside_the_value() {
    goes(
        0,
        &[
            "env:\n  - name: DB_PASSWORD\n    value: @@\n",
            "env:\n  - name: DB_PASSWORD\n    value: \"@@\"\n",
            "- {name: SMTP_PASS, value: '@@'}",
            "{\"name\":\"DB_PASSWORD\",\"value\":\"@@\"}",
            "{\"value\" : \"@@\" , \"name\" : \"DB_PASSWORD\"}",
            "see {\"key\": \"dbPassword\", \"value\": \"@@\"}",
            "{\"password\":{\"value\":\"@@\"}}",
            "see {\"password\": {\"value\": \"@@\"}}",
            "password:\n  value: @@",
            "<add key=\"DbPassword\" value=\"@@\"/>",
            "[\"password\",\"@@\"]",
        ],
        made_up,
    );
    goes(
        0,
        &[
            "{\"name\":\"X-Api-Key\",\"value\":\"@@\"}",
            "{\"key\":\"apiKey\",\"value\":\"@@\",\"enabled\":true}",
            "[\"x-api-key\", \"@@\"]",
            "- name: API_TOKEN\n  value: @@",
        ],
        key,
    );
    for text in [
        "- name: password\n  value: Passwort",
        "{\"name\":\"password\",\"value\":\"Mot de passe\"}",
        "{\"name\":\"DB_HOST\",\"value\":\"Tulpen!4711\"}",
        "{\"password\":{\"type\":\"string\",\"description\":\"Twelve characters or more, v2\"}}",
        "[\"password\",\"username\"]",
        "[\"password\",\"Tulpen!4711\",\"x\"]",
        "name: DB_HOST\nvalue: Tulpen4711x",
        "{\"name\":\"set_password\",\"description\":\"v2 of it\"}",
    ] {
        stays(text);
    }
}

#[test]
fn named_above_the_value() {
    goes(
        0,
        &[
            "user,password\nlena,@@\n",
            "password,user\n@@,lena\n",
            "user;kennwort;rolle\nmoser;@@;admin",
            "nom;mot de passe\nines;@@",
            "Name\tPasswort\nlena\t@@",
            "| user | password |\n|---|---|\n| bo | Dohle#11 |\n| lena | @@ |",
            "\"user\",\"password\"\n\"lena\",\"@@\"",
        ],
        made_up,
    );
    goes(0, &["id,api_key\n1,@@\n", "name,token\nci,@@", "| id | secret |\n| 1 | @@ |"], key);
    for text in [
        "user,comment\nlena,Tulpen!4711",
        "id,password_rounds\n1,rounds600000",
        "[\n\"TR31_M3_ISO_9797_3_MAC_KEY\",\n\"TR31_M7_HMAC_KEY\",\n\"TR31_P1_PIN_KEY\"\n]",
        "f(aes_128, TEST_128_BIT_KEY, 16);\nf(aes_256, TEST_256_BIT_KEY, 16);",
    ] {
        stays(text);
    }
}

#[test]
fn named_by_more_names() {
    goes(
        0,
        &[
            "SMTP_PASS=@@",
            "REDIS_PASS: @@",
            "X_PASS=@@",
            "DB_PW=@@",
            "adminPw = \"@@\"",
            "ansible_ssh_pass=@@",
            "requirepass @@",
            "masterauth @@",
            "IDENTIFIED BY '@@';",
            "http -a user:@@ example.com",
            "htpasswd -b file user @@",
            "zip -P @@ out.zip x",
            "unzip -P @@ in.zip",
            "sqlplus scott/@@@orcl",
            "echo \"@@\" | docker login -u ci --password-stdin",
            "echo @@ | sudo -S ls",
        ],
        made_up,
    );
    let forms = ["SECRET_KEY_BASE=@@", "GH_PAT=@@", "SALT=@@", "session id @@", "sid=@@", "session=@@"];
    goes(15, &forms, key);
    for text in [
        "bypass = Tulpen4711",
        "first_pass=done2x",
        "salt: 2 pinches",
        "session: 12",
        "AWS::Macie::Session: d3f89daf6dae9887",
        "arn:aws:devicefarm:us-west-2:1:session:EXAMPLE-GUID-123-456",
        "zip -P",
        "grep -P 'a1b2c3'",
        "echo done1x | sort -S 2G",
        "IDENTIFIED BY RANDOM_PASSWORD",
        "path a/b1c2d3@orcl",
    ] {
        stays(text);
    }
}

#[test]
fn letters_alone_that_no_word_is_made_of() {
    const FORMS: &[&str] =
        &["password=@@", "PGPASSWORD=@@ psql", "Passwort: @@", "mot de passe : @@", "pass: @@"];
    goes(80, FORMS, |dice| dice.symbols(LETTERS, 8));
    goes(30, FORMS, |dice| dice.symbols(LETTERS, 12));
    goes(10, FORMS, |dice| dice.symbols(LETTERS, 20));
    goes(330, FORMS, |dice| dice.symbols(LOWER, 8));
    goes(110, FORMS, |dice| dice.symbols(LOWER, 12));
    goes(30, FORMS, |dice| dice.symbols(LOWER, 20));
    let tokens = [
        "the token is @@",
        "Das Token lautet @@",
        "API key @@",
        "define(\"SECRET\", \"@@\")",
        ".setToken(\"@@\")",
        "Geheimnis: @@",
    ];
    goes(20, &tokens, |dice| dice.symbols(LETTERS, 24));
    goes(0, &["passphrase: @@"], |dice| {
        let words = ["correct", "horse", "battery", "staple", "harbour", "lantern"];
        (0..4).map(|_| dice.pick(&words)).collect::<Vec<_>>().join(" ")
    });
    for text in [
        "Passwort: Geändert",
        "Passwort: unverändert",
        "password: Required",
        "password: newUserPassword",
        "password = getPasswordFromKeyring",
        "password: abgelaufen",
        "mot de passe : oublié",
        "mot de passe : expiré",
        "pass options to TbsCertificate parser",
        "the key getUserNameByIdFromCache is used",
        "the token is invalidatedOnLogoutByServer",
        "passphrase: must have four words at least",
        "the password is case-sensitive",
    ] {
        stays(text);
    }
}

#[test]
fn keys_of_eight_to_fifteen_characters() {
    const FORMS: &[&str] =
        &["APP_SECRET=@@", "AUTH_TOKEN=@@", "SIGNING_KEY=@@", "{\"clientSecret\":\"@@\"}", "api_key=@@"];
    goes(30, FORMS, |dice| {
        loop {
            let length = 8 + dice.below(8);
            let key = dice.symbols(ALNUM, length);
            let has = |of: fn(&u8) -> bool| key.bytes().any(|b| of(&b));
            if has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) {
                return key;
            }
        }
    });
    for text in [
        "token = TOKEN_IDENT2",
        "secret: my-secret-name-1",
        "apiKeyRef: openai-key-v2",
        "api_key=API_KEY_2",
        "token: Token = Identifier2",
        "primary_key: customerId2",
        "let private_key = RsaKeyPair::from_pkcs8($key).unwrap();",
        "secret = vec![42u8; 12]",
        "colon2_token: node.colon2_token",
    ] {
        stays(text);
    }
}

#[test]
fn passwords_in_labels_and_sentences() {
    goes(
        0,
        &[
            "Zugangsdaten: moser / @@",
            "WLAN-Schlüssel: @@",
            "WLAN-Key: @@",
            "als Kennwort hat er @@ gesetzt",
            "Zugangscode: @@",
            "Einmalpasswort @@",
            "clé wifi : @@",
            "code d'accès : @@",
            "mon mot de passe est devenu @@",
            "login: lena / @@",
            "creds are lena/@@",
            "credentials: lena @@",
            "Password - @@",
            "p/w: @@",
            "it was reset to @@",
            "it says wrong password for @@",
            "use @@ as the password",
            "le code, c'est @@ (mot de passe)",
        ],
        made_up,
    );
    for text in [
        "login: see the wiki",
        "login: see wiki/page12",
        "credentials are stored/kept in Vault",
        "return log(1/arg + sqrt(1/arg**2 + 1))",
        "password - see below",
        "Password reset is available in Settings2 now",
        "The password is stored in LastPass2.",
        "Zugangscode: siehe Brief",
        "code d'accès : voir le coffre",
        "PASS: test_login_v2",
        "tests pass: 812/812",
        "PINs reset to default",
    ] {
        stays(text);
    }
}

#[test]
fn references_and_code_under_the_name_of_a_password() {
    for text in [
        "password = auth[2]",
        "password == sim_auth[1]",
        "if password != stored_password1:",
        "pw = pw[:-1]",
        "password = user.password_v2",
        "password: op://vault/db/password1",
        "password: arn:aws:secretsmanager:eu-central-1:1:secret:db-1",
        "password: ENC[AES256_GCM,data:abc123]",
    ] {
        stays(text);
    }
}

#[test]
fn named_in_the_line_above() {
    goes(
        0,
        &[
            "Passwort:\n@@",
            "Password:\r\n  @@\r\n",
            "Ihr Kennwort lautet:\n\n    @@\n\nLiebe Grüße",
            "Benutzer:\neva\nPasswort:\n@@",
            "Your temporary password is below:\n\n`@@`",
            "Dein Passwort lautet wie folgt:\n> @@\n",
            "Votre mot de passe est :\n@@",
            "{\"text\":\"Mot de passe :\\n@@\"}",
            "User\neva\nPassword\n@@\n",
            "Passwort:\n@@ Viele Grüße",
        ],
        made_up,
    );
    goes(
        15,
        &[
            "API key:\n@@",
            "Secret:\n\n@@\n",
            "API-Schlüssel:\n  @@",
            "Your token is:\n`@@`",
            "Clé API :\n@@\nMerci",
            "{\"text\":\"Your API key:\\n@@\"}",
        ],
        key,
    );
    for text in [
        "Password:\n- at least 8 characters",
        "password:\n  type: string\n  minLength: 8",
        "Passwords:\n\nsee section2 below",
        "Password:\nsha256",
        "Passwort:\nTestfall42 ist rot",
        "the password\nis stored in LastPass2.",
        "I forgot my password\nVersion-4.2 says",
        "change the password:\n1. open the app",
        "reset your password here:\nhttps://example.com/reset/a1",
        "The key point is:\n9ce5d6e951cc8a12110eb35814bd805bb7e39e00 is the commit",
        "see the key\n9ce5d6e951cc8a12110eb35814bd805bb7e39e00",
    ] {
        stays(text);
    }
}

#[test]
fn keys_that_look_like_none_under_a_name_that_says_all() {
    // One of a thousand secrets has no digit, and some keys change seldom between capitals and small letters.
    let secret = |dice: &mut Dice| {
        let capitals = dice.symbols("ABCDEFGHIJKLMNOPQRSTUVWXYZ", 10);
        format!("{}+{capitals}/{}", dice.symbols(LOWER, 14), dice.symbols(LETTERS, 14))
    };
    goes(
        0,
        &["AWS_SECRET_ACCESS_KEY=@@", "aws_secret_access_key = @@", "{\"SecretAccessKey\":\"@@\"}"],
        secret,
    );
    let seldom = |dice: &mut Dice| {
        let capitals = dice.symbols("BCDFGHJKLMNPQRSTVWXZ", 8);
        format!(
            "{}{capitals}{}{}",
            dice.symbols("bcdfghjkmnpqrstvwxz", 5),
            dice.below(10),
            dice.symbols(LETTERS, 10)
        )
    };
    goes(15, &["Token @@", "API-Schlüssel: @@", "the secret is @@", "clé : @@"], seldom);
    for text in [
        "AWS_SECRET_ACCESS_KEY=path/to/my/secret/in/vault/production/xy",
        "the token CSRFProtectMiddlewareV2HTTPXyz is read",
        "the key UTF8ToUTF16LEConverter is used",
        "secret SSLv3HTTPSXMLRPCServer",
        "key KeyboardLayoutQWERTZ105DE",
    ] {
        stays(text);
    }
}

#[test]
fn told_by_the_call_or_the_question_around_it() {
    goes(
        0,
        &[
            "requests.get(url, auth=HTTPBasicAuth('svc', '@@'))",
            "auth=(\"admin\", \"@@\")",
            "auth = ( 'admin' , '@@' )",
            "smtp.login(\"a@b.example\", \"@@\")",
            "new NetworkCredential(\"svc\", \"@@\")",
            "client.authenticate('eva',\"@@\")",
            "Is @@ a strong password?",
            "Is \"@@\" really a good password for this?",
            "Ist @@ ein sicheres Kennwort?",
            "would @@ be a good passphrase?",
            "Est-ce que @@ est un bon mot de passe ?",
            "use @@? as the password",
            "j'ai mis @@? comme mot de passe",
        ],
        made_up,
    );
    for text in [
        "client.login(\"de-AT\", \"utf8mb4\")",
        "login(\"page1.html\", \"page2.html\")",
        "login('x1', 'test_login_v2')",
        "connect('host1', 'Tulpen!4711')",
        "auth=(\"admin\", os.environ[\"PW2\"])",
        "auth=('admin', '${ADMIN_PW2}')",
        "Is bcrypt2 a strong password hash?",
        "Is Office2019 a good password manager?",
        "Ist KeePass2 ein gutes Passwort-Tool?",
        "Is Kestrel48 a strong release?",
        "does it work with step2x? as the user said",
    ] {
        stays(text);
    }
}

#[test]
fn told_in_still_other_words() {
    goes(
        0,
        &[
            "changed my password from old?pw2x to @@",
            "Passwort von Marmot!77x auf @@ geändert",
            "mot de passe changé de Hibou#77x à @@",
            "it says wrong password but I typed @@",
            "@@ war das Passwort; jetzt nicht mehr",
            "cred: admin @@",
            "le code d'accès est @@",
            "Zugriffscode ist @@",
            "the access code is @@",
            "root password \u{2192} @@",
            "admin:@@ are the credentials",
            "user=root&password=@@",
            "j'ai changé le mot de passe en @@",
            "-p '@@' -u root",
            "net use Z: //srv/share @@ /user:jane",
            "bind as cn=admin,dc=acme,dc=net / @@",
        ],
        made_up,
    );
    for text in [
        "the access code is in Vault2",
        "le code est HTTP404x",
        "I entered the password and typed step2x",
        "code wifi est sur la box2",
        "docker run -p '8080:80' -u root",
        "tar -p 'dist' -u root",
        "use Z: //srv/share Tulpen!4711 /user:jane",
        "read a,b / Tulpen4711",
    ] {
        stays(text);
    }
    check("document number VK4N5GF1F6", "document number [DE_ID_CARD]");
}

#[test]
fn in_commands_declarations_calls_and_files() {
    let forms = [
        r#"curl -su 'ops:{}' https://h/"#,
        r#"curl -sSu ops:{} https://h/"#,
        r#"curl -ku "ops:{}" https://h/"#,
        r#"curl -fsSLu ops:{} https://h/"#,
        r#"curl --user=ops:{} https://h/"#,
        r#"curl -x p:3128 -U ci:{} https://h/"#,
        r#"const adminPassword: string = "{}""#,
        r#"  password?: string = '{}'"#,
        r#"var dbPassword string = "{}""#,
        r#"pub const DB_PASSWORD: &str = "{}";"#,
        r#"pub static DB_PASSWORD: &'static str = "{}";"#,
        r#"val dbPassword: String = "{}""#,
        r#"redis.auth("{}")"#,
        r#"DriverManager.getConnection(url,"app","{}")"#,
        r#"DriverManager.getConnection("jdbc:postgresql://db/app", "app", "{}")"#,
        r#"new PDO($dsn,'app','{}')"#,
        r#"mysqli_connect(h,"app","{}","db")"#,
        r#"REDISCLI_AUTH={}"#,
        r#"echo 'root:{}' | chpasswd"#,
        r#"echo "root:{}" | sudo chpasswd"#,
        r#"bindpw {}"#,
        r#"localhost:5432:app:ops:{}"#,
        r#"*:*:*:ops:{}"#,
        "Content-Disposition: form-data; name=\"password\"\n\n{}\n--b",
        "Content-Disposition: form-data; name=\"password\"\r\n\r\n{}\r\n--b",
    ];
    goes(0, &forms, |dice| format!("Kes{}trel!{}", dice.below(90) + 10, dice.below(90) + 10));
    check(
        "DSN https://0a1b2c3d4e5f60718293a4b5c6d7e8f9@sentry.example/4",
        "DSN https://[URL_PASSWORD]@sentry.example/4",
    );
    for key in [
        "Pe41H4jV89h^Tb!ZND#k2(m9x_q7w&e5r*t3y-u1i8o6p$a",
        "django-insecure-pe41h4jv89h^tb!znd#k2(m9x_q7w&e5r*t3y-u1i8o6p$a",
    ] {
        check(&format!("SECRET_KEY = '{key}'"), "SECRET_KEY = '[API_KEY]'");
    }
}

#[test]
fn what_only_looks_like_such_commands_declarations_calls_and_files_stays() {
    for text in [
        r#"const adminPassword: string = getPassword();"#,
        r#"password?: string = undefined"#,
        r#"const tokenType: string = "Bearer""#,
        r#"const PASSWORD_LABEL: &str = "Your password";"#,
        r#"curl -su "$USER:$PASS" https://h/"#,
        r#"curl -Lu https://h/"#,
        r#"tar -xu a:bcdef1 file"#,
        r#"DriverManager.getConnection(url, "app", "page2.html")"#,
        r#"query(sql, "app", "user48name")"#,
        r#"src/main.rs:1234:col:warning:unused2x here"#,
        r#"12:34:56:78:foo12bar"#,
        r#"echo "status: ok2go" | tee log"#,
        r#"echo name:value12 | grep x"#,
        r#"git log 0a1b2c3d4e5f60718293a4b5c6d7e8f9"#,
        r#"https://example.com/0a1b2c3d4e5f60718293a4b5c6d7e8f9@2x.png"#,
        r#"bindpw secret"#,
        "Content-Disposition: form-data; name=\"password\"\n\n\n--b",
        "Content-Disposition: form-data; name=\"note\"\n\nKestrel48!x\n--b",
    ] {
        stays(text);
    }
}

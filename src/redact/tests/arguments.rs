//! Credentials that stand in a string of their own: arguments of a command, lists, fields of forms, declared defaults, calls;
//! and what stands in the same places and is none.

use super::*;

const PASSWORDS: &[&str] = &["Kestrel48x", "70Tournesol.Sonntag", "kestrel4810", "Blaub33r!"];

/// `value` of `form` goes, for each of the passwords, and so it does in a string of JSON.
#[track_caller]
pub(super) fn goes(form: &str) {
    for password in PASSWORDS {
        let text = form.replace('@', password);
        let expected = form.replace('@', "[PASSWORD]");
        let shown = |text: &str| shape(text).replace("[URL_PASSWORD]", "[PASSWORD]");
        assert_eq!(shown(redactor().line(&text).as_str()), expected);
        let json = |text: &str| serde_json::json!({ "a": text }).to_string();
        assert_eq!(shown(redactor().line(&json(&text)).as_str()), json(&expected));
        let once = redactor().line(&text).into_string();
        assert_eq!(redactor().line(&once).as_str(), once);
    }
}

#[test]
fn arguments_behind_an_option_go() {
    for list in [
        r#"["docker","login","--password","@"]"#,
        r#"["app","-v","--db-password", "@", "--port", "8080"]"#,
        r#"["docker","login","-u","ci","-p","@"]"#,
        r#"["sshpass","-p","@","ssh","host"]"#,
        r#"["curl","-u","eva:@","https://x.example"]"#,
        r#"["mysql","-u","root","-p@","app"]"#,
        r#"["redis-cli","AUTH","@"]"#,
    ] {
        goes(list);
        goes(&format!("{{\"argv\":{list}}}"));
        goes(&format!("CMD {list}"));
        goes(&format!("subprocess.run({})", list.replace('"', "'")));
    }
    goes("args:\n  - --db-password\n  - @\n  - --port\n  - \"8080\"");
    goes(r#"{"command":"sshpass","args":["-p","@","ssh"]}"#);
    check(
        r#"{"command":"mysql","args":["-u","root","-p","Kestrel48x"]}"#,
        r#"{"command":"mysql","args":["-u","root","-p","[PASSWORD]"]}"#,
    );
    check(r#"{"args":["mysql","-p","Kestrel48x"]}"#, r#"{"args":["mysql","-p","[PASSWORD]"]}"#);
}

#[test]
fn other_arguments_stay() {
    for list in [
        r#"["docker","run","-p","8080:80","--name","web2","nginx:1.25"]"#,
        r#"["psql","--no-password","shop2db"]"#,
        r#"["app","--password","--verbose2x"]"#,
        r#"["app","--password","$DB_PASSWORD"]"#,
        r#"["app","--password-file","/run/secrets/db1"]"#,
        r#"["ls","-la","/srv/app2/x1"]"#,
        r#"["tar","-p","Kestrel48x"]"#,
        r#"["mysql","-p","shop2db"]"#,
    ] {
        stays(list);
        stays(&format!("CMD {list}"));
    }
    stays("args:\n  - --name\n  - kestrel4810");
}

#[test]
fn each_of_a_list_of_credentials_goes() {
    goes("passwords = [\"@\", \"@\"]");
    goes("passwords: ['@', \"@\"] # two");
    goes("{\"passwords\": [\"@\",\"@\"], \"n\": 2}");
    goes("x \"db_passwords\": [\"@\", \"@\"]");
    goes("passwords:\n  - @\n  - \"@\"\n  - @\nports:\n  - 8080");
    let both = random(80);
    let (key, other) = both.split_at(40);
    for form in ["tokens = [\"A\", \"B\"]", "api_keys: [A, B]", "{\"apiKeys\":[\"A\",\"B\"]}"] {
        let text = form.replace("\"B\"", "\"C\"").replace('A', key).replace('C', other);
        let text = text.replace(", B]", &format!(", {other}]"));
        let found = shape(redactor().line(&text).as_str());
        assert!(!found.contains(key) && !found.contains(other), "{found}");
    }
    for text in [
        "max_tokens: [512, 1024]",
        "tokens: [\"hello\", \"wor1d\", \"the 2nd\"]",
        "{\"tokens\":[\"hello\",\"wor1d\",\"the 2nd\"]}",
        "passwords = [\"${A}\", \"${B}\"]",
        "passwords: [",
        "keys:\n  - release-2024-01\n  - a1",
    ] {
        stays(text);
    }
}

#[test]
fn what_is_typed_into_a_field_for_a_password_goes() {
    for form in [
        r##"{"selector":"#password","text":"@"}"##,
        r##"{"selector":"input[name=password]","value":"@"}"##,
        r#"{"element":"Password input","ref":"e12","text":"@"}"#,
        r#"{"element":"Passwort eingeben","ref":"e12","text":"@"}"#,
        r#"{"type":"password","value":"@"}"#,
        r#"{"password_confirmation":"@"}"#,
        r#"{"passwordConfirmation":"@","newPasswordRepeat":"@"}"#,
    ] {
        goes(form);
        goes(&format!("called with {form} today"));
    }
    goes(r##"{"text":"@","selector":"#user_password"}"##);
    goes("<input type=\"password\" id=\"x\" value=\"@\">");
    for text in [
        r##"{"selector":"#search","text":"windows11"}"##,
        r#"{"element":"Password hint","text":"Minimum 8 characters"}"#,
        r#"{"type":"text","text":"Kestrel48x"}"#,
        r#"{"confirmation":"Kestrel48x"}"#,
    ] {
        stays(text);
    }
}

#[test]
fn of_a_call_on_such_a_field_the_value_alone_goes() {
    for form in [
        "driver.find_element(By.ID, 'password').send_keys('@')",
        "page.getByLabel('Password').fill('@')",
        "cy.get('[name=password]').type(\"@\")",
        "await page.locator(\"#user-password\").first().fill(\"@\");",
    ] {
        goes(form);
    }
    stays("cy.get('#password').should('be.visible')");
    stays("cy.get('#password').type(user.name2)");
}

#[test]
fn a_default_is_called_as_what_it_is_of() {
    for form in [
        "variable \"db_password\" {\n  default = \"@\"\n}",
        "variable \"db_password\" {\n  type      = string\n  sensitive = true\n  default   = \"@\"\n}",
        "variable \"db_password\" { default = \"@\" }",
        "DbPassword:\n  Default: @",
        "DbPassword:\n  Type: String\n  NoEcho: true\n  Default: @",
        "- name: DB_PASSWORD\n  default: @",
        "- name: DB_PASSWORD\n  required: true\n  default: @",
        "{\"db_password\":{\"type\":\"string\",\"default\":\"@\"}}",
    ] {
        goes(form);
    }
    for text in [
        "variable \"region\" {\n  default = \"Kestrel48x\"\n}",
        "DbPassword:\n  Type: String\nDbName:\n  Default: Kestrel48x",
        "{\"db_password\":{\"type\":\"string\"},\"name\":{\"default\":\"Kestrel48x\"}}",
        "default: Kestrel48x",
    ] {
        stays(text);
    }
}

#[test]
fn calls_that_take_a_credential_and_constants_for_one() {
    goes(".basic_auth(\"eva\", Some(\"@\"))");
    goes("creds = (\"admin\", \"@\")");
    let key = random(40);
    for call in ["client.bearer_auth(\"K\")", "client.bearerAuth('K')"] {
        check(&call.replace('K', &key), &call.replace('K', "[AUTHORIZATION]"));
    }
    let salt = "sM1b>Q:D|#9PZP.?-n<W;Ggh4 x&*(_+~`k0^zT!e@uR%yA$fL=cV{b}N[m]J/iO";
    for name in ["AUTH_KEY", "NONCE_SALT", "LOGGED_IN_KEY", "SECURE_AUTH_SALT"] {
        for value in [salt, key.as_str()] {
            check(&format!("define('{name}', '{value}');"), &format!("define('{name}', '[API_KEY]');"));
        }
        stays(&format!("define('{name}', 'put your unique phrase here');"));
    }
    check("define('AUTH_KEY', 'abcdEFGH1234ijklMNOP5678qrst')", "define('AUTH_KEY', '[API_KEY]')");
    stays("`AUTH_KEY`, `win32api.RegEnumKey`");
    stays("define('SITE_TITLE', 'sM1b>Q:D|#9PZP.?-n<W;Ggh4x&*(_+~k0^zT!e@uR');");
}

#[test]
fn values_of_tags_blocks_and_encoders() {
    goes("<param><name>password</name><value>@</value></param>");
    goes("<key>password</key>\n<string>@</string>");
    goes("password: |\n  @\nport: 1");
    goes("password: >-\n  @");
    goes("spring.security.user.password={noop}@");
    let key = random(40);
    check(
        &format!("<param><name>token</name><value>{key}</value></param>"),
        "<param><name>token</name><value>[API_KEY]</value></param>",
    );
    stays("<param><name>title</name><value>Kestrel48x</value></param>");
    stays("password: |\nnext: kestrel4810");
    stays("password={user}Kestrel48x");
}

/// No value of a list hides those behind it, whatever it holds and however many there are.
#[test]
fn a_list_ends_where_it_is_closed() {
    for first in ["a]b", "Kest[rel48x", "it's (4)", "x{y}z", "a,b", "two words", "a\\\"b"] {
        let items = format!("\"{first}\", \"Kestrel48x\"");
        for (head, tail) in [("passwords = [", "]"), ("passwords: (", ")"), ("{\"passwords\": [", "], x")] {
            let out = redactor().line(&format!("{head}{items}{tail}")).into_string();
            assert!(!out.contains("Kestrel48x"), "{out}");
        }
    }
    let many = |value: &str| {
        let items: Vec<_> = (0..300).map(|_| format!("'{value}'")).collect();
        items.join(",\n  ")
    };
    let text = format!("passwords = [\n  {}\n]", many("Kestrel48x"));
    assert!(!redactor().line(&text).as_str().contains("Kestrel"));
    goes("passwords = [\n  \"@\", # one\n  \"@\", // two\n  \"@\"\n]");
    goes("passwords:\n  - @ # old\n  - my own words\n  - \"@\"\nports:\n  - 8080");
    goes("passwords=[passwords=[\"@\"]]");
    stays("passwords = [\"${A}\"]\nnames = [\"Kestrel48x\"]");
    for unit in ["passwords=[", "passwords=[\"a]b\", ", "passwords=[\"", "passwords:\n- "] {
        let out = redactor().line(&unit.repeat(20_000)).into_string();
        assert!(out.len() < unit.len() * 20_000 * 3, "{unit}");
    }
}

#[test]
fn a_value_behind_what_says_how_it_is_kept() {
    let hash = "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
    let digest = "DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3".repeat(3);
    for (kept, value) in
        [("noop", "kestrel4810"), ("bcrypt", hash), ("SSHA512", &*digest), ("PBKDF2-SHA256", &*digest)]
    {
        for form in
            ["{\"user_password\":\"{K}@\"}", "password={K}@", "userPassword: {K}@", "password = \"{K}@\""]
        {
            let form = form.replace('K', kept);
            check(&form.replace('@', value), &form.replace('@', "[PASSWORD]"));
        }
    }
    stays("{\"password\":\"{noop}\"}");
    stays("{\"password\":\"{user}Kestrel48x\"}");
}

#[test]
fn what_an_object_is_called_and_whose_it_is() {
    goes(r#"{"password":{"text":"@"}}"#);
    goes(r##"{"password":{"#text":"@"}}"##);
    goes(r#"{"password":{"S":"@"}}"#);
    goes(r#"{"password":{"value":"@"}}"#);
    goes(r#"{"value":"@","type":"string","name":"DB_PASSWORD"}"#);
    for password in PASSWORDS {
        for form in [
            r#"{"login":"eva","secret":"@"}"#,
            r#"{"secret":"@","login":"eva"}"#,
            "login: eva, secret: @",
            "{login: \"eva\", secret: \"@\"}",
        ] {
            let out = redactor().line(&form.replace('@', password)).into_string();
            assert!(!out.contains(password), "{out}");
        }
    }
    for phrase in ["correct horse battery staple", "Kestrel48x im Moor", "Tulip orange kettle 42"] {
        check(
            &format!(r#"{{"name":"password","text":"{phrase}"}}"#),
            r#"{"name":"password","text":"[PASSWORD]"}"#,
        );
    }
    for text in [
        r#"{"name":"password","text":"Minimum 8 characters"}"#,
        r#"{"name":"password","text":"Enter your password"}"#,
        r#"{"password":{"text":"Passwort eingeben"}}"#,
        r#"{"login":"eva","secret":"my-secret-name-1"}"#,
        r#"{"secret":"kestrel4810"}"#,
        r#"{"color":"red","secret":"kestrel4810"}"#,
    ] {
        stays(text);
    }
}

//! What only looks sensitive, and must stay.

use super::*;

#[test]
fn numbers_that_are_none_of_ours() {
    for text in [
        "due 2026-03-12, 12.03.2026 or 03/12/2026 at 10:22:31",
        "total EUR 1.234.567,89",
        "at 48.253885, 16.866216",
        "order 4111111111111112",
        "ISBN 9783161484100",
        "ts=1654447542533",
        "part 666-45-6789 and 000-12-3456",
        "build 2f1b477ea14e0529458796a0c2d4e6f8",
        "id 4cbc2940-2f1b-477e-a14e-0529458796a0",
        "6.02214076e23",
        "2^64 = 18446744073709551616",
        "SKU DE88370400440532013000",
        "listen on 127.0.0.1 and 0.0.0.0",
        "version 42.16.42.12",
        "v1.2.3-rc.1 1.2.3.4-beta",
        "colour #92327f",
        "std::collections::hash_map::Entry",
        "ratio 16:9",
        "pages 12-34, 56-78",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "078-05-1120",
    ] {
        stays(text);
    }
}

#[test]
fn words_that_are_no_credentials() {
    for text in [
        "password: ********",
        "password=${DB_PASSWORD}",
        "use os.environ[\"OPENAI_API_KEY\"] here",
        "api_key=<your-api-key>",
        "the password is required",
        "password: string",
        "primary_key=True",
        "tokenizer_config_path",
        "max_tokens: 512",
        "<task-notification> sk-learn",
        "sk-...",
        "\"integrity\": \"sha512-abc+def/012==\"",
        "git@github.com:org/repo.git",
        "npm i lodash@4.17.21 @types/node@20.1.0",
        "logo@2x.png",
        "a@b.T",
        "-----BEGIN PUBLIC KEY-----",
        "Basic authentication",
        "the bearer of this letter",
        "Cookie: consent",
        "token = next_token()",
        "data:image/png;base64,iVBORw0KGgo=",
        "reset the password. It is Monday 12",
        "section 4.2.8.1",
        "mask 255.255.255.0",
        "faster than two-pass memchr2+SWAR",
        "4044404959645932768",
        "(+999999-12-31 23:59)",
        "https://example.com:8080/a@b",
    ] {
        stays(text);
    }
}

#[test]
fn placeholders_of_others_are_text() {
    let ours = "x [EMAIL_ADDRESS:abcdefghijklmnop], [JWT:234567abcdefghij]y";
    assert_eq!(redactor().line(ours).as_str(), ours);
    assert_eq!(redactor().line("[SOMETHING:a2]").as_str(), "[SOMETHING:a2]");
    check("[EMAIL_ADDRESS:jane@example.com]", "[EMAIL_ADDRESS:[EMAIL_ADDRESS]]");
}

#[test]
fn json_that_holds_nothing_stays_to_the_byte() {
    stays(
        "{ \"a\" : 1.0, \"a\":12345678901234567890.10, \"b\":[ ], \"c\":\"\\u00e9\\/\", \"d\":{},\"e\":null }",
    );
}

#[test]
fn what_is_no_json_is_refused() {
    let redactor = redactor();
    for text in [
        "",
        "{",
        "{\"a\":}",
        "[1,]",
        "01",
        "nul",
        "\"\\x\"",
        "\"\\ud800\"",
        "1 2",
        "\"a\nb\"",
        "{\"a\" 1}",
        "[1}",
        "{1:2}",
        "-",
    ] {
        assert!(redactor.json(text).is_none(), "{text}");
    }
    assert!(redactor.json(&"[".repeat(100_000)).is_none());
    assert!(redactor.json(&format!("{}{}", "[".repeat(128), "]".repeat(128))).is_some());
    assert!(redactor.json(&format!("{}{}", "[".repeat(129), "]".repeat(129))).is_none());
}

#[test]
fn encodings_and_line_breaks_that_hide_nothing() {
    for text in [
        "41111111\n11111111\n11111111",
        "4111,1111\n1111,1111",
        "2**10 and 3**12, `x` and `y`, 100%25",
        "aGVsbG8gd29ybGQsIGFnYWlu",
        "sha256:2f1b477ea14e0529458796a0c2d4e6f82f1b477ea14e0529458796a0c2d4e6f8",
        "https://example.com/a%20b?q=%C3%BC",
        "<td>4111</td><td>1111</td><td>1111</td><td>1111</td>",
        "look (at) this",
    ] {
        stays(text);
    }
}

#[test]
fn code_that_names_a_password() {
    for text in [
        "fn pass_over(&mut self, keys: &[&str])",
        "pass_context = jinja2.pass_context1",
        "passphrase: Uint8Array<ArrayBuffer>, x",
        "password: *const c_char",
        "password: *const libc::c_char2,",
        "const PASSWORDS: &[&[u8]] = &[",
        "password: 12345",
        "password: 20261127",
        "the password is 20261127",
        "\"password\": \"string\"",
    ] {
        stays(text);
    }
}

#[test]
fn decorators_are_no_addresses() {
    for text in [
        "@app.cached\ndef f(): ...",
        "+@app.cached\n+def f(): ...",
        "-@app.cached",
        "\\n@app.cached\\n",
        "%@app.cached",
        "x@app.cached\ndef f(): ...",
        "x@app.cached\nxclass F:",
    ] {
        stays(text);
    }
    let redactor = redactor();
    for text in [
        "x@app.cached",
        "_@app.cached\n",
        "x@app.cached\nclassic",
        "ax@app.cached\ndef f(): ...",
        "ü@app.cached",
        "a x@app.cached\ndef f()",
    ] {
        assert_ne!(redactor.text(text).as_str(), text, "{text}");
    }
}

#[test]
fn names_that_hold_the_prefix_of_a_token() {
    for text in [
        "model_hf_Llama2_7B_chat_quantized_GPTQ_v2",
        "my_npm_config_registry_Path_Of_The_User2024",
        "task_sk-learn-random-forest-classifier-2024",
        "fn_ghp_example_of_a_name_that_is_long_enough",
        "X_ASIANLANGUAGESUPPORT",
        "MSG_SG.someModule.otherModule.thirdModule.fourthModule",
        "my_pk_Aa1Bb2Cc3Dd4Ee5Ff6Gg7Hh8Ii9Jj0Kk1Ll2",
        "user_xoxb-is-what-a-token-of-a-bot-begins-with",
    ] {
        stays(text);
    }
}

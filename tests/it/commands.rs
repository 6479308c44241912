//! The commands that do not serve: what they print, and their exit status.

use crate::support::run;
use std::fs;

#[test]
fn check_tells_everything_at_once_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tenants")).unwrap();
    fs::write(
        dir.path().join("tollgate.yaml"),
        "tenants: tenants/\nupstreams:\n  a: { kind: openai, url: \"http://127.0.0.1:9\", auth: { bearer: hunter2hunter2 }, timeot: 3s }\nmodels:\n  m: { upstream: b }\n",
    )
    .unwrap();
    let tenant = "tenant: acme\nkeys: []\nlimits: { requests: 600/fortnight }\ntools:\n  - allow: x\n    when: args.x ==\n";
    fs::write(dir.path().join("tenants/acme.yaml"), tenant).unwrap();
    let (status, out, err) = run(&["check", "--config", "tollgate.yaml"], dir.path(), "");
    assert_eq!(status, 1, "{out}{err}");
    for part in [
        "tollgate.yaml:3:",
        "timeout",
        "tollgate.yaml:5:",
        "`b`",
        "tenants/acme.yaml:3:",
        "tenants/acme.yaml:6:",
        "^",
    ] {
        assert!(out.contains(part), "{part} is missing in\n{out}");
    }
    assert!(!out.contains("hunter2"), "{out}");
    let (status, out, _) = run(&["check", "--config", "tollgate.yaml", "--format", "json"], dir.path(), "");
    let problems: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(status == 1 && problems.as_array().unwrap().len() >= 4, "{out}");
    assert_eq!(run(&["check", "--config", "none.yaml"], dir.path(), "").0, 1);
    assert_eq!(run(&["check", "--nonsense"], dir.path(), "").0, 2);
}

#[test]
fn check_speaks_to_pull_requests_and_scanners_and_reads_the_tests_too() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    fs::create_dir(dir.path().join("tenants")).unwrap();
    let upstream =
        "upstreams: { a: { kind: openai, url: \"http://127.0.0.1:9\" } }\nmodels: { m: { upstream: a } }\n";
    write("tollgate.yaml", &format!("tenants: tenants/\n{upstream}"));
    let key = "keys: [{ id: k, sha256: 1ee3aafaf88b95631342c4a9ea6098258b449d6fe7572fc8d49b355eaec4386d }]\n";
    write("tenants/acme.yaml", &format!("tenant: acme\n{key}models: [m]\n"));
    let check = |more: &[&str]| {
        let (status, out, _) = run(&[&["check", "--config", "tollgate.yaml"], more].concat(), dir.path(), "");
        (status, out)
    };
    let (status, out) = check(&["--format", "github"]);
    let line = "::warning file=tenants/acme.yaml,line=1,col=9,endColumn=13,title=no-limits::";
    assert!(status == 0 && out.starts_with(line) && out.lines().count() == 1, "{out}");
    assert_eq!(check(&["--strict"]).0, 1);
    let (status, out) = check(&["--format", "sarif"]);
    let sarif: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, sarif["version"].as_str()), (0, Some("2.1.0")));
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "no-limits");
    write("tenants/acme.yaml", &format!("tenant: acme\n{key}models: [m]\nlimits: {{ requests: 1/s }}\n"));
    assert_eq!(check(&["--strict"]), (0, "ok: 1 tenant, 0 warnings\n".to_owned()));
    write("tenants/acme.test.yaml", "tenant: acme\ncases: [{ cal: x, expect: allow }]\n");
    let (status, out) = check(&[]);
    assert!(status == 1 && out.contains("tenants/acme.test.yaml:2:11") && out.contains("`call`"), "{out}");
}

#[test]
fn the_shipped_example_and_schema_are_right() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (status, out, _) = run(&["schema"], root, "");
    assert_eq!(status, 0);
    assert_eq!(out, fs::read_to_string(root.join("config/schema.json")).unwrap());
}

/// What a shipped example may be warned of: this version does not serve all of it yet.
const NOT_YET: [&str; 1] = ["not-enforced-yet"];

#[test]
fn every_shipped_example_is_clean_and_its_policy_tests_cover_all_rules() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let json = |args: &[&str]| {
        let (_, out, err) = run(args, root, "");
        serde_json::from_str::<serde_json::Value>(&out).unwrap_or_else(|_| panic!("{args:?}: {out}{err}"))
    };
    let examples =
        ["saas", "sidecar", "retrieval", "mcp"].map(|name| format!("config/examples/{name}/tollgate.yaml"));
    for config in examples.iter().map(String::as_str).chain(["config/tollgate.yaml"]) {
        let report = json(&["test", "--coverage", "--format", "json", "--config", config]);
        assert!(report["passed"].as_u64().unwrap() >= 5 && report["failed"] == 0, "{config}: {report}");
        for tenant in report["coverage"].as_array().unwrap() {
            assert!(tenant["tested"] == true && tenant["percent"] == 100, "{config}: {tenant}");
        }
        for problem in json(&["check", "--format", "json", "--config", config]).as_array().unwrap() {
            let code = problem["code"].as_str().unwrap();
            // Providers' keys are where the gateway runs, not here.
            assert!(code == "secret-missing" || NOT_YET.contains(&code), "{config}: {problem}");
        }
    }
}

#[test]
fn the_policy_tests_of_the_shipped_tenants_pass_and_cover_all_rules() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (status, out, err) = run(&["test", "--coverage", "--format", "json"], root, "");
    assert_eq!(status, 0, "{out}{err}");
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(report["passed"].as_u64().unwrap() >= 19 && report["failed"] == 0, "{out}");
    for tenant in report["coverage"].as_array().unwrap() {
        assert!(tenant["tested"] == true && tenant["percent"] == 100, "{tenant}");
    }
}

#[test]
fn redact_keeps_lines_and_json_and_is_idempotent() {
    let dir = tempfile::tempdir().unwrap();
    let input = "mail jane.doe@example.com now\n{\"a\":\"jane.doe@example.com\",\"n\":1.50,\"k\":[true,null]}\n\nplain";
    let (status, out, _) = run(&["redact"], dir.path(), input);
    assert_eq!(status, 0);
    let lines: Vec<&str> = out.split('\n').collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert!(lines[0].starts_with("mail [EMAIL_ADDRESS:") && lines[3] == "plain", "{out}");
    let json: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert!(json["a"].as_str().unwrap().starts_with("[EMAIL_ADDRESS:") && lines[1].contains("1.50"), "{out}");
    assert_eq!(run(&["redact"], dir.path(), &out).1, out);
    // A line that is a number is JSON too.
    for number in ["4111111111111111", "-4111111111111111", " 4111111111111111\r"] {
        let (_, out, _) = run(&["redact"], dir.path(), number);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert!(json.as_str().unwrap().contains("[CREDIT_CARD:"), "{number}: {out}");
        assert_eq!(run(&["redact"], dir.path(), &out).1, out);
    }
    assert_eq!(run(&["redact"], dir.path(), "42").1, "42");
}

/// What is no UTF-8 is no reason to rewrite it: a line in which nothing is found is the line that came.
#[test]
fn redact_keeps_bytes_that_are_no_utf_8() {
    let dir = tempfile::tempdir().unwrap();
    let lines: [&[u8]; 5] = [
        b"caf\xe9 au lait \x80\xff",
        b"{\"a\":\"caf\xe9\", \"n\": 1.50}\r",
        b"caf\xe9 et caf\xc3\xa9",
        b"j\xe9r\xf4me@example.com \xe9crit",
        b"{\"\xe9\":\"jane@example.com \xe9\"}",
    ];
    fs::write(dir.path().join("in"), lines.join(&b'\n')).unwrap();
    let redact = |name: &str| {
        let input = fs::File::open(dir.path().join(name)).unwrap();
        let told =
            std::process::Command::new(crate::support::BINARY).arg("redact").stdin(input).output().unwrap();
        assert!(told.status.success() && told.stderr.is_empty());
        told.stdout
    };
    let out = redact("in");
    let told: Vec<&[u8]> = out.split(|byte| *byte == b'\n').collect();
    assert_eq!(told[..3], lines[..3]);
    let address = b"[EMAIL_ADDRESS:";
    assert!(
        told[3].starts_with(address) && told[3].ends_with(b"] \xe9crit"),
        "{:?}",
        told[3].escape_ascii().to_string()
    );
    let inner = [&b"{\"\xe9\":\""[..], address].concat();
    assert!(
        told[4].starts_with(&inner) && told[4].ends_with(b"] \xe9\"}"),
        "{:?}",
        told[4].escape_ascii().to_string()
    );
    fs::write(dir.path().join("again"), &out).unwrap();
    assert_eq!(redact("again"), out);
}

/// One error, and the right one: nobody is told to make a key beside the line of one that is mistyped.
#[test]
fn a_key_that_cannot_be_read_is_not_called_none() {
    let dir = tempfile::tempdir().unwrap();
    for (keys, expected) in
        [("[{ id: prod, sha256: abc }]", "bad-sha256"), ("[{ id: prod }]", "missing-key"), ("[]", "no-keys")]
    {
        let text = format!("tenants: {{ acme: {{ keys: {keys}, models: [\"*\"] }} }}\n");
        fs::write(dir.path().join("t.yaml"), text).unwrap();
        let (_, out, _) = run(&["check", "--config", "t.yaml", "--format", "json"], dir.path(), "");
        let told: serde_json::Value = serde_json::from_str(&out).unwrap();
        let told = told["problems"].as_array().or_else(|| told.as_array()).unwrap();
        let of_keys = |problem: &&serde_json::Value| {
            let code = problem["code"].as_str().unwrap();
            code.contains("key") || code.contains("sha")
        };
        let codes: Vec<&str> =
            told.iter().filter(of_keys).map(|problem| problem["code"].as_str().unwrap()).collect();
        assert_eq!(codes, [expected], "{keys}: {out}");
    }
}

/// What is read from a configuration with an error may be from another place than was meant: nobody reads it, and no
/// secret is made there.
#[test]
fn a_configuration_that_does_not_load_is_a_finding_of_every_command() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t.yaml"), "data_dirr: other\ntenants: { acme: {} }\n").unwrap();
    let commands: &[&[&str]] = &[
        &["usage"],
        &["pins"],
        &["pins", "diff"],
        &["audit", "show"],
        &["approvals"],
        &["tenant", "erase", "acme", "--yes"],
        &["redact", "--tenant", "acme"],
        &["access"],
        &["explain", "--tenant", "acme", "--tool", "x"],
        &["test"],
    ];
    for command in commands {
        let arguments = [*command, &["--config", "t.yaml"]].concat();
        let (status, out, err) = run(&arguments, dir.path(), "");
        assert_eq!((status, out.as_str()), (1, ""), "{command:?}: {err}");
        assert!(err.contains("t.yaml:1:1") && err.contains("`data_dir`"), "{command:?}: {err}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is made");
}

#[test]
fn output_that_nobody_can_write_is_no_success() {
    for command in [&["schema"][..], &["key", "new", "--tenant", "acme"]] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output =
            std::process::Command::new(crate::support::BINARY).args(command).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("could not be written"), "{command:?}");
    }
}

#[test]
fn a_new_key_is_shown_once_with_its_digest() {
    use sha2::Digest;
    let dir = tempfile::tempdir().unwrap();
    let (status, out, _) =
        run(&["key", "new", "--tenant", "acme", "--id", "prod", "--format", "json"], dir.path(), "");
    let key: serde_json::Value = serde_json::from_str(&out).unwrap();
    let digest = sha2::Sha256::digest(key["key"].as_str().unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((status, key["sha256"].as_str().unwrap()), (0, digest.as_str()));
    assert_eq!(run(&["key", "new", "--tenant", "No"], dir.path(), "").0, 2);
}

#[test]
fn the_demo_prints_lines_that_do_what_it_says() {
    let demo = crate::support::Demo::start();
    let lines: Vec<String> =
        demo.text().lines().filter(|line| line.contains("curl -s")).map(Into::into).collect();
    assert_eq!(lines.len(), 4, "{}", demo.text());
    let paste = |line: &str| {
        let output = std::process::Command::new("bash").args(["-c", line]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let allowed = paste(&lines[0]);
    assert!(allowed.contains(r#""name":"get_weather""#), "{allowed}");
    let denied = paste(&lines[1]);
    assert!(denied.contains("Deletions go through support.") && !denied.contains("tool_calls"), "{denied}");
    assert_eq!(paste(&lines[2]), "200\n200\n200\n429\n");
    let called = paste(&lines[3]);
    assert!(called.contains("Opened ticket"), "{called}");
    assert_eq!(demo.text().matches("export OPENAI_API_KEY=tg-").count(), 2);
    // The addresses that it names are what it says they are.
    let named = |what: &str| {
        let text = demo.text();
        let line = text.lines().find(|line| line.starts_with(what)).unwrap().to_owned();
        paste(&format!("curl -s {}", line.rsplit(' ').next().unwrap()))
    };
    assert!(named("The page").contains("<title>Tollgate</title>"), "{}", demo.text());
    assert!(named("Metrics:").contains("tollgate_in_flight"), "{}", demo.text());
}

#[test]
fn what_a_gateway_recorded_is_decided_again() {
    let gateway = crate::support::Gateway::start();
    let body =
        crate::support::chat("hi", &crate::support::tools(&["get_x", "get_shadow", "delete_x", "other"]));
    assert_eq!(gateway.chat(crate::support::ACME, &body).status, 200);
    gateway.lines("audit", "acme", 5);
    let dir = gateway.dir.path();
    let replay = |config: &str| {
        let (status, out, err) = run(&["replay", "--config", config, "data", "--format", "json"], dir, "");
        let said: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        (status, said)
    };
    let (status, said) = replay("tollgate.yaml");
    assert_eq!(
        (status, &said["changes"], &said["unreadable"]),
        (0, &serde_json::json!([]), &serde_json::json!(0))
    );
    assert!(said["tenants"][0]["decided"].as_u64().unwrap() >= 4 && said["skipped"]["shadow"] == 1, "{said}");
    let text = fs::read_to_string(dir.join("tollgate.yaml")).unwrap();
    fs::write(dir.join("new.yaml"), text.replace("allow: [\"get_*\"]", "allow: [get_x, other]")).unwrap();
    let (status, said) = replay("new.yaml");
    let mut changed: Vec<&str> =
        said["changes"].as_array().unwrap().iter().map(|change| change["tool"].as_str().unwrap()).collect();
    changed.sort_unstable();
    changed.dedup();
    assert_eq!((status, changed), (1, vec!["get_shadow", "other"]), "{said}");
    let (status, out, _) = run(&["diff", "tollgate.yaml", "new.yaml", "--exit-code"], dir, "");
    assert!(
        status == 1 && out.contains("acme gains other through") && out.contains("acme loses get_*"),
        "{out}"
    );
}

#[test]
fn verify_finds_a_changed_record() {
    let gateway = crate::support::Gateway::start();
    let body = crate::support::chat("hi", &crate::support::tools(&["delete_x", "get_x"]));
    assert_eq!(gateway.chat(crate::support::ACME, &body).status, 200);
    gateway.lines("audit", "acme", 2);
    let dir = gateway.dir.path().join("data/audit/acme");
    let file = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&file).unwrap();
    let verify = || run(&["audit", "verify", "data/audit"], gateway.dir.path(), "");
    assert_eq!(verify().0, 0);
    fs::write(&file, text.replacen("\"deny\"", "\"allow\"", 1)).unwrap();
    let (status, out, _) = verify();
    assert!(status == 1 && out.contains("acme") && out.contains(".jsonl:1"), "{out}");
}

#[test]
fn a_written_configuration_is_clean_and_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    for (upstream, name) in
        [("openai", "one"), ("anthropic", "config"), ("http://127.0.0.1:11434/v1", "three")]
    {
        let (status, out, err) =
            run(&["init", name, "--tenant", "globex", "--upstream", upstream], dir.path(), "");
        assert_eq!((status, err.as_str()), (0, ""), "{upstream}");
        let key = out.split("shown once: ").nth(1).unwrap().split_whitespace().next().unwrap();
        assert!(key.starts_with("tg-") && key.len() == 46, "{out}");
        let config = format!("{name}/tollgate.yaml");
        let written = fs::read_to_string(dir.path().join(name).join("tenants/globex.yaml")).unwrap();
        assert!(!written.contains(key) && !written.contains("{{"), "{written}");
        for command in [
            &["explain", "--tenant", "globex", "--tool", "get_weather"][..],
            &["explain", "--tenant", "globex", "--tool", "send_mail"],
        ] {
            let args: Vec<&str> = command.iter().copied().chain(["--config", &config]).collect();
            let (status, out, err) = run(&args, dir.path(), "");
            assert_eq!(status, 0, "{upstream} {command:?}: {out}{err}");
        }
        let (status, _, err) = run(&["init", name], dir.path(), "");
        assert!(status == 1 && err.contains("exists already"), "{err}");
        assert!(!dir.path().join(name).join("tenants/acme.yaml").exists());
    }
    assert_eq!(run(&["init", "x", "--upstream", "gopher://x"], dir.path(), "").0, 2);
    assert_eq!(run(&["init", "x", "--tenant", "Ä"], dir.path(), "").0, 2);
}

/// A real command of a user's: what it asks goes through a gateway of its own, as the tenant, on record; what it ends with
/// is what `run` ends with.
#[test]
fn a_command_runs_as_a_tenant_with_a_gateway_of_its_own() {
    let mut gateway = crate::support::Gateway::start();
    let dir = gateway.dir.path().to_owned();
    let ask = r#"curl -s "$OPENAI_BASE_URL/chat/completions" -H "authorization: Bearer $OPENAI_API_KEY" -H 'content-type: application/json' -d '{"model":"gpt-5","messages":[{"role":"user","content":"!say run it"}]}'; test "$ANTHROPIC_BASE_URL/v1" = "$OPENAI_BASE_URL" && test "$ANTHROPIC_API_KEY" = "$OPENAI_API_KEY" && exit 7"#;
    let asked = |tenant: &str| {
        run(&["run", "--config", "tollgate.yaml", "--tenant", tenant, "--", "sh", "-c", ask], &dir, "")
    };
    // The directory is another gateway's while that runs.
    let (status, _, err) = asked("acme");
    assert!(status == 1 && err.contains("data"), "{err}");
    gateway.stop();
    let (status, out, err) = asked("acme");
    assert!(status == 7 && out.contains("run it"), "{status} {out} {err}");
    let lines = gateway.lines("log", "acme", 1);
    assert_eq!((&lines[0]["key"], &lines[0]["status"]), (&"run:command".into(), &200.into()), "{lines:?}");
    let (status, _, err) = asked("nobody");
    assert!(status == 1 && err.contains("no tenant `nobody`") && err.contains("globex"), "{err}");
    let missing = ["run", "-t", "acme", "--config", "tollgate.yaml", "--", "no-such-command"];
    let (status, _, err) = run(&missing, &dir, "");
    assert!(status == 127 && err.contains("no-such-command"), "{err}");
    let killed = ["run", "-t", "acme", "--config", "tollgate.yaml", "--", "sh", "-c", "kill -9 $$"];
    assert_eq!(run(&killed, &dir, "").0, 128 + 9);
    assert_eq!(run(&["run", "-t", "acme"], &dir, "").0, 2);
}

/// What is named is counted on: it is not left aside for the data directory's own secret, or for none.
#[test]
fn a_configuration_that_is_named_and_cannot_be_used_is_no_ground_to_go_on() {
    use crate::support::{ACME, Gateway, chat, tools};
    let mut gateway = Gateway::start();
    assert_eq!(gateway.chat(ACME, &chat("hi", &tools(&["get_a", "delete_b"]))).status, 200);
    gateway.lines("audit", "acme", 1);
    gateway.stop();
    let dir = gateway.dir.path();
    let given = fs::read_to_string(dir.join("tollgate.yaml")).unwrap()
        + "records: { secret: { env: NOBODY_SET_THIS } }\n";
    fs::write(dir.join("given.yaml"), given).unwrap();
    fs::write(dir.join("broken.yaml"), "listen: [").unwrap();
    let verify = |more: &[&str]| run(&[&["audit", "verify", "data"], more].concat(), dir, "");
    let (status, out, told) = verify(&[]);
    assert!(status == 0 && told.contains("heads are checked with data/secret"), "{out}{told}");
    assert_eq!(verify(&["--config", "tollgate.yaml"]).0, 0);
    let secret = ("given.yaml", "`records.secret` cannot be read here");
    for (config, why) in [("none.yaml", "does not load"), ("broken.yaml", "does not load"), secret] {
        let (status, out, told) = verify(&["--config", config]);
        assert!(status == 1 && out.is_empty() && told.contains(why), "{config}: {out}{told}");
    }
    for config in ["none.yaml", "broken.yaml"] {
        let (status, out, told) = run(&["redact", "--config", config], dir, "jane@example.com\n");
        assert!(status == 1 && out.is_empty() && told.contains("does not load"), "{config}: {out}{told}");
    }
    assert_eq!(run(&["redact"], dir, "hi\n").1, "hi\n");
    fs::remove_file(dir.join("data/secret")).unwrap();
    let (status, _, told) = verify(&[]);
    assert!(status == 0 && told.contains("heads are not checked"), "{told}");
}

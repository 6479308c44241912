//! What `check` says of whole configurations, in each of its formats, in `lints/`. With UPDATE=1 the expected texts are
//! written anew.

use super::golden::expect;
use crate::config::{
    Colour, Loaded, Problem, check_tests, compile, lint, lint::LINTS, lint_definitions, load, load_tests,
    test_files, to_github, to_json, to_sarif, to_text,
};
use crate::pins::disk;
use dashmap::DashMap;
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

const CASES: &str = "src/config/tests/lints";
/// 2027-01-15.
const NOW: i64 = 1_800_000_000;

fn checked(path: &Path) -> (Loaded, Vec<Problem>) {
    let mut loaded = load(path);
    let quotas = DashMap::new();
    let env = |_: &str| Some("from the environment".to_owned());
    let context = compile::Context {
        env: &env,
        secrets: &crate::records::TenantSecrets::of_master([7; 32]),
        quotas: &quotas,
        before: None,
        now: NOW,
    };
    let (_, mut problems) = compile::compile(&loaded, &context);
    let mut tests = Vec::new();
    for path in test_files(&loaded) {
        let (read, more) = load_tests(&path, &mut loaded.files);
        if let Some(read) = read {
            problems.extend(check_tests(&loaded, &read));
            tests.push(read);
        }
        problems.extend(more);
    }
    problems.extend(lint(&loaded, &tests));
    let data_dir = compile::records_place(&loaded, &env).data_dir;
    problems.extend(lint_definitions(&loaded, &disk::books(&data_dir)));
    (loaded, problems)
}

#[test]
fn pitfalls_are_told_in_every_format() {
    let mut cases: Vec<_> = std::fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let mut told = BTreeSet::new();
    // Whatever the mode that it was checked out with.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(Path::new(CASES).join("open_secret/token"), mode).unwrap();
    }
    for case in cases {
        let (loaded, problems) = checked(&case.join("tollgate.yaml"));
        told.extend(problems.iter().map(|problem| problem.code));
        let prefix = format!("{}/", case.display());
        let json = |value: &Value| format!("{}\n", serde_json::to_string_pretty(value).unwrap());
        let sarif = to_sarif(&problems, &loaded.files);
        is_sarif(&sarif);
        let shown = [
            ("expected.txt", to_text(&problems, &loaded.files, Colour::Plain)),
            ("expected.json", json(&to_json(&problems, &loaded.files))),
            ("expected.github", to_github(&problems, &loaded.files)),
            ("expected.sarif", json(&sarif).replace(env!("CARGO_PKG_VERSION"), "VERSION")),
        ];
        for (name, text) in shown {
            expect(&case.join(name), &text.replace(&prefix, ""));
            assert!(!text.contains("hunter2"), "{}", case.display());
        }
    }
    let missing: Vec<&str> = LINTS.iter().map(|lint| lint.code).filter(|code| !told.contains(code)).collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

#[test]
fn a_mistake_is_told_once_and_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tenants")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write(
        "tollgate.yaml",
        r#"listen: 127.0.0.1:80800
tenants: tenants/
upstreams:
  a: { kind: openai, url: "https://u:hunter2@x.example/v1" }
  b: { kind: opnai, url: "https://x.example/v1", auth: { bearer: { env: NO_SUCH } } }
models: { m: { upstream: b } }
"#,
    );
    write("tenants/acme.yaml", "tenant: Acme\ntools: [{ allow: x, when: \"1\" }]\n");
    let loaded = load(&dir.path().join("tollgate.yaml"));
    let quotas = DashMap::new();
    let context = compile::Context {
        env: &|_| None,
        secrets: &crate::records::TenantSecrets::of_master([7; 32]),
        quotas: &quotas,
        before: None,
        now: NOW,
    };
    let (_, mut problems) = compile::compile(&loaded, &context);
    problems.sort_by_key(|problem| problem.at);
    let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    let expected = ["bad-address", "bad-url", "unknown-value", "secret-missing", "bad-name", "bad-condition"];
    assert_eq!(codes, expected, "{}", to_text(&problems, &loaded.files, Colour::Plain));
}

/// What the schema of SARIF 2.1.0 requires of what we write, and what GitHub asks for besides.
fn is_sarif(log: &Value) {
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let keys = |value: &Value, known: &[&str]| {
        let mut names = value.as_object().unwrap().keys();
        assert!(names.all(|name| known.contains(&name.as_str())), "{value}");
    };
    assert_eq!(log["version"], "2.1.0");
    keys(log, &["$schema", "version", "runs"]);
    let [run] = log["runs"].as_array().unwrap().as_slice() else { panic!("one run") };
    keys(run, &["tool", "columnKind", "results"]);
    let driver = &run["tool"]["driver"];
    assert!(
        text(&driver["name"])
            && ["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().unwrap())
    );
    let rules = driver["rules"].as_array().unwrap();
    let ids: BTreeSet<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rules.len(), "a rule stands twice");
    for rule in rules {
        keys(rule, &["id", "shortDescription", "help"]);
        assert!(text(&rule["shortDescription"]["text"]) && text(&rule["help"]["text"]), "{rule}");
    }
    for result in run["results"].as_array().unwrap() {
        keys(result, &["ruleId", "ruleIndex", "level", "message", "locations", "relatedLocations"]);
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(text(&result["message"]["text"]));
        let related = result["relatedLocations"].as_array().into_iter().flatten();
        for location in result["locations"].as_array().unwrap().iter().chain(related) {
            keys(location, &["id", "message", "physicalLocation"]);
            let physical = &location["physicalLocation"];
            let uri = physical["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!uri.starts_with('/') && !uri.contains([' ', '\\']), "{uri}");
            let region = &physical["region"];
            let number = |name: &str| region[name].as_u64().unwrap();
            assert!(number("startLine") > 0 && number("startColumn") > 0, "{region}");
            assert!(number("endColumn") > number("startColumn"), "{region}");
        }
    }
}

/// A code that something warns with is in the registry, and so on the page.
#[test]
fn every_warning_is_in_the_registry() {
    let mut files = vec![std::path::PathBuf::from("src")];
    let mut checked = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let text: String = text.split_whitespace().collect();
        for marker in ["Problem::warning(\"", "self.warn(\"", "found.warn(\""] {
            for after in text.split(marker).skip(1) {
                let code = after.split('"').next().unwrap();
                assert!(LINTS.iter().any(|lint| lint.code == code), "{code} of {}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 15, "{checked}");
}

/// A copy of a shipped configuration in which the words between @ are filled in, each with something else.
fn filled_in(from: &str, tenants: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tenants")).unwrap();
    let mut keys = 0;
    let mut copy = |from: &Path, to: &Path| {
        let mut text = std::fs::read_to_string(from).unwrap();
        for (word, value) in [
            ("@LISTEN@", "127.0.0.1:0"),
            ("@GATEWAY@", "127.0.0.1:0"),
            ("@ADMIN@", "127.0.0.1:0"),
            ("@DATA@", "data"),
            ("@EVERY@", "http://127.0.0.1:9"),
            ("@NOTES@", "http://127.0.0.1:9"),
            ("@SUMS@", "http://127.0.0.1:9"),
            ("@OTLP@", "http://127.0.0.1:9"),
            ("@CHROMA@", "http://127.0.0.1:9"),
            ("@QDRANT@", "http://127.0.0.1:9"),
            ("@INDICES@", "http://127.0.0.1:9"),
            ("@WEAVIATE@", "http://127.0.0.1:9"),
        ] {
            text = text.replace(word, value);
        }
        text = text.replace("http://@MOCK@", "http://127.0.0.1:9").replace("@MOCK@", "http://127.0.0.1:9");
        while let Some((before, after)) = text.split_once("sha256: \"@") {
            keys += 1;
            let after = after.split_once('@').unwrap().1;
            text = format!("{before}sha256: \"{keys:064}{after}");
        }
        std::fs::write(to, text).unwrap();
    };
    for entry in std::fs::read_dir(tenants).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_file() && name != "tollgate.yaml" {
            copy(&path, &dir.path().join("tenants").join(name));
        }
    }
    copy(&Path::new(from).join("tollgate.yaml"), &dir.path().join("tollgate.yaml"));
    dir
}

#[test]
fn what_is_shipped_is_clean() {
    let check = |path: &Path, expected: &[&str]| {
        let (loaded, problems) = checked(path);
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, expected, "{}", to_text(&problems, &loaded.files, Colour::Plain));
    };
    check(Path::new("config/tollgate.yaml"), &[]);
    check(&filled_in("config/demo", "config/demo").path().join("tollgate.yaml"), &[]);
    let clients = filled_in("tests/clients/config", "tests/clients/config/tenants");
    // Its clients show that a key that has expired opens nothing.
    check(&clients.path().join("tollgate.yaml"), &["expired-key"]);
}

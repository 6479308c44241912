//! `extends`: what is wrong with a chain is said with its places, and of two values the narrower holds.

use crate::{
    call::{Arguments, Place},
    config::{
        Colour, compile,
        lineage::{self, Detectors},
        load, to_text,
    },
    identity::Directory,
    json,
    policy::Question,
};
use dashmap::DashMap;
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::fs;

const UPSTREAM: &str = "upstreams: { up: { kind: openai, url: \"http://127.0.0.1:9/v1\" } }\n";

/// The files of a configuration: `tollgate.yaml` is what is given beside an upstream, the others are tenants'.
struct Written(tempfile::TempDir);

impl Written {
    fn new(gateway: &str, tenants: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("t")).unwrap();
        fs::write(dir.path().join("tollgate.yaml"), format!("tenants: t/\n{UPSTREAM}{gateway}")).unwrap();
        for (name, text) in tenants {
            fs::write(dir.path().join(format!("t/{name}.yaml")), format!("tenant: {name}\n{text}")).unwrap();
        }
        Self(dir)
    }

    fn load(&self) -> crate::config::Loaded {
        load(&self.0.path().join("tollgate.yaml"))
    }

    /// Every problem as `code place`, but for tenants without keys.
    fn codes(&self) -> Vec<String> {
        let loaded = self.load();
        let (_, problems) = compiled(&loaded);
        let place = |at: crate::config::Mark| {
            let path = loaded.files.path(at.file);
            format!("{}:{}:{}", path.rsplit('/').next().unwrap(), at.line, at.col)
        };
        let told = problems.iter().filter(|problem| problem.code != "no-keys");
        told.map(|problem| format!("{} {}", problem.code, problem.at.map(place).unwrap_or_default()))
            .collect()
    }
}

fn compiled(loaded: &crate::config::Loaded) -> (Option<compile::Compiled>, Vec<crate::config::Problem>) {
    let quotas = DashMap::new();
    let context = compile::Context {
        env: &|_| None,
        secrets: &crate::records::TenantSecrets::of_master([7; 32]),
        quotas: &quotas,
        before: None,
        now: 0,
    };
    compile::compile(loaded, &context)
}

#[test]
fn a_chain_that_does_not_hold_is_told_with_its_places() {
    let check = |gateway: &str, tenants: &[(&str, &str)], expected: &[&str]| {
        assert_eq!(Written::new(gateway, tenants).codes(), expected, "{gateway} {tenants:?}");
    };
    let base = ("base", "abstract: true");
    check("", &[base, ("acme", "extends: base")], &[]);
    check("", &[base, ("acme", "extends: bsae")], &["unknown-tenant acme.yaml:2:10"]);
    check("", &[("base", ""), ("acme", "extends: base")], &["not-abstract acme.yaml:2:10"]);
    check("", &[("acme", "extends: acme")], &["not-abstract acme.yaml:2:10"]);
    check("", &[("a", "abstract: true\nextends: a")], &["extends-cycle a.yaml:3:10"]);
    let (a, b) = (("a", "abstract: true\nextends: b"), ("b", "abstract: true\nextends: a"));
    check("", &[a, b, ("acme", "extends: a")], &["extends-cycle b.yaml:3:10"]);
    check(
        "",
        &[("base", "abstract: true\nfoo: 1"), ("acme", "extends: base")],
        &["unknown-key base.yaml:3:1"],
    );
    check("", &[("base", "abstract: ["), ("acme", "extends: base")], &["bad-yaml base.yaml:2:11"]);
    check("defaults: { extends: none }", &[("a", ""), ("b", "")], &["unknown-tenant tollgate.yaml:3:22"]);
    check("defaults: { extends: base }", &[base, ("a", ""), ("b", "")], &[]);
    let hash = "ab".repeat(32);
    let keys = format!("abstract: true\nkeys: [{{ id: x, sha256: \"{hash}\" }}]");
    check("", &[("base", &keys)], &["keys-of-abstract base.yaml:3:14"]);
    let tools = "abstract: true\ntools: [{ allow: x, when: \"1 +\" }]";
    let twice = [("base", tools), ("a", "extends: base"), ("b", "extends: base")];
    check("", &twice, &["bad-condition base.yaml:3:31"]);
    check("", &[("base", tools)], &["bad-condition base.yaml:3:31"]);
    let long: Vec<(String, String)> = (0..40)
        .map(|n| {
            (
                format!("t{n}"),
                format!(
                    "abstract: true\n{}",
                    if n > 0 { format!("extends: t{}", n - 1) } else { String::new() }
                ),
            )
        })
        .collect();
    let long: Vec<(&str, &str)> = long.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert!(Written::new("", &long).codes().iter().all(|code| code.starts_with("too-deep")));
    assert!(!Written::new("", &long).codes().is_empty());
    assert!(Written::new("", &long[..16]).codes().is_empty());
}

#[test]
fn a_cycle_names_every_step() {
    let (a, b) = (("a", "abstract: true\nextends: b"), ("b", "abstract: true\nextends: a"));
    let written = Written::new("", &[a, b]);
    let loaded = written.load();
    let text = to_text(&compiled(&loaded).1, &loaded.files, Colour::Plain);
    assert!(text.contains("b.yaml:3:10") && text.contains("a.yaml:3:10"), "{text}");
}

/// What holds for `acme`, shown in one line, and the codes of what is told.
fn holds(gateway: &str, base: &str, own: &str) -> (String, Vec<String>) {
    let base = format!("abstract: true\n{base}");
    let own = format!("extends: base\n{own}");
    let written = Written::new(gateway, &[("acme", &own), ("base", &base)]);
    let loaded = written.load();
    assert_eq!(to_text(&loaded.problems, &loaded.files, Colour::Plain), "");
    let (all, problems) = lineage::resolve(&loaded);
    let held = &all.iter().find(|held| !held.is_abstract()).unwrap().effective;
    let rate = |at: crate::config::At<crate::config::values::Rate>| {
        let burst = at.value.burst.map_or_else(String::new, |burst| format!(" burst {burst}"));
        format!("{}/{:?}{burst}", at.value.count, at.value.per)
    };
    let mut said = Vec::new();
    let mut say =
        |name: &str, value: Option<String>| said.extend(value.map(|value| format!("{name}={value}")));
    say("requests", held.limits.requests.map(rate));
    say("tokens", held.limits.tokens.map(rate));
    say("concurrency", held.limits.concurrency.map(|at| at.value.to_string()));
    for (model, limits) in held.model_limits.iter().flatten() {
        say(&model.value, limits.tokens.map(rate));
    }
    for budget in &held.budgets {
        say("budget", Some(format!("{}/{:?}", budget.value.micro_usd / 1_000_000, budget.value.per)));
    }
    for (name, value) in held.labels.iter().flatten() {
        say(name, Some(value.value.to_string()));
    }
    say(
        "detectors",
        held.detectors.as_ref().map(|detectors| match detectors {
            Detectors::All => "all".to_owned(),
            Detectors::List(list) => {
                list.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join("+")
            }
        }),
    );
    for (name, regex) in held.patterns.iter().flatten() {
        say(&name.value, Some(regex.value.clone()));
    }
    let allow =
        held.allow.as_ref().map(|list| list.iter().map(|at| at.value.as_str()).collect::<Vec<_>>().join("+"));
    say("allow", allow);
    say("epoch", held.epoch.map(|at| at.value.clone()));
    say("wire", held.wire.map(|at| at.value.as_str().to_owned()));
    say("content", held.content.map(|at| at.value.as_str().to_owned()));
    say("on_deny", held.on_deny.map(|at| at.value.as_str().to_owned()));
    say("weight", held.weight.map(|at| at.value.to_string()));
    (said.join(" "), problems.iter().map(|problem| problem.code.to_owned()).collect())
}

const WIDER: &[&str] = &["wider-than-parent"];

#[track_caller]
fn check(base: &str, own: &str, expected: &str, warned: &[&str]) {
    let (found, codes) = holds("", base, own);
    assert_eq!(found, expected, "{base} / {own}");
    assert_eq!(codes, warned, "{base} / {own}");
}

#[test]
fn of_two_limits_the_narrower_holds() {
    let limits = |text: &str| format!("limits: {{ {text} }}");
    let rates = |base: &str, own: &str, expected: &str, warned: &[&str]| {
        let (base, own) = (limits(&format!("requests: {base}")), limits(&format!("requests: {own}")));
        check(&base, &own, expected, warned);
    };
    rates("60/min", "30/min", "requests=30/Minute", &[]);
    rates("60/min", "60/min", "requests=60/Minute", &[]);
    rates("60/min", "600/min", "requests=60/Minute burst 60", WIDER);
    rates("60/min", "1/s", "requests=1/Second", &[]);
    rates("60/min burst 5", "1/min burst 10", "requests=1/Minute burst 5", WIDER);
    rates("1/min burst 10", "60/min burst 5", "requests=1/Minute burst 5", WIDER);
    rates("60/min burst 5", "1/s", "requests=1/Second", &[]);
    check(&limits("requests: 5/s"), "", "requests=5/Second", &[]);
    check("", &limits("concurrency: 9"), "concurrency=9", &[]);
    check(&limits("concurrency: 4"), &limits("concurrency: 9"), "concurrency=4", WIDER);
    check(
        &limits("concurrency: 4"),
        &limits("concurrency: 2, tokens: 5/s"),
        "tokens=5/Second concurrency=2",
        &[],
    );
    let models = |text: &str| format!("model_limits: {{ {text} }}");
    check(
        &models("\"gpt-*\": { tokens: 5/s }, x: { tokens: 1/s }"),
        &models("gpt-5: { tokens: 9/s }, y: { tokens: 2/s }"),
        "gpt-5=5/Second burst 5 y=2/Second gpt-*=5/Second x=1/Second",
        WIDER,
    );
    let budget = |base: &str, own: &str, expected: &str, warned: &[&str]| {
        check(&format!("budget: {base}"), &format!("budget: {own}"), expected, warned);
    };
    budget("50 USD/day", "5 USD/day", "budget=5/Day", &[]);
    budget("50 USD/day", "500 USD/day", "budget=50/Day", WIDER);
    budget("50 USD/day", "40 USD/month", "budget=40/Month", &[]);
    budget("50 USD/month", "1 USD/day", "budget=1/Day", &[]);
    budget("500 USD/month", "50 USD/day", "budget=500/Month budget=50/Day", &[]);
    budget("1 USD/day", "50 USD/month", "budget=1/Day", WIDER);
    check(
        "labels: { plan: pro }",
        "labels: { plan: max, eu: true }",
        "plan=\"pro\" eu=true",
        &["label-of-parent"],
    );
    check("labels: { plan: pro }", "labels: { plan: pro }", "plan=\"pro\"", &[]);
    let redact = |text: &str| format!("redact: {{ {text} }}");
    let list = |names: &str| redact(&format!("detectors: [{names}]"));
    check(&list("EMAIL_ADDRESS"), &list("IBAN_CODE"), "detectors=EMAIL_ADDRESS+IBAN_CODE", &[]);
    check(&redact("detectors: all"), &list("IBAN_CODE"), "detectors=all", &[]);
    check("", &list("IBAN_CODE"), "detectors=IBAN_CODE", &[]);
    check(&redact("patterns: { A: x }"), &redact("patterns: { A: y }"), "A=x A=y", &[]);
    check(&redact("allow: [\"*@acme.com\"]"), &redact("allow: [x@acme.com]"), "allow=x@acme.com", &[]);
    check(&redact("allow: [x@acme.com]"), &redact("allow: [\"*@acme.com\"]"), "allow=", WIDER);
    check(&redact("allow: [x@acme.com]"), &redact("epoch: A"), "allow=x@acme.com epoch=A", &[]);
    check(&redact("wire: mask"), &redact("wire: off"), "wire=mask", WIDER);
    check(&redact("wire: mask"), &redact("wire: block"), "wire=block", &[]);
    check("records: { content: none }", "records: { content: redacted }", "content=none", WIDER);
    check("on_deny: error\nweight: 2", "on_deny: notice", "on_deny=notice weight=2", &[]);
}

#[test]
fn the_defaults_are_below_both() {
    let check = |base: &str, own: &str, expected: &str| {
        let defaults =
            "defaults: { limits: { requests: 1/s, concurrency: 3 }, labels: { plan: basic }, weight: 7 }";
        assert_eq!(holds(defaults, base, own), (expected.to_owned(), Vec::new()), "{base} / {own}");
    };
    check("", "", "requests=1/Second concurrency=3 plan=\"basic\" weight=7");
    check(
        "limits: { concurrency: 9 }",
        "weight: 2",
        "requests=1/Second concurrency=9 plan=\"basic\" weight=2",
    );
    check(
        "labels: { eu: true }",
        "limits: { requests: 5/s }",
        "requests=5/Second concurrency=3 eu=true weight=7",
    );
}

fn identified<'d>(directory: &'d Directory, credential: &str) -> &'d crate::identity::Identity {
    let value = HeaderValue::try_from(format!("Bearer {credential}")).unwrap();
    directory.identify(&HeaderMap::from_iter([(AUTHORIZATION, value)]), 0).unwrap()
}

#[test]
fn a_tenant_runs_within_what_it_extends() {
    let base =
        "abstract: true\nmodels: [\"gpt-*\"]\ntools:\n  - allow: [\"get_*\", send]\n  - deny: get_secret";
    let key = |word: &str| {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(word);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("keys: [{{ id: k, sha256: \"{digest}\" }}]\n")
    };
    let own = format!(
        "{}extends: base\nmodels: [gpt-5, claude]\ntools: [{{ allow: [\"get_*\", rm] }}]",
        key("acme")
    );
    let silent = key("globex");
    let written = Written::new(
        "defaults: { extends: base, models: [other], tools: [{ allow: \"*\" }] }",
        &[("acme", &own), ("base", base), ("globex", &silent)],
    );
    let loaded = written.load();
    let (compiled, problems) = compiled(&loaded);
    let snapshot =
        compiled.unwrap_or_else(|| panic!("{}", to_text(&problems, &loaded.files, Colour::Plain))).snapshot;
    assert_eq!(snapshot.tenants, 2);
    let check = |who: &str, tools: &[(&str, &str)], models: &[(&str, bool)]| {
        let identity = identified(&snapshot.directory, who);
        let (tenant, key) = (identity.tenant(), identity.key());
        for (tool, expected) in tools {
            let args = Arguments::Known(json::parse(b"{}", 4).unwrap());
            let question = Question {
                caller: &key.caller,
                key_tools: None,
                tool,
                args: &args,
                place: Place::Emitted,
                now: 0,
            };
            let decision = tenant.policy.decide(&question);
            let place = decision.source().map_or_else(String::new, |source| format!(" {source}"));
            assert_eq!(format!("{}{place}", decision.outcome.as_str()), *expected, "{who} {tool}");
        }
        for (model, expected) in models {
            assert_eq!(tenant.may_use(key, model), *expected, "{who} {model}");
        }
    };
    check(
        "acme",
        &[
            ("get_x", "allow t/base.yaml:5"),
            ("get_secret", "deny t/base.yaml:6"),
            ("send", "deny"),
            ("rm", "deny"),
        ],
        &[("gpt-5", true), ("gpt-4", false), ("claude", false), ("other", false)],
    );
    check(
        "globex",
        &[("get_x", "allow t/base.yaml:5"), ("send", "allow t/base.yaml:5"), ("rm", "deny")],
        &[("gpt-4", true), ("claude", false)],
    );
}

/// What `acme` may do in a chain of two files, with these defaults: with a tool and a model of which all speak.
#[track_caller]
fn may(gateway: &str, base: &str, own: &str, expected: (bool, bool)) {
    let base = format!("abstract: true\n{base}");
    let own = format!("extends: base\nkeys: [{{ id: k, sha256: {} }}]\n{own}", "ab".repeat(32));
    let written = Written::new(gateway, &[("acme", &own), ("base", &base)]);
    let loaded = written.load();
    let (compiled, problems) = compiled(&loaded);
    let text = to_text(&problems, &loaded.files, Colour::Plain);
    let snapshot = compiled.unwrap_or_else(|| panic!("{text}")).snapshot;
    let member = snapshot.directory.find("acme").unwrap();
    let key = member.keys().next().unwrap();
    let args = Arguments::Known(json::Value::Object(Vec::new()));
    let (place, now) = (Place::Emitted, 0);
    let question = Question { caller: &key.caller, key_tools: None, tool: "mail", args: &args, place, now };
    let tool = member.tenant().policy.decide(&question).outcome == crate::policy::Outcome::Allow;
    assert_eq!((tool, member.tenant().may_use(key, "gpt")), expected, "{gateway} / {base} / {own}");
}

#[test]
fn what_a_file_does_not_say_narrows_nothing() {
    let (tools, models) = ("tools: [{ allow: mail }]\n", "models: [gpt]\n");
    may("", "", "", (false, false));
    may("", tools, models, (true, true));
    may("", models, tools, (true, true));
    may("", &format!("{tools}{models}"), "", (true, true));
    may("", "", &format!("{tools}{models}"), (true, true));
    may("", "models: []\ntools: []\n", &format!("{tools}{models}"), (false, false));
    may("", "tools: [{ allow: other }]\nmodels: [other]\n", &format!("{tools}{models}"), (false, false));
    may("", &format!("{tools}{models}"), "tools: [{ allow: other }]\nmodels: [other]\n", (false, false));
    let defaults = "defaults: { tools: [{ allow: mail }], models: [gpt] }\n";
    may(defaults, "", "", (true, true));
    may(defaults, "models: [other]\n", "tools: [{ allow: other }]\n", (false, false));
    may(defaults, "tools: []\n", models, (false, true));
}

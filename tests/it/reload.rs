//! Reloads of the real binary: while requests run, as kubelet swaps a ConfigMap, and with files that break.

use crate::support::{ACME, Answer, GLOBEX, Gateway, chat, read_answer, tools, with_digests};
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

const GLOBEX_FILE: &str = "tenant: globex\nkeys: [{ id: prod, sha256: @GLOBEX@ }]\nmodels: [gpt-5]\n";
const ACME_FILE: &str = "tenant: acme\nkeys: [{ id: prod, sha256: @ACME@ }]\nmodels: [gpt-5]\n";

/// What a generation of the configuration allows, the other does not.
pub(crate) fn generation(allowed: &str, denied: &str, name: &str) -> String {
    format!("{ACME_FILE}tools:\n  - allow: {allowed}\n  - deny: {denied}\n    reason: Says the {name} one.\n")
}

/// A tenants' directory with two generations, of which the first is linked.
pub(crate) fn two_generations() -> Gateway {
    let (old, new) = (generation("get_a", "get_b", "old"), generation("get_b", "get_a", "new"));
    Gateway::with_tenants_in(&[
        ("tenants/..1/acme.yaml", old.as_str()),
        ("tenants/..1/globex.yaml", GLOBEX_FILE),
        ("tenants/..2/acme.yaml", new.as_str()),
        ("tenants/..2/globex.yaml", GLOBEX_FILE),
    ])
}

/// The link is replaced in one step.
pub(crate) fn swap(tenants: &Path, generation: &str) {
    let new = tenants.join("..data_tmp");
    symlink(generation, &new).unwrap();
    fs::rename(new, tenants.join("..data")).unwrap();
}

/// Both calls, of which each generation denies another one.
pub(crate) fn both(more: &str) -> String {
    let script = format!("{more}!call get_a {{}}\n!call get_b {{}}");
    chat(&script, &(tools(&["get_a", "get_b", "get_c"]) + r#","tool_choice":"auto""#))
}

/// Which generation an answer is of; it must be of one entirely.
pub(crate) fn told(answer: &Answer) -> &'static str {
    let calls = |name: &str| answer.body.contains(&format!(r#""name":"{name}""#));
    let reason = |name: &str| answer.body.contains(&format!("Says the {name} one."));
    let found = [calls("get_a"), calls("get_b"), reason("old"), reason("new")];
    let [old, new] = [[true, false, true, false], [false, true, false, true]];
    assert!(found == old || found == new, "of no generation: {answer:?}");
    if found == old { "old" } else { "new" }
}

/// How many answers were of which generation.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) olds: AtomicUsize,
    pub(crate) news: AtomicUsize,
}

/// Has three clients ask, and `more` of each, while `meanwhile` goes on: none fails.
pub(crate) fn while_clients_ask(
    gateway: &Gateway,
    more: impl Fn() + Sync,
    meanwhile: impl FnOnce(&Seen),
) -> Seen {
    let (done, seen) = (AtomicBool::new(false), Seen::default());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let answer = gateway.chat(ACME, &both(""));
                    assert_eq!(answer.status, 200, "{answer:?}");
                    let count = if told(&answer) == "old" { &seen.olds } else { &seen.news };
                    count.fetch_add(1, Ordering::Relaxed);
                    more();
                }
            });
        }
        meanwhile(&seen);
        done.store(true, Ordering::Relaxed);
    });
    seen
}

#[test]
fn no_request_fails_or_sees_two_configurations_while_they_are_swapped() {
    const ROUNDS: usize = 12;
    let gateway = two_generations();
    let tenants = gateway.dir.path().join("tenants");
    let more = || assert_eq!(gateway.get("/v1/models", GLOBEX).status, 200);
    while_clients_ask(&gateway, more, |seen| {
        for round in 0..ROUNDS {
            let (name, count) = if round % 2 == 0 { ("..2", &seen.news) } else { ("..1", &seen.olds) };
            let before = count.load(Ordering::Relaxed);
            swap(&tenants, name);
            // Some are told, the last ones are found by the watch.
            if round < ROUNDS - 2 {
                assert_eq!(gateway.reload().status, 200);
            }
            gateway.wait("the new configuration", |_| count.load(Ordering::Relaxed) > before + 3);
        }
    });
}

#[test]
fn a_stream_ends_under_the_configuration_that_it_began_with() {
    let gateway = two_generations();
    let body = both("!say one word and another and so on\n!chunks 30\n!delay 100ms\n").replacen(
        '{',
        r#"{"stream":true,"#,
        1,
    );
    let socket = gateway.begin("/v1/chat/completions", ACME, &body);
    gateway.in_flight(1);
    swap(&gateway.dir.path().join("tenants"), "..2");
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(told(&gateway.chat(ACME, &both(""))), "new");
    assert!(gateway.admin_get("/metrics").body.contains("\ntollgate_in_flight 1\n"));
    let answer = read_answer(socket).unwrap();
    assert!(answer.body.ends_with("data: [DONE]\n\n"), "{answer:?}");
    assert_eq!(told(&answer), "old");
}

fn two_tenants() -> Gateway {
    Gateway::with_tenants_in(&[("tenants/acme.yaml", ACME_FILE), ("tenants/globex.yaml", GLOBEX_FILE)])
}

/// Everybody is served as before, and everything that may say so says that the reload failed.
#[track_caller]
fn check_last_good(gateway: &Gateway, problem: &str) {
    for key in [ACME, GLOBEX] {
        let answer = gateway.chat(key, &chat("hi", ""));
        assert_eq!(answer.status, 200, "{problem}: {answer:?}");
    }
    assert_eq!(gateway.admin_get("/readyz").status, 200);
    let metrics = gateway.admin_get("/metrics").body;
    assert!(metrics.contains("\ntollgate_config_last_reload_successful 0\n"), "{problem}: {metrics}");
    let status = gateway.admin_get("/admin/status").json();
    assert_eq!((&status["tenants"], &status["reload"]["ok"]), (&2.into(), &false.into()), "{status}");
    assert!(status["reload"]["problems"].as_str().unwrap().contains(problem), "{problem}: {status}");
}

#[test]
fn a_tenant_s_file_that_breaks_changes_nothing_for_anyone_loudly() {
    let gateway = two_tenants();
    let file = gateway.dir.path().join("tenants/globex.yaml");
    fs::write(&file, with_digests(GLOBEX_FILE) + "tools: [").unwrap();
    let errors = || fs::read_to_string(gateway.dir.path().join("serve.err")).unwrap();
    gateway.wait("the log", |_| errors().contains("tenants/globex.yaml:4"));
    assert!(errors().contains("the last good one goes on serving"), "{}", errors());
    check_last_good(&gateway, "tenants/globex.yaml:4");
    // Another tenant's change waits too: all or nothing.
    fs::write(gateway.dir.path().join("tenants/acme.yaml"), with_digests(ACME_FILE).replace("gpt-5", "fast"))
        .unwrap();
    assert_eq!(gateway.reload().status, 422);
    check_last_good(&gateway, "tenants/globex.yaml:4");
    assert_eq!(errors().matches("the last good one goes on serving").count(), 2, "{}", errors());
    fs::write(&file, with_digests(GLOBEX_FILE)).unwrap();
    gateway.wait("the repaired file", |gateway| {
        gateway.admin_get("/admin/status").json()["reload"] == serde_json::json!({ "ok": true })
    });
    assert_eq!(gateway.chat(ACME, &chat("hi", "")).code(), "model_not_found");
    let metrics = gateway.admin_get("/metrics").body;
    assert!(metrics.contains("\ntollgate_config_last_reload_successful 1\n"), "{metrics}");
}

#[test]
fn what_is_set_up_once_waits_for_a_restart_and_says_so() {
    let gateway = two_tenants();
    let file = gateway.dir.path().join("tollgate.yaml");
    let old = fs::read_to_string(&file).unwrap();
    let reload = || gateway.admin_get("/admin/status").json()["reload"].clone();
    let errors = || fs::read_to_string(gateway.dir.path().join("serve.err")).unwrap();
    let secrets = "records: { secret: sixteen-bytes-and-more }\nadmin_token: t0ken-of-the-operator\n";
    let new = format!("probes: 127.0.0.1:1\n{secrets}{}", old.replace("data_dir: ", "data_dir: other-"));
    fs::write(&file, new).unwrap();
    assert_eq!(gateway.reload().status, 200);
    let told = "`admin_token`, `records.secret`, `probes`, `data_dir` changed: this takes effect when the gateway is restarted";
    assert_eq!(reload(), serde_json::json!({ "ok": true, "problems": told }));
    assert!(errors().contains(told), "{}", errors());
    fs::write(&file, &old).unwrap();
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(reload(), serde_json::json!({ "ok": true }));
}

#[test]
fn what_is_no_file_drops_no_tenant() {
    let gateway = two_tenants();
    let tenants = gateway.dir.path().join("tenants");
    let acme = tenants.join("acme.yaml");
    let good = fs::read(&acme).unwrap();
    let check = |problem: &str, put: &dyn Fn(&Path)| {
        fs::remove_file(&acme).unwrap();
        put(&acme);
        let refused = gateway.reload();
        assert_eq!(refused.status, 422, "{problem}: {refused:?}");
        check_last_good(&gateway, problem);
        assert!(Command::new("rm").arg("-r").arg(&acme).status().unwrap().success());
        fs::write(&acme, &good).unwrap();
        assert_eq!(gateway.reload().status, 200, "{problem}");
    };
    check("is a directory, not a file", &|path| fs::create_dir(path).unwrap());
    check("there is no file", &|path| symlink("nowhere.yaml", path).unwrap());
    check("is a pipe", &|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()));
    check("is a pipe, a socket or a device", &|path| symlink("/dev/zero", path).unwrap());
    check("is larger than", &|path| fs::write(path, "#".repeat(5 << 20)).unwrap());
    check("is not UTF-8", &|path| fs::write(path, b"tenant: \xff").unwrap());
}

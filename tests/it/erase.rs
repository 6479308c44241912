//! `tollgate tenant erase` on the real binary: what goes, what stays, and what proves it.

use crate::support::{ACME, GLOBEX, Gateway, chat, run, tools};
use std::{fs, path::Path};

const TENANTS: &str = r#"
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [gpt-5]
    tools: [{ allow: "get_*" }]
  globex:
    keys: [{ id: prod, sha256: @GLOBEX@ }]
    models: [gpt-5]
    tools: [{ allow: "get_*" }]
"#;

fn gateway(records: &str) -> Gateway {
    Gateway::with(TENANTS, records)
}

/// The token that a tenant's newest record has of the one address that everybody writes to.
fn token(gateway: &Gateway, tenant: &str, key: &str) -> String {
    let answer = gateway.chat(key, &chat("write to jane.doe@example.com", &tools(&["get_weather"])));
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.header("x-request-id").unwrap();
    // Lines of other requests may come meanwhile.
    let line =
        |gateway: &Gateway| gateway.lines("log", tenant, 0).into_iter().find(|line| line["request_id"] == id);
    gateway.wait("the line of the request", |gateway| line(gateway).is_some());
    let line = line(gateway).unwrap();
    let prompt = line["prompt"].as_str().unwrap();
    prompt.split("[EMAIL_ADDRESS:").nth(1).unwrap().split(']').next().unwrap().to_owned()
}

fn erase(dir: &Path, more: &[&str]) -> (i32, String, String) {
    let args = [&["tenant", "erase", "acme", "--config", "tollgate.yaml", "--by", "ada"], more].concat();
    run(&args, dir, "")
}

/// Every file below a directory that holds this text.
fn holding(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(text) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_tenant_is_erased_for_good_and_starts_anew() {
    let mut gateway = gateway("");
    let stored = gateway.post("/v1/responses", ACME, r#"{"model":"gpt-5","input":"hi"}"#);
    let id = stored.json()["id"].as_str().unwrap().to_owned();
    let (acme, globex) = (token(&gateway, "acme", ACME), token(&gateway, "globex", GLOBEX));
    assert_eq!(token(&gateway, "acme", ACME), acme);
    let dir = gateway.dir.path().to_owned();
    let data = dir.join("data");
    // Not while records are written, and not without being asked.
    let (status, _, told) = erase(&dir, &["--yes"]);
    assert!(status == 1 && told.contains("stop it first"), "{told}");
    gateway.stop();
    let (status, _, told) = erase(&dir, &[]);
    assert!(status == 2 && told.contains("--yes"), "{told}");
    for by in ["ada\u{7}", "ada\nada", &"a".repeat(257)] {
        let (status, _, told) = run(&["tenant", "erase", "acme", "--yes", "--by", by], &dir, "");
        assert!(status == 2 && told.contains("--by"), "{told}");
    }
    assert!(!holding(&data, &acme).is_empty() && !holding(&data, &id).is_empty());
    let recorded = gateway.lines("audit", "acme", 1).len();
    let secret = fs::read_to_string(data.join("secrets.json")).unwrap();
    let salt = serde_json::from_str::<serde_json::Value>(&secret).unwrap()["acme"]["salt"].clone();
    assert_eq!(salt.as_str().unwrap().len(), 64);

    let (status, out, told) = erase(&dir, &["--yes"]);
    assert!(status == 0 && out.contains("its secret is destroyed"), "{out}{told}");
    assert!(out.contains("is still configured"), "{out}");
    for gone in ["audit/acme", "audit/.heads/acme.json", "log/acme"] {
        assert!(!data.join(gone).exists(), "{gone}");
    }
    for text in [acme.as_str(), id.as_str(), salt.as_str().unwrap()] {
        assert_eq!(holding(&data, text), Vec::<String>::new());
    }
    assert!(!holding(&data, &globex).is_empty());
    // Nothing is left to be erased.
    let (status, _, told) = erase(&dir, &["--yes"]);
    assert!(status == 1 && told.contains("holds nothing of a tenant `acme`"), "{told}");

    gateway.start_again();
    let anew = token(&gateway, "acme", ACME);
    assert_ne!(anew, acme);
    assert_eq!(token(&gateway, "globex", GLOBEX), globex);
    assert_eq!(gateway.get(&format!("/v1/responses/{id}"), ACME).status, 404);
    gateway.restart();
    assert_eq!(token(&gateway, "acme", ACME), anew);
    gateway.stop();

    let verify = || run(&["audit", "verify", "data"], &dir, "");
    let (status, out, _) = verify();
    assert!(status == 0 && out.contains("_operator: 2 records") && out.contains("3 chains"), "{out}");
    let operator = data.join("audit/_operator");
    let file = fs::read_dir(&operator).unwrap().next().unwrap().unwrap().path();
    let proof = fs::read_to_string(&file).unwrap();
    let records: Vec<serde_json::Value> =
        proof.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!([&records[0]["event"], &records[1]["event"]], ["tenant_erase_begun", "tenant_erased"]);
    assert!(records.iter().all(|record| record["erased"] == "acme" && record["by"] == "ada"));
    assert_eq!(records[0]["what"]["audit_records"], recorded);
    assert_eq!(records[0]["what"]["audit_whole"], true);
    assert_eq!(records[1]["what"]["secret"], "destroyed");
    assert_eq!(records[1]["what"]["stored_entries"], 2); // The answer, and its item.
    // Who changes the proof, or takes it away, is found, and another erasure does not go on from it.
    fs::write(&file, proof.replace("\"ada\"", "\"eve\"")).unwrap();
    assert_eq!(verify().0, 1);
    fs::remove_dir_all(&operator).unwrap();
    assert_eq!(verify().0, 1);
    let (status, _, told) = erase(&dir, &["--yes"]);
    assert!(status == 1 && told.contains("nothing was erased"), "{told}");
    assert!(data.join("audit/acme").exists());
}

fn verify(gateway: &Gateway) -> (i32, String) {
    let (status, out, told) =
        run(&["audit", "verify", "data", "--config", "tollgate.yaml"], gateway.dir.path(), "");
    (status, out + &told)
}

/// The events in the operator's chain, in order.
fn events(gateway: &Gateway) -> Vec<serde_json::Value> {
    gateway.lines("audit", "_operator", 0)
}

#[test]
fn an_erasure_that_failed_at_the_ledger_is_finished_by_the_next() {
    let mut gateway = gateway("");
    token(&gateway, "acme", ACME);
    gateway.stop();
    let dir = gateway.dir.path().to_owned();
    let ledger = rusqlite::Connection::open(dir.join("data/usage.sqlite")).unwrap();
    let rows = || {
        let counted = "SELECT count(*) FROM usage WHERE tenant = 'acme'";
        ledger.query_row(counted, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert!(rows() > 0);
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (status, _, told) = erase(&dir, &["--yes"]);
    assert!(status == 1 && told.contains("run the command again"), "{told}");
    let (status, out) = verify(&gateway);
    assert!(status == 0 && out.contains("the erasure of acme that was begun at"), "{out}");
    let (_, out, _) = run(&["audit", "verify", "data", "--format", "json"], &dir, "");
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found[0]["unfinished_erasures"], serde_json::json!(["acme"]), "{out}");
    ledger.execute_batch("ROLLBACK").unwrap();
    let (status, out, told) = erase(&dir, &["--yes"]);
    assert!(status == 0 && out.contains("finished the erasure that was begun at"), "{out}{told}");
    // What became of the secret, the first run knew.
    assert!(out.contains("its secret is destroyed"), "{out}");
    assert_eq!(rows(), 0);
    let told: Vec<_> = events(&gateway).iter().map(|record| record["event"].clone()).collect();
    assert_eq!(told, ["tenant_erase_begun", "tenant_erase_resumed", "tenant_erased"]);
    let (status, out) = verify(&gateway);
    assert!(status == 0 && !out.contains("erasure"), "{out}");
    let (status, _, told) = erase(&dir, &["--yes"]);
    assert!(status == 1 && told.contains("holds nothing of a tenant `acme`"), "{told}");
}

#[test]
fn a_tenant_that_only_has_a_secret_or_a_row_in_the_ledger_can_be_erased() {
    let mut gateway = gateway("");
    gateway.stop();
    let dir = gateway.dir.path().to_owned();
    let secrets = || fs::read_to_string(dir.join("data/secrets.json")).unwrap();
    assert!(secrets().contains("\"acme\""), "a configured tenant has a secret from the start");
    let (status, out, told) = erase(&dir, &["--yes"]);
    assert!(status == 0 && out.contains("its secret is destroyed"), "{out}{told}");
    assert!(!secrets().contains("\"acme\""));
    let ledger = rusqlite::Connection::open(dir.join("data/usage.sqlite")).unwrap();
    ledger.execute("INSERT INTO usage VALUES ('acme', 0, 'k', '', '', 1, 0, 0, 0, 0)", []).unwrap();
    let (status, out, told) = erase(&dir, &["--yes"]);
    assert_eq!(status, 0, "{out}{told}");
    let (status, _, told) = erase(&dir, &["--yes"]);
    assert!(status == 1 && told.contains("holds nothing of a tenant `acme`"), "{told}");
}

#[test]
fn what_lies_behind_a_link_is_not_called_erased() {
    let mut gateway = gateway("");
    let token = token(&gateway, "acme", ACME);
    gateway.stop();
    let dir = gateway.dir.path().to_owned();
    let (log, elsewhere) = (dir.join("data/log/acme"), dir.join("elsewhere"));
    let file = fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    for linked in [&log, &file, &dir.join("data/audit/acme")] {
        let was_dir = linked.is_dir();
        fs::rename(linked, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, linked).unwrap();
        let (status, out, told) = erase(&dir, &["--yes"]);
        assert!(
            status == 1 && told.contains("is a link") && told.contains("nothing was erased"),
            "{out}{told}"
        );
        assert!(fs::symlink_metadata(linked).unwrap().is_symlink() && elsewhere.is_dir() == was_dir);
        if linked.ends_with("audit/acme") {
            let (status, out) = verify(&gateway);
            assert!(status == 0 && out.contains("audit/acme is a link"), "{out}");
            gateway.start_again();
            gateway.stop();
            assert!(gateway.stderr().contains("audit/acme is a link"), "{}", gateway.stderr());
        }
        fs::remove_file(linked).unwrap();
        fs::rename(&elsewhere, linked).unwrap();
    }
    assert!(!holding(&dir.join("data"), &token).is_empty());
    // Who types an address is no less redacted than who approves.
    let by = ["tenant", "erase", "acme", "--config", "tollgate.yaml", "--yes", "--by", "ada.l@example.com"];
    assert_eq!(run(&by, &dir, "").0, 0);
    assert!(holding(&dir.join("data"), &token).is_empty());
    assert_eq!(holding(&dir.join("data"), "ada.l@example.com"), Vec::<String>::new());
    let told = events(&gateway).pop().unwrap()["by"].to_string();
    assert!(told.contains("[EMAIL_ADDRESS:"), "{told}");
}

#[test]
fn an_erasure_that_ended_behind_the_secret_is_named_and_finished_by_the_next() {
    for shared in ["", "records: { secret: 0123456789abcdef0123456789abcdef0123456789abcdef }\n"] {
        let mut gateway = gateway(shared);
        let before = token(&gateway, "acme", ACME);
        gateway.stop();
        let dir = gateway.dir.path().to_owned();
        // Nothing can be written in the place of the roll: the command ends between the secret and the roll.
        let aside = dir.join("data/audit/.heads/roll.tmp");
        fs::create_dir(&aside).unwrap();
        let (status, _, told) = erase(&dir, &["--yes"]);
        assert!(status == 1 && told.contains("run the command again"), "{told}");
        fs::remove_dir(&aside).unwrap();
        let hint = "run `tollgate tenant erase acme` again";
        let (status, out) = verify(&gateway);
        assert!(status == 1 && out.contains("BROKEN acme") && out.contains(hint), "{out}");
        gateway.start_again();
        let between = token(&gateway, "acme", ACME);
        assert_ne!(between, before);
        gateway.stop();
        let told = gateway.stderr();
        assert!(told.contains("the erasure of acme that was begun at") && told.contains(hint), "{told}");
        let (status, out, told) = erase(&dir, &["--yes"]);
        assert!(status == 0 && out.contains("finished the erasure"), "{out}{told}");
        // The tenant lived on, with a secret that was derived from the master alone: that cannot be destroyed.
        assert!(!out.contains("its secret is destroyed"), "{out}");
        let (status, out) = verify(&gateway);
        assert!(status == 0 && !out.contains("erasure"), "{out}");
        assert!(holding(&dir.join("data"), &before).is_empty());
        gateway.start_again();
        // A secret that others share is another one once, however often the command ran.
        assert_eq!(token(&gateway, "acme", ACME) == between, !shared.is_empty());
    }
}

#[test]
fn gateways_that_share_a_secret_agree_before_and_after() {
    let shared = "records: { secret: 0123456789abcdef0123456789abcdef0123456789abcdef }\n";
    let (mut one, mut two) = (gateway(shared), gateway(shared));
    let before = token(&one, "acme", ACME);
    assert_eq!(token(&two, "acme", ACME), before);
    let erased = |gateway: &mut Gateway| {
        gateway.stop();
        let (status, out, told) = erase(gateway.dir.path(), &["--yes"]);
        assert!(status == 0 && out.contains("whoever has the"), "{out}{told}");
        gateway.start_again();
        token(gateway, "acme", ACME)
    };
    let after = erased(&mut one);
    assert_ne!(after, before);
    assert_eq!(token(&two, "acme", ACME), before);
    assert_eq!(erased(&mut two), after);
    // Once more is another secret once more.
    assert!(![before, after].contains(&erased(&mut one)));
    one.stop();
    let (status, out, _) = run(&["audit", "verify", "data", "--config", "tollgate.yaml"], one.dir.path(), "");
    assert_eq!(status, 0, "{out}");
}

#[test]
fn recorded_decisions_are_shown_as_they_are_asked_for() {
    let mut gateway = gateway("");
    let offer = |key, names: &[&str]| {
        let answer = gateway.chat(key, &chat("hi", &tools(names)));
        answer.header("x-request-id").unwrap().to_owned()
    };
    let first = offer(ACME, &["get_a", "delete_a"]);
    offer(ACME, &["get_b"]);
    offer(GLOBEX, &["get_a"]);
    gateway.stop();
    let dir = gateway.dir.path();
    let show = |more: &[&str]| {
        let args = [&["audit", "show", "data", "--format", "json"], more].concat();
        let (status, out, told) = run(&args, dir, "");
        assert_eq!(status, 0, "{told}");
        let shown: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
        let told = |record: &serde_json::Value| {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            format!("{} {} {}", text("tenant"), text("tool"), text("decision"))
        };
        let mut told: Vec<String> = shown.iter().map(told).collect();
        told.sort();
        told
    };
    let all = ["acme delete_a deny", "acme get_a allow", "acme get_b allow", "globex get_a allow"];
    assert_eq!(show(&[]), all);
    assert_eq!(show(&["--tenant", "acme"]), all[..3]);
    assert_eq!(show(&["--tenant", "acm"]), Vec::<String>::new());
    assert_eq!(show(&["--tool", "get_?"]), all[1..]);
    assert_eq!(show(&["--decision", "deny"]), all[..1]);
    assert_eq!(show(&["--request", &first]), all[..2]);
    assert_eq!(show(&["--since", "1h"]), all);
    assert_eq!(show(&["--since", "2999-01-01"]), Vec::<String>::new());
    let (status, out, _) =
        run(&["audit", "show", "--config", "tollgate.yaml", "--decision", "deny"], dir, "");
    assert_eq!((status, out.lines().count()), (0, 1), "{out}");
    assert!(out.contains("acme/prod  deny  offered  delete_a  no rule"), "{out}");
    for (wrong, status) in [
        (["data", "--since", "yesterday"], 2),
        (["data", "--decision", "no"], 2),
        (["none", "--tool", "x"], 2),
    ] {
        assert_eq!(run(&[&["audit", "show"][..], &wrong].concat(), dir, "").0, status, "{wrong:?}");
    }
    // A line that is none is told, and the others are shown.
    let file = fs::read_dir(dir.join("data/audit/globex")).unwrap().next().unwrap().unwrap().path();
    fs::write(&file, [fs::read(&file).unwrap(), b"{nonsense\n".to_vec()].concat()).unwrap();
    let (status, out, told) = run(&["audit", "show", "data"], dir, "");
    assert!((status, out.lines().count()) == (1, 4) && told.contains("1 line cannot be read"), "{out}{told}");
}

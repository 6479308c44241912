//! Another `records.secret`, as docs/records.md has it: what the old one made stays checked by it, and no mistake costs a chain.

use crate::support::{ACME, Answer, BINARY, Gateway, chat, run, tools};
use std::{fs, path::Path, process::Command};

const TENANTS: &str = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools: [{ allow: \"get_*\" }]
    redact: { epoch: 2026-Q4 }
";
const MORE: &str = "records: { secret: { file: given } }\n";
const OLD: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

fn ask(gateway: &Gateway) -> Answer {
    let answer = gateway.chat(ACME, &chat("write to jane@example.com", &tools(&["get_x", "delete_x"])));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The token of the last request's address.
fn token(gateway: &Gateway, lines: usize) -> String {
    let line = gateway.lines("log", "acme", lines).pop().unwrap();
    let prompt = line["prompt"].to_string();
    let (_, behind) = prompt.split_once("[EMAIL_ADDRESS:").unwrap();
    behind.split(']').next().unwrap().to_owned()
}

fn verify(dir: &Path, data: &str, config: &str) -> (i32, String) {
    let (status, out, err) = run(&["audit", "verify", data, "--config", config], dir, "");
    (status, out + &err)
}

/// Every file below a directory but the lock, with what is in it.
fn held(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(held(&path));
        } else if !path.ends_with("lock") {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn another_secret_begins_with_another_directory() {
    let mut gateway = Gateway::with_all(TENANTS, &|_| String::new(), MORE, &[("given", OLD)]);
    let dir = gateway.dir.path().to_owned();
    ask(&gateway);
    let before = token(&gateway, 1);

    // The file is replaced while it runs: that is told, and changes nothing.
    fs::write(dir.join("given"), NEW).unwrap();
    let told = gateway.reload();
    assert_eq!(told.status, 200, "{told:?}");
    gateway.wait("the word of it", |gateway| gateway.stderr().contains("`records.secret` changed"));
    ask(&gateway);
    assert_eq!(token(&gateway, 2), before);
    gateway.stop();

    // A start with it on the same directory is refused, and costs nothing.
    let records = held(&dir.join("data/audit"));
    for _ in 0..2 {
        // One that starts would serve for ever.
        let serve = ["20", BINARY, "serve", "--config", "tollgate.yaml"];
        let told = Command::new("timeout").args(serve).current_dir(&dir).output().unwrap();
        let err = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.code() == Some(1) && err.contains("were made under another secret"), "{err}");
    }
    assert!(held(&dir.join("data/audit")) == records);
    let (status, told) = verify(&dir, "data", "tollgate.yaml");
    assert!(status == 1 && told.contains("or the secret was"), "{told}");
    let (status, _, err) = run(&["tenant", "erase", "acme", "--config", "tollgate.yaml", "--yes"], &dir, "");
    assert!(status == 1 && held(&dir.join("data/audit")) == records, "{err}");
    // Put back, all goes on as if nothing had been.
    fs::write(dir.join("given"), OLD).unwrap();
    assert_eq!(verify(&dir, "data", "tollgate.yaml").0, 0);
    gateway.start_again();
    ask(&gateway);
    assert_eq!(token(&gateway, 3), before);
    gateway.stop();
    assert_eq!(verify(&dir, "data", "tollgate.yaml").0, 0);

    begin_anew(&mut gateway, &before);
}

/// The way of the page: a new directory, into which goes what is no record.
fn begin_anew(gateway: &mut Gateway, before: &str) {
    let dir = gateway.dir.path().to_owned();
    let config = fs::read_to_string(dir.join("tollgate.yaml")).unwrap();
    let old = config.replace("file: given", "file: given-old").replace("data_dir: data", "data_dir: old");
    fs::write(dir.join("old.yaml"), old).unwrap();
    fs::rename(dir.join("data"), dir.join("old")).unwrap();
    fs::rename(dir.join("given"), dir.join("given-old")).unwrap();
    fs::write(dir.join("given"), NEW).unwrap();
    fs::create_dir(dir.join("data")).unwrap();
    for entry in fs::read_dir(dir.join("old")).unwrap().flatten() {
        let name = entry.file_name();
        if name.to_str().unwrap().starts_with("usage.sqlite")
            || name.to_str().unwrap().starts_with("stored.sqlite")
        {
            fs::copy(entry.path(), dir.join("data").join(name)).unwrap();
        }
    }
    gateway.start_again();
    ask(gateway);
    let after = token(gateway, 1);
    assert_ne!(after, before, "of the same epoch, and yet another one");
    gateway.wait("what was used before, and since", |gateway| {
        gateway.admin_get("/admin/usage").json().to_string().contains("\"requests\":4")
    });
    gateway.stop();
    for (data, config) in [("data", "tollgate.yaml"), ("old", "old.yaml")] {
        let (status, told) = verify(&dir, data, config);
        assert_eq!(status, 0, "{data}: {told}");
    }
    assert_eq!(verify(&dir, "old", "tollgate.yaml").0, 1);
    // What is erased in the old one stays in the new one.
    let erase = ["tenant", "erase", "acme", "--config", "old.yaml", "--yes"];
    let (status, out, err) = run(&erase, &dir, "");
    assert_eq!(status, 0, "{out}{err}");
    assert_eq!(verify(&dir, "old", "old.yaml").0, 0);
    assert!(!dir.join("old/audit/acme").exists() && dir.join("data/audit/acme").exists());
    // The next start makes the same tokens.
    gateway.start_again();
    ask(gateway);
    assert_eq!(token(gateway, 2), after);
}

/// Only the secret of the directory tells whose it is: one head or a roll that somebody made keeps nobody from starting.
#[test]
fn a_roll_or_a_head_that_was_forged_is_told_and_stops_nothing() {
    let mut gateway = Gateway::with_all(TENANTS, &|_| String::new(), MORE, &[("given", OLD)]);
    ask(&gateway);
    gateway.lines("audit", "acme", 2);
    for name in ["acme.json", "roll"] {
        gateway.stop();
        let path = gateway.dir.path().join("data/audit/.heads").join(name);
        let mut text: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        text["mac"] = "0".repeat(64).into();
        fs::write(&path, text.to_string()).unwrap();
        gateway.start_again();
        ask(&gateway);
    }
}

//! Audit chains that were lost: told until somebody has looked into it, and not where nothing was lost.

use crate::support::{ACME, Gateway, chat, run, tools};
use std::fs;

/// Has something decided, and waits until it is on record.
fn decided(gateway: &Gateway) {
    assert_eq!(gateway.chat(ACME, &chat("hi", &tools(&["get_a", "delete_b"]))).status, 200);
    gateway.lines("audit", "acme", 1);
    gateway.lines("log", "acme", 1);
}

fn verified(gateway: &Gateway) -> (i32, String) {
    let (status, out, _) = run(&["audit", "verify", "data"], gateway.dir.path(), "");
    (status, out)
}

fn acknowledged(gateway: &Gateway) -> (i32, String) {
    let command = ["audit", "acknowledge", "--config", "tollgate.yaml", "--by", "ada"];
    let (status, out, error) = run(&command, gateway.dir.path(), "");
    (status, out + &error)
}

#[test]
fn an_emptied_audit_directory_is_told_until_it_is_acknowledged() {
    let mut gateway = Gateway::start();
    decided(&gateway);
    gateway.stop();
    assert_eq!(verified(&gateway).0, 0);
    let (status, out) = acknowledged(&gateway);
    assert!(status == 0 && out.contains("nothing to acknowledge"), "{out}");
    let audit = gateway.dir.path().join("data/audit");
    fs::remove_dir_all(&audit).unwrap();
    fs::create_dir(&audit).unwrap();
    assert_eq!(verified(&gateway).0, 1);
    // Whatever is recorded since, and however often the gateway starts.
    for _ in 0..2 {
        gateway.start_again();
        decided(&gateway);
        let (status, out) = acknowledged(&gateway);
        assert!(status == 1 && out.contains("stop it first"), "{out}");
        gateway.stop();
        let (status, out) = verified(&gateway);
        assert!(status == 1 && out.contains("the roll of chains (audit/.heads/roll) is missing"), "{out}");
        assert!(out.contains("ok     acme"), "{out}");
    }
    // Whoever takes it out of the roll is found too.
    let roll = audit.join(".heads/roll");
    let told = fs::read_to_string(&roll).unwrap();
    let (before, behind) = told.split_once(",\"lost\":{").unwrap();
    fs::write(&roll, format!("{before}{}", behind.split_once('}').unwrap().1)).unwrap();
    assert_eq!(verified(&gateway).0, 1);
    fs::write(&roll, told).unwrap();
    let (status, out) = acknowledged(&gateway);
    assert!(status == 0 && out.contains("acknowledged: the roll of chains"), "{out}");
    let (status, out) = verified(&gateway);
    assert!(status == 0 && out.contains("ok     _operator: 1 records"), "{out}");
    gateway.start_again();
    decided(&gateway);
    gateway.stop();
    assert_eq!(verified(&gateway).0, 0);
}

#[test]
fn a_data_dir_that_is_older_than_rolls_is_no_alarm() {
    let mut gateway = Gateway::start();
    assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
    gateway.lines("log", "acme", 1);
    gateway.stop();
    let data = gateway.dir.path().join("data");
    let (roll, secrets) = (data.join("audit/.heads/roll"), data.join("secrets.json"));
    // As a version left it that knew no roll: logs, and no chain.
    fs::remove_file(&roll).unwrap();
    let mut kept: serde_json::Value = serde_json::from_slice(&fs::read(&secrets).unwrap()).unwrap();
    kept.as_object_mut().unwrap().remove("_roll").unwrap();
    fs::write(&secrets, kept.to_string()).unwrap();
    assert_eq!(verified(&gateway).0, 0);
    gateway.start_again();
    decided(&gateway);
    assert!(!gateway.stderr().contains("roll"), "{}", gateway.stderr());
    gateway.stop();
    assert_eq!(verified(&gateway).0, 0);
    // From now on one that is missing was removed.
    fs::remove_file(&roll).unwrap();
    assert_eq!(verified(&gateway).0, 1);
    gateway.start_again();
    gateway.stop();
    assert_eq!(verified(&gateway).0, 1);
}

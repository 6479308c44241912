//! Files in a data directory that are not what they should be: nothing waits for them, and each is named.

use crate::support::{ACME, BINARY, Gateway, chat, run, tools};
use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A gateway that has recorded something, signed, and has ended.
fn ended() -> Gateway {
    let mut gateway = Gateway::start();
    assert_eq!(gateway.chat(ACME, &chat("hi", &tools(&["get_a", "delete_b"]))).status, 200);
    gateway.lines("audit", "acme", 2);
    gateway.lines("log", "acme", 1);
    gateway.stop();
    gateway
}

/// All files below a directory.
fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

/// What a command says when it is over or, serving, is ready: it is given ten seconds.
fn said(gateway: &Gateway, args: &[&str]) -> Option<String> {
    let told = gateway.dir.path().join("told");
    let out = fs::File::create(&told).unwrap();
    let err = out.try_clone().unwrap();
    let mut command = Command::new(BINARY);
    let command =
        command.args(args).current_dir(gateway.dir.path()).stdin(Stdio::null()).stdout(out).stderr(err);
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        let text = fs::read_to_string(&told).unwrap();
        if child.try_wait().unwrap().is_some() {
            return Some(text);
        }
        if text.contains("listening") {
            std::thread::sleep(Duration::from_millis(300));
            drop(child.kill());
            child.wait().unwrap();
            return Some(fs::read_to_string(&told).unwrap());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(child.kill());
    child.wait().unwrap();
    None
}

#[test]
fn a_pipe_in_the_place_of_a_file_holds_nothing_up() {
    let gateway = ended();
    let data = gateway.dir.path().join("data");
    let all = below(&data);
    assert!(all.len() > 6, "{all:?}");
    let aside = gateway.dir.path().join("aside");
    // A database's journal comes and goes.
    for file in all.into_iter().filter(|file| !file.to_string_lossy().contains(".sqlite-")) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        fs::rename(&file, &aside).unwrap();
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
        let is_audit = file.starts_with(data.join("audit"));
        let text = said(&gateway, &["audit", "verify", "data"]);
        let text = text.unwrap_or_else(|| panic!("verify waits for {name}"));
        assert!(!is_audit || text.contains(&name) && text.contains("a pipe"), "{name}: {text}");
        let text = said(&gateway, &["serve", "--config", "tollgate.yaml"]);
        let text = text.unwrap_or_else(|| panic!("the start waits for {name}"));
        assert!(!is_audit || text.contains(&name) && text.contains("a pipe"), "{name}: {text}");
        assert!(text.contains(&name) || text.contains("listening"), "{name}: {text}");
        if fs::symlink_metadata(&file).is_ok_and(|meta| meta.file_type().is_fifo()) {
            fs::remove_file(&file).unwrap();
            fs::rename(&aside, &file).unwrap();
        }
    }
    assert_eq!(run(&["audit", "verify", "data"], gateway.dir.path(), "").0, 0);
}

#[test]
fn what_was_left_in_the_audit_directory_is_named_and_breaks_nothing_unless_it_looks_like_records() {
    let mut gateway = ended();
    let audit = gateway.dir.path().join("data/audit");
    let day = below(&audit.join("acme")).pop().unwrap();
    let day = day.file_name().unwrap().to_str().unwrap();
    let verified = |gateway: &Gateway| {
        let (status, out, err) = run(&["audit", "verify", "data"], gateway.dir.path(), "");
        assert!(out.contains("ok     acme: 2 records"), "{out}{err}");
        (status, out)
    };
    for name in
        ["readme", "notes.txt~", ".DS_Store", "old/notes", ".git/HEAD", ".heads/readme", "acme/readme~"]
    {
        let path = audit.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        let (status, out) = verified(&gateway);
        let shown =
            audit.join(name.strip_suffix("/notes").or_else(|| name.strip_suffix("/HEAD")).unwrap_or(name));
        let told = shown.strip_prefix(gateway.dir.path()).unwrap().display().to_string();
        assert!(status == 0 && out.contains(&format!("note: {told} is of no chain")), "{name}: {out}");
        gateway.start_again();
        gateway.stop();
    }
    let day_in = |dir: &str| format!("{dir}/{day}");
    for name in [
        day.to_owned(),
        format!("{day}.gz"),
        "globex.json".into(),
        day_in("acme.bak (1)"),
        day_in("copy"),
        ".heads/globex.json".into(),
    ] {
        let path = audit.join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x\n").unwrap();
        let (status, out) = verified(&gateway);
        assert!(status == 1 && out.contains("BROKEN"), "{name}: {out}");
        fs::remove_file(&path).unwrap();
        fs::remove_dir(path.parent().unwrap()).ok();
        assert_eq!(verified(&gateway).0, 0);
    }
}

#[test]
fn a_secret_that_others_can_read_is_named_at_the_start_and_by_check() {
    let records = "records: { sign: { file: sign.pem } }\n";
    let mut gateway = Gateway::with_all(
        crate::before::TENANTS,
        &|_| String::new(),
        records,
        &[(
            "sign.pem",
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw\n-----END PRIVATE KEY-----\n",
        )],
    );
    for (file, mode, is_told) in [
        ("sign.pem", 0o644, true),
        ("sign.pem", 0o602, true),
        ("sign.pem", 0o660, true),
        ("sign.pem", 0o440, false),
        ("sign.pem", 0o600, false),
        ("data/secret", 0o604, true),
        ("data/secret", 0o600, false),
    ] {
        let path = gateway.dir.path().join(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        gateway.restart();
        let (status, out, _) = run(&["check", "--config", "tollgate.yaml"], gateway.dir.path(), "");
        assert_eq!(status, 0, "no refusal");
        for text in [gateway.stderr(), out] {
            let is_named =
                text.contains(&format!("{mode:04o}")) && text.contains("chmod 600") && text.contains(file);
            assert_eq!(is_named, is_told, "{file} {mode:o}: {text}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    // As Kubernetes mounts it.
    let dir = gateway.dir.path();
    fs::create_dir(dir.join("..2026_11_27")).unwrap();
    fs::rename(dir.join("sign.pem"), dir.join("..2026_11_27/sign.pem")).unwrap();
    fs::set_permissions(dir.join("..2026_11_27/sign.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    std::os::unix::fs::symlink("..2026_11_27", dir.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/sign.pem", dir.join("sign.pem")).unwrap();
    gateway.restart();
    assert!(!gateway.stderr().contains("chmod"), "{}", gateway.stderr());
}

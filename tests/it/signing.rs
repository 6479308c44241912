//! Signed checkpoints and compressed days on the real binary, with keys that openssl made.

use crate::support::{ACME, Gateway, TENANTS, chat, run, tools};
use std::{fs, path::Path, process::Command};

fn openssl(dir: &Path, args: &[&str]) -> bool {
    Command::new("openssl").args(args).current_dir(dir).output().is_ok_and(|output| output.status.success())
}

/// A key pair, `NAME.pem` and `NAME.pub.pem`; false where there is no openssl.
fn keys(dir: &Path, name: &str) -> bool {
    let (private, public) = (format!("{name}.pem"), format!("{name}.pub.pem"));
    openssl(dir, &["genpkey", "-algorithm", "ed25519", "-out", &private])
        && openssl(dir, &["pkey", "-in", &private, "-pubout", "-out", &public])
}

fn read(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

/// A gateway whose `sign.pem` is a key of openssl's; the directory holds its public one, and a stranger's.
fn gateway() -> Option<(Gateway, tempfile::TempDir)> {
    let made = tempfile::tempdir().unwrap();
    // Without openssl there is nothing to test with.
    if !keys(made.path(), "own") || !keys(made.path(), "other") {
        return None;
    }
    let private = read(made.path(), "own.pem");
    let more = "records: { sign: { file: sign.pem } }\n";
    Some((Gateway::with_all(TENANTS, &|_| String::new(), more, &[("sign.pem", &private)]), made))
}

fn ask(gateway: &Gateway) {
    let answer = gateway.chat(ACME, &chat("hi", &tools(&["get_x", "delete_x"])));
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The only file below a directory.
fn only(dir: &Path) -> std::path::PathBuf {
    let mut files =
        fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let file = files.next().unwrap();
    assert!(files.next().is_none(), "{}", dir.display());
    file
}

#[test]
fn an_auditor_with_the_public_key_alone_finds_what_was_done() {
    let Some((mut gateway, made)) = gateway() else { return };
    ask(&gateway);
    gateway.lines_of_audit();
    gateway.stop();
    let (dir, key) = (gateway.dir.path().to_owned(), made.path().join("own.pub.pem").display().to_string());
    let verify = |key: &str| run(&["audit", "verify", "data", "--key", key], &dir, "");
    let (status, out, err) = verify(&key);
    assert!(status == 0 && out.contains("all signed by"), "{out}{err}");
    let (status, out, _) = run(&["audit", "verify", "data", "--key", &key, "--format", "json"], &dir, "");
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let acme = told.as_array().unwrap().iter().find(|tenant| tenant["tenant"] == "acme").unwrap();
    assert_eq!(
        (status, acme["signed"]["behind"].as_u64(), acme["signed"]["checked"].as_bool()),
        (0, Some(0), Some(true))
    );
    let (status, out, _) = run(&["audit", "verify", "data"], &dir, "");
    assert!(status == 0 && out.contains("--key PUBLIC.pem"), "{out}");
    // Another key's owner vouches for nothing, the private key is not asked for, and what is none is told.
    let stranger = made.path().join("other.pub.pem").display().to_string();
    let (status, out, _) = verify(&stranger);
    assert!(status == 1 && out.contains("is not among those given"), "{out}");
    assert_eq!(run(&["audit", "verify", "data", "--key", &stranger, "--key", &key], &dir, "").0, 0);
    let (status, _, err) = verify("sign.pem");
    assert!(status == 2 && err.contains("this is a private key"), "{err}");
    assert_eq!(verify("none.pem").0, 2);

    openssl_checks_one(&dir, made.path());
    a_copy_without_the_secret(&dir, made.path(), &key);
}

/// openssl can check a checkpoint by itself, as the page says.
fn openssl_checks_one(dir: &Path, made: &Path) {
    let checkpoint = read(dir, &only(&dir.join("data/audit/acme/checkpoints")).display().to_string());
    let (message, signature) = checkpoint.lines().next().unwrap().split_once(",\"sig\":\"").unwrap();
    fs::write(made.join("message"), format!("{message}}}")).unwrap();
    fs::write(made.join("sig.b64"), format!("{}\n", signature.strip_suffix("\"}").unwrap())).unwrap();
    assert!(openssl(made, &["base64", "-d", "-A", "-in", "sig.b64", "-out", "sig"]));
    let pkeyutl = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "own.pub.pem",
        "-rawin",
        "-in",
        "message",
        "-sigfile",
        "sig",
    ];
    assert!(openssl(made, &pkeyutl));
}

/// Copied elsewhere, and the last decisions taken away.
fn a_copy_without_the_secret(dir: &Path, made: &Path, key: &str) {
    let copy = made.join("copy/audit");
    assert!(
        Command::new("cp").arg("-r").arg(dir.join("data")).arg(made.join("copy")).status().unwrap().success()
    );
    fs::remove_file(made.join("copy/secret")).unwrap();
    let (status, out, _) = run(&["audit", "verify", &copy.display().to_string(), "--key", key], dir, "");
    assert!(status == 0 && out.contains("seals of the chains' ends were not checked"), "{out}");
    let file = only(&copy.join("acme"));
    let text = fs::read_to_string(&file).unwrap();
    let kept: String = text.split_inclusive('\n').take(1).collect();
    fs::write(&file, &kept).unwrap();
    // A head to fit: without the secret nobody can tell.
    let head = copy.join(".heads/acme.json");
    let mut forged: serde_json::Value = serde_json::from_str(&fs::read_to_string(&head).unwrap()).unwrap();
    let line: serde_json::Value = serde_json::from_str(&kept).unwrap();
    for (name, value) in [("records", 1.into()), ("bytes", kept.len().into()), ("last", line["hash"].clone())]
    {
        forged[name] = value;
    }
    forged.as_object_mut().unwrap().remove("signed");
    fs::write(&head, forged.to_string()).unwrap();
    assert_eq!(
        run(&["audit", "verify", &copy.display().to_string()], dir, "").0,
        1,
        "the checkpoints are there"
    );
    let (status, out, _) = run(&["audit", "verify", &copy.display().to_string(), "--key", key], dir, "");
    assert!(
        status == 1 && out.contains("BROKEN acme: ") && out.contains("but the chain ends after 1"),
        "{out}"
    );
}

#[test]
fn a_key_that_is_none_is_told_at_the_start_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let config = "data_dir: data\ntenants: {}\nrecords: { sign: { file: sign.pem } }\n";
    fs::write(dir.path().join("tollgate.yaml"), config).unwrap();
    let serve = || run(&["serve", "--config", "tollgate.yaml"], dir.path(), "");
    let (status, _, err) = serve();
    assert!(status == 1 && err.contains("sign.pem"), "{err}");
    fs::write(dir.path().join("sign.pem"), "hunter2hunter2").unwrap();
    let (status, _, err) = serve();
    assert!(
        status == 1 && err.contains("tollgate.yaml:3:") && err.contains("openssl genpkey -algorithm ed25519"),
        "{err}"
    );
    assert!(!err.contains("hunter2"), "{err}");
    if openssl(dir.path(), &["genrsa", "-out", "sign.pem", "2048"]) {
        let (status, _, err) = serve();
        assert!(status == 1 && err.contains("of another kind"), "{err}");
    }
    assert!(!dir.path().join("data").exists(), "nothing is made for a configuration that does not load");
}

#[test]
fn an_erasure_is_signed_too() {
    let Some((mut gateway, made)) = gateway() else { return };
    ask(&gateway);
    gateway.lines_of_audit();
    gateway.stop();
    let dir = gateway.dir.path().to_owned();
    let erase = ["tenant", "erase", "acme", "--yes", "--by", "ada", "--config", "tollgate.yaml"];
    let (status, out, err) = run(&erase, &dir, "");
    assert!(status == 0, "{out}{err}");
    assert!(!dir.join("data/audit/acme").exists());
    let key = made.path().join("own.pub.pem").display().to_string();
    let (status, out, err) = run(&["audit", "verify", "data", "--key", &key], &dir, "");
    assert!(status == 0 && out.contains("_operator: 2 records, all signed by"), "{out}{err}");
}

#[test]
fn days_that_are_over_are_compressed_and_every_command_reads_them() {
    let mut gateway = Gateway::with(TENANTS, "");
    ask(&gateway);
    gateway.lines_of_audit();
    gateway.stop();
    let dir = gateway.dir.path().to_owned();
    let lines = |out: &str| out.lines().count();
    let show = || run(&["audit", "show", "data", "--tenant", "acme"], &dir, "").1;
    let replay = || run(&["replay", "--config", "tollgate.yaml", "data"], &dir, "");
    let (shown, replayed) = (show(), replay());
    assert!(lines(&shown) >= 2, "{shown}");
    // As a gateway that stood still since then finds it: a file of an earlier day is compressed by hand here, since the
    // times in it cannot be of another day.
    let file = only(&dir.join("data/audit/acme"));
    let plain = fs::read(&file).unwrap();
    if !Command::new("gzip").arg(&file).status().is_ok_and(|status| status.success()) {
        return;
    }
    assert_eq!(show(), shown);
    assert_eq!(replay(), replayed);
    let (status, out, err) = run(&["audit", "verify", "data"], &dir, "");
    assert!(status == 0, "{out}{err}");
    let cut = Path::new(&file).with_extension("jsonl.gz");
    let packed = fs::read(&cut).unwrap();
    fs::write(&cut, &packed[..packed.len() - 9]).unwrap();
    assert_eq!(run(&["audit", "verify", "data"], &dir, "").0, 1);
    fs::write(&cut, packed).unwrap();
    // Logs are of no chain: one of an old day is compressed by the gateway itself, when it starts.
    let old = dir.join("data/log/acme/2026-01-02.jsonl");
    fs::write(&old, &plain).unwrap();
    gateway.start_again();
    gateway.wait("the compressed file", |_| !old.exists());
    let unpacked = Command::new("gzip").arg("-dc").arg(old.with_extension("jsonl.gz")).output().unwrap();
    assert_eq!(unpacked.stdout, plain);
    ask(&gateway);
    gateway.stop();
    let (status, out, err) = run(&["audit", "verify", "data"], &dir, "");
    assert!(status == 0 && out.contains("ok     acme"), "{out}{err}");
}

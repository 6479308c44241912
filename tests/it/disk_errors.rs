//! O4: a disk that fails while it is written to (EIO), and comes back.

use crate::support::{ACME, Answer, BINARY, Gateway, chat, tools};
use std::{cell::Cell, path::Path, process::Command};

const TENANTS: &str = "
  acme:
    keys: [{ id: prod, sha256: @ACME@ }]
    models: [\"*\"]
    tools: [{ allow: \"get_*\" }]
";
/// A small disk, whose free blocks lie behind its first half.
const MAKE: &str = r#"
set -e
truncate -s 16M image
mkfs.ext2 -q -b 4096 -N 512 image
"#;
const MOUNT: &str = r#"
set -e
disk=$(losetup -f --show image)
mkdir -p disk
mount "$disk" disk
losetup -d "$disk"
echo "$disk" > device
if [ ! -d disk/data ]; then
  dd if=/dev/zero of=disk/filler bs=64k 2>/dev/null || true
  sync
  truncate -s 8M disk/filler
  cp -a data disk/data
  sync
fi
mount --bind disk/data data
echo mounted
"#;
/// Beyond so many bytes of the disk, every write fails; 0: it is well.
const LIMIT: &str = "
import fcntl, sys
with open(sys.argv[1], 'rb') as device:
    status = bytearray(fcntl.ioctl(device, 0x4C05, bytes(232)))
    status[32:40] = int(sys.argv[2]).to_bytes(8, 'little')
    fcntl.ioctl(device, 0x4C04, bytes(status))
";

/// Runs a script in a mount namespace of its own, and what it says.
fn apart(script: &str, dir: &Path) -> (bool, String) {
    let output = Command::new("unshare").args(["-m", "sh", "-c", script]).current_dir(dir).output();
    let Ok(output) = output else { return (false, "there is no unshare".to_owned()) };
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn limit(dir: &Path, bytes: usize) {
    let device = std::fs::read_to_string(dir.join("device")).unwrap();
    let status = Command::new("python3").args(["-c", LIMIT, device.trim(), &bytes.to_string()]).status();
    assert!(status.unwrap().success());
}

fn metric(gateway: &Gateway, name: &str) -> usize {
    let metrics = gateway.admin_get("/metrics").body;
    let values = metrics.lines().filter_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
    values.map(|value| value.parse::<usize>().unwrap()).sum()
}

/// Starts the gateway again with its data on a disk of its own, which may fail; whether one can be mounted here.
fn moves_to_a_disk(gateway: &mut Gateway) -> bool {
    let dir = gateway.dir.path().to_owned();
    gateway.stop();
    let (made, said) = apart(&format!("{MAKE}{MOUNT}"), &dir);
    if !made {
        println!("left out: no disk can be mounted here: {said}");
        return false;
    }
    gateway.start_again();
    let command = format!("exec unshare -m sh -c '{MOUNT}exec SERVE'");
    assert!(gateway.restart_by(&command), "{}", gateway.stderr());
    true
}

/// While the disk fails requests are refused; once it is well they are served again, and nothing that was answered is
/// missing on the disk, though the system gave up writing it.
#[test]
fn o4_a_disk_that_fails_and_comes_back_has_every_line() {
    let mut gateway = Gateway::with(TENANTS, "records: { on_failure: fail }\n");
    let dir = gateway.dir.path().to_owned();
    let ask = |gateway: &Gateway| gateway.chat(ACME, &chat("hi", &tools(&["get_x", "delete_x"])));
    assert_eq!(ask(&gateway).status, 200);
    if !moves_to_a_disk(&mut gateway) {
        return;
    }
    let served = Cell::new(1);
    let count = |told: &Answer| served.set(served.get() + usize::from(told.status == 200));
    count(&ask(&gateway));
    limit(&dir, 8 << 20);
    gateway.wait("a refusal", |gateway| {
        let told = ask(gateway);
        count(&told);
        (told.status, told.body.contains("records_unavailable")) == (503, true)
    });
    assert!(metric(&gateway, "tollgate_record_write_failures_total") > 0);
    assert_eq!(metric(&gateway, "tollgate_records_writable"), 0);
    limit(&dir, 0);
    gateway.wait("its end", |gateway| {
        let told = ask(gateway);
        count(&told);
        told.status == 200 && metric(gateway, "tollgate_records_writable") == 1
    });
    gateway.stop();
    // As the disk has it, without what the system remembers.
    let script = format!(
        "{MOUNT}{BINARY} audit verify data 2>&1 || exit 1; cat data/log/acme/*.jsonl | grep -c '\"status\":200'"
    );
    let (is_whole, said) = apart(&script, &dir);
    assert!(is_whole, "{said}");
    let lines: usize = said.lines().last().unwrap().parse().unwrap();
    assert_eq!(lines, served.get(), "{said}");
}

/// A disk below a gateway that takes nothing and says nothing, until this is dropped.
struct Frozen<'d> {
    pid: u32,
    data: &'d Path,
}

impl<'d> Frozen<'d> {
    fn new(gateway: &Gateway, data: &'d Path) -> Self {
        let frozen = Self { pid: gateway.pid(), data };
        assert!(frozen.act("--freeze"));
        frozen
    }

    fn act(&self, what: &str) -> bool {
        let pid = self.pid.to_string();
        let command = ["-t", &pid, "-m", "fsfreeze", what, self.data.to_str().unwrap()];
        Command::new("nsenter").args(command).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.act("--unfreeze");
    }
}

/// A disk that hangs gives no error: that it answers nothing is told all the same, requests are refused meanwhile, and once
/// it goes on everything is written. A gateway that is told to end does not wait for it for ever.
#[test]
fn a_disk_that_hangs_is_told_and_has_every_line_in_the_end() {
    let mut gateway = Gateway::with(TENANTS, "records: { on_failure: fail }\nlimits: { drain: 1s }\n");
    let dir = gateway.dir.path().to_owned();
    if !moves_to_a_disk(&mut gateway) {
        return;
    }
    let data = dir.join("data");
    let ask = |gateway: &Gateway| gateway.chat(ACME, &chat("hi", &tools(&["get_x", "delete_x"])));
    let mut served = 0;
    let frozen = Frozen::new(&gateway, &data);
    // Until it counts as hanging nothing is lost: what comes waits for it.
    let refused = loop {
        let told = ask(&gateway);
        if told.status != 200 {
            break told;
        }
        served += 1;
        assert!(served < 600, "nobody notices");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert!(refused.status == 503 && refused.body.contains("records_unavailable"), "{refused:?}");
    assert_eq!(metric(&gateway, "tollgate_records_writable"), 0);
    assert_eq!(gateway.admin_get("/admin/status").json()["records"], "failing");
    assert_eq!(gateway.stderr().matches("has not answered for").count(), 1, "{}", gateway.stderr());
    drop(frozen);
    gateway.wait("its end", |gateway| {
        let told = ask(gateway);
        served += usize::from(told.status == 200);
        told.status == 200 && metric(gateway, "tollgate_records_writable") == 1
    });
    gateway.wait("the word of it", |gateway| gateway.stderr().contains("records can be written again"));
    // The same at its end.
    let frozen = Frozen::new(&gateway, &data);
    assert_eq!(ask(&gateway).status, 200);
    served += 1;
    gateway.signal("TERM");
    let told = |gateway: &Gateway| gateway.stderr().contains("the last records could not be");
    for _ in 0..400 {
        if told(&gateway) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(told(&gateway), "{}", gateway.stderr());
    drop(frozen);
    assert_eq!(gateway.exit_status(), Some(1));
    // As the disk has it, but for the last one.
    let script = format!(
        "{MOUNT}{BINARY} audit verify data 2>&1 || exit 1; cat data/log/acme/*.jsonl | grep -c '\"status\":200'"
    );
    let (is_whole, said) = apart(&script, &dir);
    assert!(is_whole, "{said}");
    let lines: usize = said.lines().last().unwrap().parse().unwrap();
    assert!((served - 1..=served).contains(&lines), "{served}: {said}");
}

/// Has requests recorded, of 20 KiB each, until one is refused.
fn until_refused(gateway: &Gateway) {
    let long = "word ".repeat(4096);
    gateway.wait("a refusal", |gateway| gateway.chat(ACME, &chat(&long, "")).status == 503);
}

/// A file that may not grow any more (`ulimit -f`) is an error like a full disk, and no signal that ends the gateway.
#[test]
fn a_file_that_may_not_grow_is_like_a_full_disk() {
    let more = "records: { on_failure: fail }\nlimits: { drain: 2s }\n";
    let mut gateway = Gateway::with(TENANTS, more);
    if !gateway.limit("--fsize=65536:") {
        println!("left out: there is no prlimit");
        return;
    }
    let lift = |gateway: &Gateway| assert!(gateway.limit("--fsize=unlimited:"));
    until_refused(&gateway);
    lift(&gateway);
    gateway.wait("its end", |gateway| gateway.chat(ACME, &chat("hi", "")).status == 200);
    gateway.wait("the word of it", |gateway| gateway.stderr().contains("records can be written again"));
    // What is left when it ends has until `drain` to be written.
    assert!(gateway.limit("--fsize=65536:"));
    until_refused(&gateway);
    gateway.signal("TERM");
    std::thread::sleep(std::time::Duration::from_millis(500));
    lift(&gateway);
    assert_eq!(gateway.exit_status(), Some(0), "{}", gateway.stderr());
    gateway.start_again();
    assert!(gateway.limit("--fsize=65536:"));
    until_refused(&gateway);
    gateway.signal("TERM");
    assert_eq!(gateway.exit_status(), Some(1));
    let told = gateway.stderr();
    assert!(told.contains("the last records could not be written: ") && told.contains(" are lost"), "{told}");
}

#[test]
fn records_that_are_dropped_are_not_called_well() {
    let mut gateway = Gateway::with(TENANTS, "records: { on_failure: drop }\n");
    let records = |gateway: &Gateway| gateway.admin_get("/admin/status").json()["records"].clone();
    assert_eq!(records(&gateway), "ok");
    // Not a byte fits any more, of however few records.
    if !gateway.limit("--fsize=1:") {
        println!("left out: there is no prlimit");
        return;
    }
    gateway.wait("a record that is dropped", |gateway| {
        assert_eq!(gateway.chat(ACME, &chat("hi", "")).status, 200);
        metric(gateway, "tollgate_dropped_records_total") > 0
    });
    // Also while nothing comes that could be dropped.
    for _ in 0..5 {
        assert_ne!(records(&gateway), "ok");
        assert_eq!(metric(&gateway, "tollgate_records_writable"), 0);
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(gateway.limit("--fsize=unlimited:"));
    gateway.wait("the next record", |gateway| {
        gateway.chat(ACME, &chat("hi", "")).status == 200 && records(gateway) == "ok"
    });
    gateway.wait("the word of it", |gateway| gateway.stderr().contains("records can be written again"));
    gateway.signal("TERM");
    assert_eq!(gateway.exit_status(), Some(0));
}

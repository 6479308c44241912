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

/// While the disk fails requests are refused; once it is well they are served again, and nothing that was answered is
/// missing on the disk, though the system gave up writing it.
#[test]
fn o4_a_disk_that_fails_and_comes_back_has_every_line() {
    let mut gateway = Gateway::with(TENANTS, "records: { on_failure: fail }\n");
    let dir = gateway.dir.path().to_owned();
    let ask = |gateway: &Gateway| gateway.chat(ACME, &chat("hi", &tools(&["get_x", "delete_x"])));
    assert_eq!(ask(&gateway).status, 200);
    gateway.stop();
    let (made, said) = apart(&format!("{MAKE}{MOUNT}"), &dir);
    if !made {
        println!("left out: no disk can be mounted here: {said}");
        return;
    }
    gateway.start_again();
    assert!(
        gateway.restart_by(&format!("exec unshare -m sh -c '{MOUNT}exec SERVE'")),
        "{}",
        gateway.stderr()
    );
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
        "{MOUNT}{BINARY} audit verify data || exit 1; cat data/log/acme/*.jsonl | grep -c '\"status\":200'"
    );
    let (is_whole, said) = apart(&script, &dir);
    assert!(is_whole, "{said}");
    let lines: usize = said.lines().last().unwrap().parse().unwrap();
    assert_eq!(lines, served.get(), "{said}");
}

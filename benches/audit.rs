//! Verifying audit chains, plain and compressed: MB/s of records, wall and CPU. `cargo bench --bench audit [-- MEGABYTES]`.
//! Goal: at least 200 MB/s a thread.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a bench ends where its own input is wrong, measures, and prints"
)]

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    time::Instant,
};
use tollgate::records::{Means, genesis, verify};

const TENANTS: usize = 4;
const DAY: &str = "2026-11-25";
/// What `/proc/self/stat` counts in.
const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let given = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let megabytes: usize = given.unwrap_or(800);
    let (plain, packed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for tenant in 0..TENANTS {
        let name = format!("t{tenant}");
        write(plain.path(), packed.path(), &name, megabytes * 1_000_000 / TENANTS);
    }
    for (what, dir) in [("plain", plain.path()), ("gzip", packed.path())] {
        for threads in [1, 2] {
            let (started, cpu) = (Instant::now(), cpu_seconds());
            let report = verify(dir, Means::default(), threads, &mut |_| {}).unwrap();
            let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds() - cpu);
            let records: u64 = report.tenants.iter().map(|tenant| tenant.records).sum();
            let megabytes = report.bytes as f64 / 1e6;
            println!(
                "{what}: {records} records, {megabytes:.0} MB, {threads} thread(s): {wall:.2} s wall, {cpu:.2} s CPU, {:.0} MB/s, {:.0} MB/s a CPU second",
                megabytes / wall,
                megabytes / cpu
            );
        }
    }
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    [11, 12].into_iter().map(|at: usize| fields.get(at).unwrap().parse::<f64>().unwrap()).sum::<f64>()
        / TICKS_PER_SECOND
}

/// A chain as the writer makes it, about 800 bytes a record, once plain and once compressed.
fn write(plain: &Path, packed: &Path, tenant: &str, bytes: usize) {
    let text = "what was said in a ticket and is long enough to be one, ".repeat(4);
    let (mut out, mut prev) = (String::with_capacity(bytes + 4096), genesis(tenant).as_str().to_owned());
    let mut number = 0_usize;
    while out.len() < bytes {
        let start = out.len();
        let (second, minute) = (number % 60, number / 60 % 60);
        write!(
            out,
            r#"{{"time":"{DAY}T08:{minute:02}:{second:02}.000Z","tenant":"{tenant}","key":"prod","request_id":"0190f0c0-0000-7000-8000-{number:012}","place":"emitted","tool":"crm__op_{}","args":{{"id":{number},"note":"{text}"}},"args_hmac":"{number:064}","decision":"allow","rule":"tenants/t.yaml:4","reason":null,"config":"{:064}","mode":"enforce","by":null,"prev":"{prev}"}}"#,
            number % 70,
            7
        )
        .unwrap();
        let mut hash = Sha256::new();
        hash.update(&prev);
        hash.update(out.get(start..).unwrap());
        prev = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        out.pop();
        writeln!(out, ",\"hash\":\"{prev}\"}}").unwrap();
        number += 1;
    }
    for (dir, is_packed) in [(plain, false), (packed, true)] {
        let dir = dir.join("audit").join(tenant);
        fs::create_dir_all(&dir).unwrap();
        if is_packed {
            let file = File::create(dir.join(format!("{DAY}.jsonl.gz"))).unwrap();
            let mut encoder = GzEncoder::new(io::BufWriter::new(file), Compression::default());
            encoder.write_all(out.as_bytes()).unwrap();
            encoder.finish().unwrap().flush().unwrap();
        } else {
            fs::write(dir.join(format!("{DAY}.jsonl")), &out).unwrap();
        }
    }
}

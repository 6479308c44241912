//! Throughput of the redactor, one thread: clean prose, a labelled corpus when its path is given, hostile inputs;
//! and what making a redactor costs. `cargo bench -- [CORPUS.jsonl]`
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints what it measures with the clock"
)]

use std::hint::black_box;
use std::time::Instant;

use tollgate::redact::{Detectors, Redactor, TenantSecret};
use tollgate::tenant::Wire;
use tollgate::wire;

/// As the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PROSE: &str = "The committee met in the old library to discuss how the harbour should be rebuilt after the storm. \
    Most people agreed that the bridge had to come first, because without it nobody could reach the market; \
    some asked whether a ferry might serve until spring. \"Keep it simple,\" said the keeper of the lighthouse, \
    and I could only agree: big plans break, and patient work rarely does. Prices rose by 4 per cent in 2019.\n";

fn main() {
    let redactor = Redactor::new(TenantSecret::derive(b"bench", "tenant"), Detectors::all(), Vec::new());
    measure("clean prose", &redactor, &[PROSE.repeat(2500)]);
    measure("clean prose, accents", &redactor, &[PROSE.replace("bridge", "Brücke").repeat(2500)]);
    if let Some(corpus) = std::env::args().skip(1).find(|a| !a.starts_with("--")) {
        let lines = std::fs::read_to_string(corpus).unwrap_or_default();
        let row = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).ok()?.get("text")?.as_str().map(str::to_owned)
        };
        measure("labelled corpus", &redactor, &lines.lines().filter_map(row).collect::<Vec<_>>());
    }
    for unit in HOSTILE {
        measure(unit, &redactor, &[unit.repeat(1_000_000 / unit.len())]);
    }
    let nested = format!("{}{}", "[".repeat(120), "\"{\\\"a\\\":1}\",".repeat(60_000));
    measure("broken JSON", &redactor, &[nested]);
    cover("a body to a provider, clean prose", &redactor, PROSE);
    cover(
        "a body to a provider, a value a line",
        &redactor,
        &PROSE.replace("lighthouse", "jane@example.com"),
    );
    let start = Instant::now();
    for tenant in 0..10_000 {
        black_box(Redactor::new(
            TenantSecret::derive(b"bench", &tenant.to_string()),
            Detectors::all(),
            Vec::new(),
        ));
    }
    percentiles(&redactor);
    println!("{:>9.2} us  a redactor, its secret derived", start.elapsed().as_secs_f64() * 1e6 / 10_000.0);
}

/// What masking a request's body costs: reading it, finding, and writing it anew.
fn cover(name: &str, redactor: &Redactor, line: &str) {
    let message = serde_json::json!({ "role": "user", "content": line.repeat(20) });
    let body = serde_json::json!({ "model": "m", "messages": vec![message; 100] }).to_string();
    throughput(name, body.len(), || {
        drop(black_box(wire::cover(Wire::Mask, redactor, black_box(body.as_bytes()))));
    });
}

const HOSTILE: &[&str] = &[
    "9 9 9 9 ",
    "4111 ",
    "1.1.1.1.",
    "12-34-",
    "@",
    "a@",
    "a.a.a.a@",
    "a@b.cc ",
    "aaaa",
    "----",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY----- ",
    "eyJ",
    "eyJ.",
    " eyJhbGciOiJI",
    "password=",
    "my_pass=",
    "password=a\"b\"c",
    "Passwort:\n",
    "v2 1.2.3.4 ",
    "-----END PRIVATE KEY-----\n",
    "WLAN-Key: ",
    "a1b2c3,b2c3d4,e5f6g7\n",
    "name: DB_PASSWORD\nvalue: ",
    "password:",
    "password is ",
    "pass ",
    "pw ",
    "token=",
    "Cookie: a=",
    "Bearer ",
    "Basic ",
    "sk-",
    "tg-",
    " sk-a",
    "ghp_",
    "x_",
    "://",
    "a://b:c@",
    "a://b:",
    ":",
    ":: ",
    "a:b:",
    "00:",
    "[",
    "[JWT:",
    "[A:",
    "data:image/png;base64,",
    "AKIA",
    "AKIAAKIAAKIAAKIAAKIA ",
    "1a",
    "bc1q",
    "DE12 ",
    "-u a:",
    "(0)",
    "+1 ",
    "0 ",
    "00 ",
    "é",
    "４",
    "а",
    "\u{200b}",
    "\\n",
    "{\"a\":",
    "[[",
    "\"\\u0040\"",
    "AC-",
    "SG.",
    "AIza",
    "p",
    "kpw",
    "1@1.aa",
    "jane@example.com ",
    "password=a1b2c3d4 ",
    "4111111111111111 ",
    "%25",
    "%2525252540",
    "&#64;",
    "\\u0040",
    "a(at)b(dot)cc ",
    "**4111**",
    "`a",
    "=\n",
    "1\n1\n",
    "1234 5678\n 9",
    "aB3dE6gH9jK2\n",
    "a b ",
    "1 2 3 4 5 6 7 8 9 ",
    "1a/",
    "a/a/a/a/1a",
    "hvs.a1",
    "x_a1B2-",
    "Winter2026! ",
    "Winter2026! as the ",
    "key aB3dE6gH9jK2mN5pQ8rS1tU4 ",
    "credentials are a:b1b2b3 ",
    "password, I typed ",
    "-p a",
    "mysql -pa1 ",
    "1,1237010180\n",
    "DE 123456789 ",
    "CHE-123.456.789 ",
    "sk_live_",
    "ya29.",
    "amFuZUBleGFtcGxlLmNvbQ== ",
    "WVcxR2RWcFZRbXhsUjBaMFkwZDRiRXh0VG5aaVVUMDkg ",
    "6a616e65406578616d706c652e636f6d ",
    "4a4a4a4a",
];

/// What a prompt of 4 KiB takes: half a page of prose, code, a key, an address and numbers, a hundred of them unlike.
fn percentiles(redactor: &Redactor) {
    let prompt = |n: usize| {
        let more =
            format!("let total = rows.iter().map(|row| row[{n}]).sum::<u64>(); // see #{n}, v1.2.{n}\n");
        let values = format!(
            "write to jane{n}@example.com from 10.1.2.{}, order {n}00{n}, on 2026-03-{:02}\n",
            n % 250,
            n % 28
        );
        let mut text = format!("{PROSE}{more}{values}").repeat(6);
        text.truncate(text.floor_char_boundary(4096));
        text
    };
    let prompts: Vec<String> = (0..100).map(prompt).collect();
    let first = cpu_seconds();
    black_box(redactor.line(black_box("jane@example.com")));
    let ready = first.zip(cpu_seconds()).map_or(0.0, |(from, to)| to - from);
    let mut took: Vec<f64> = (0..50)
        .flat_map(|_| prompts.iter())
        .map(|text| {
            let begun = Instant::now();
            black_box(redactor.line(black_box(text)));
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    took.sort_by(f64::total_cmp);
    let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
    println!("{:>9.2} us  a prompt of 4 KiB, half of them; {:.2} us, 99 of 100", at(50), at(99));
    println!("{:>9.2} us  the first text of all", ready * 1e6);
}

/// MB of input per second of this thread's processor time, so that a busy machine does not count.
fn measure(name: &str, redactor: &Redactor, inputs: &[String]) {
    throughput(name, inputs.iter().map(String::len).sum(), || {
        for input in inputs {
            black_box(redactor.line(black_box(input)));
        }
    });
}

fn throughput(name: &str, bytes: usize, mut act: impl FnMut()) {
    let (start, begun, mut rounds) = (cpu_seconds(), Instant::now(), 0_u32);
    while rounds == 0 || begun.elapsed().as_millis() < 150 {
        act();
        rounds += 1;
    }
    std::thread::yield_now();
    let spent = match (start, cpu_seconds()) {
        (Some(start), Some(end)) if end > start => end - start,
        _ => begun.elapsed().as_secs_f64(),
    };
    let mb = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) * f64::from(rounds) / 1e6;
    println!("{:>9.1} MB/s  {name:?}", mb / spent);
}

/// What the kernel has charged this thread (Linux), else nothing.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds / 1e9)
}

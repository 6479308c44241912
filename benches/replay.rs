//! Replaying a million recorded decisions: seconds, and MB/s. `cargo bench --bench replay [-- RECORDS]`.
//! Goal: a million records in seconds.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends where its own input is wrong, and prints"
)]

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};
use tollgate::offline::{Configuration, replay::replay};

const NOW: i64 = 1_800_000_000;
const TENANTS: usize = 4;

fn main() {
    let given = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let records: usize = given.unwrap_or(1_000_000);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path());
    let files: Vec<_> = (0..TENANTS).map(|tenant| dir.path().join(format!("{tenant}.jsonl"))).collect();
    for (tenant, file) in files.iter().enumerate() {
        write(file, tenant, records / TENANTS);
    }
    let bytes: u64 = files.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    let configuration = Configuration::read(&dir.path().join("tollgate.yaml"), NOW).unwrap();
    for threads in [1, 2] {
        #[expect(clippy::disallowed_methods, reason = "a bench measures")]
        let started = Instant::now();
        let totals = replay(&configuration, &files, threads, &mut |_| {}).unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let all = totals.all();
        println!(
            "{} records, {} MB, {threads} thread(s): {seconds:.2} s, {:.0} MB/s ({} changed, {} cannot be told, {} unreadable)",
            totals.records,
            bytes / 1_000_000,
            f64::from(u32::try_from(bytes / 1000).unwrap()) / 1000.0 / seconds,
            all.changed,
            all.untold,
            totals.unreadable
        );
    }
}

fn configure(dir: &Path) {
    let mut tenants = String::from("upstreams: {}\nmodels: {}\ntenants:\n");
    for tenant in 0..TENANTS {
        write!(
            tenants,
            "  t{tenant}:\n    keys: [{{ id: prod, sha256: \"{tenant:064}\" }}]\n    tools:\n      \
             - allow: [\"get_*\", \"crm__*\"]\n      \
             - {{ allow: transfer, args: {{ amount: {{ max: 100 }}, currency: {{ in: [EUR, CHF] }} }} }}\n      \
             - {{ allow: send_email, when: 'args.to.all(a, a.endsWith(\"@acme.example\"))' }}\n      \
             - {{ allow: kb__search, set: {{ filter.tenant: t{tenant} }} }}\n      \
             - {{ deny: \"*__delete_*\" }}\n"
        )
        .unwrap();
    }
    fs::write(dir.join("tollgate.yaml"), tenants).unwrap();
}

/// Lines as the writer writes them: seven in ten are decided by their names, the others by their arguments.
fn write(file: &Path, tenant: usize, records: usize) {
    let mut out = BufWriter::new(File::create(file).unwrap());
    let text = "what was said in a ticket and is long enough to be one, ".repeat(4);
    for number in 0..records {
        let (tool, args) = match number % 10 {
            0..5 => ("get_ticket".to_owned(), format!(r#"{{"id":{number},"note":"{text}"}}"#)),
            5 | 6 => (format!("crm__op_{}", number % 70), format!(r#"{{"title":"hi","body":"{text}"}}"#)),
            7 => ("transfer".to_owned(), format!(r#"{{"amount":{},"currency":"EUR"}}"#, number % 120)),
            8 if number % 100 == 8 => {
                ("send_email".to_owned(), r#"{"to":["[EMAIL_ADDRESS:abcdefghijklmnop]"]}"#.to_owned())
            }
            8 => ("send_email".to_owned(), r#"{"to":["ann@acme.example"],"text":"hi"}"#.to_owned()),
            _ => ("kb__search".to_owned(), r#"{"q":"how"}"#.to_owned()),
        };
        let (second, minute) = (number % 60, number / 60 % 60);
        writeln!(
            out,
            r#"{{"time":"2027-01-15T08:{minute:02}:{second:02}.000Z","tenant":"t{tenant}","key":"prod","request_id":"0190f0c0-0000-7000-8000-{number:012}","place":"emitted","tool":"{tool}","args":{args},"args_hmac":"{number:064}","decision":"allow","rule":"tenants/t.yaml:4","reason":null,"config":"{:064}","mode":"enforce","by":null,"prev":"{number:064}","hash":"{number:064}"}}"#,
            7
        )
        .unwrap();
    }
    out.flush().unwrap();
}

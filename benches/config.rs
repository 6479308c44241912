//! Loading and compiling many tenants, and finding one of them by its key.
//! Goals: 10,000 tenants in under 1 s; finding takes the same time with few and with many.
#![expect(clippy::unwrap_used, reason = "a bench ends where its own input is wrong")]

use dashmap::DashMap;
use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use sha2::{Digest, Sha256};
use std::{fs, path::PathBuf};
use tollgate::config::{
    self, Colour, Loaded, Watched,
    compile::{Compiled, Context, compile},
};

/// The one that the gateway runs with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

const NOW: i64 = 1_800_000_000;
const KEYS: [&str; 3] = ["prod", "batch", "dev"];
const GATEWAY: &str = "tenants: [tenants/]
upstreams: { openai: { kind: openai, url: http://127.0.0.1:9/v1 } }
models: { gpt-5: { upstream: openai }, \"gpt-*\": { upstream: openai } }
";

fn credential(tenant: usize, key: &str) -> String {
    format!("tg-{key}-{tenant:06}-not-a-secret")
}

fn tenant(number: usize) -> String {
    let key = |id: &str| {
        let digest: String =
            Sha256::digest(credential(number, id)).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("  - {{ id: {id}, sha256: \"{digest}\" }}\n")
    };
    format!(
        r#"tenant: tenant-{number}
labels: {{ plan: pro, region: eu }}
keys:
{}models: ["gpt-*", text-embedding-3-small]
tools:
  - allow: ["get_*", "crm{number}__*", kb__search]
  - allow: send_email
    when: args.to.all(a, a.endsWith("@tenant-{number}.example"))
  - allow: transfer
    args: {{ amount: {{ min: 0, max: 100 }}, currency: {{ in: [EUR, CHF] }} }}
  - deny: "*__delete_*"
    reason: Deletions go through support.
  - deny: shell
  - allow: ["list_*", "search_*", calendar__find_slot]
  - allow: kb__ask
    set: {{ filter.tenant: tenant-{number} }}
  - deny: [raw_sql, "admin__*"]
    reason: Operators only.
on_deny: notice
limits: {{ requests: 600/min burst 50, concurrency: 32 }}
records: {{ content: redacted }}
"#,
        KEYS.map(key).concat()
    )
}

/// A configuration on disk, and its size in bytes.
struct Written {
    dir: tempfile::TempDir,
    bytes: usize,
}

impl Written {
    fn new(tenants: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tenants")).unwrap();
        fs::write(dir.path().join("tollgate.yaml"), GATEWAY).unwrap();
        let mut bytes = GATEWAY.len();
        for number in 0..tenants {
            let text = tenant(number);
            bytes += text.len();
            fs::write(dir.path().join(format!("tenants/tenant-{number}.yaml")), text).unwrap();
        }
        Self { dir, bytes }
    }

    fn load(&self) -> Loaded {
        config::load(&self.dir.path().join("tollgate.yaml"))
    }
}

fn compiled(loaded: &Loaded) -> Compiled {
    let quotas = DashMap::new();
    let context = Context {
        env: &|_| None,
        secrets: &tollgate::records::TenantSecrets::of_master([7; 32]),
        quotas: &quotas,
        before: None,
        now: NOW,
    };
    let (compiled, problems) = compile(loaded, &context);
    assert_eq!(config::to_text(&problems, &loaded.files, Colour::Plain), "");
    compiled.unwrap()
}

#[divan::bench(args = [100, 10_000], sample_count = 9, sample_size = 1)]
fn load_and_compile(bencher: Bencher<'_, '_>, tenants: usize) {
    let written = Written::new(tenants);
    bencher
        .counter(ItemsCount::new(tenants))
        .counter(BytesCount::new(written.bytes))
        .bench(|| compiled(&written.load()));
}

#[divan::bench(args = [10_000], sample_count = 9, sample_size = 1)]
fn load_alone(bencher: Bencher<'_, '_>, tenants: usize) {
    let written = Written::new(tenants);
    bencher.counter(ItemsCount::new(tenants)).bench(|| written.load());
}

#[divan::bench(args = [10_000], sample_count = 9, sample_size = 1)]
fn compile_alone(bencher: Bencher<'_, '_>, tenants: usize) {
    let loaded = Written::new(tenants).load();
    bencher.counter(ItemsCount::new(tenants)).bench(|| compiled(&loaded));
}

/// A reload: what tenants have used so far is kept, and so are their quotas.
#[divan::bench(args = [10_000], sample_count = 9, sample_size = 1)]
fn reload(bencher: Bencher<'_, '_>, tenants: usize) {
    let written = Written::new(tenants);
    let quotas = DashMap::new();
    let again = || {
        let loaded = written.load();
        let context = Context {
            env: &|_| None,
            secrets: &tollgate::records::TenantSecrets::of_master([7; 32]),
            quotas: &quotas,
            before: None,
            now: NOW,
        };
        compile(&loaded, &context).0.unwrap()
    };
    drop(again());
    bencher.counter(ItemsCount::new(tenants)).bench(again);
}

/// What the watch asks every second.
#[divan::bench(args = [10_000], sample_count = 9, sample_size = 1)]
fn has_a_file_changed(bencher: Bencher<'_, '_>, tenants: usize) {
    let written = Written::new(tenants);
    let watched = Watched::of(&written.dir.path().join("tollgate.yaml"), &written.load());
    bencher.counter(ItemsCount::new(tenants)).bench(|| watched.fingerprint());
}

/// The least that any way has to do: read every file.
#[divan::bench(args = [10_000], sample_count = 9, sample_size = 1)]
fn read_the_files(bencher: Bencher<'_, '_>, tenants: usize) {
    let written = Written::new(tenants);
    let paths: Vec<PathBuf> = fs::read_dir(written.dir.path().join("tenants"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    bencher
        .counter(ItemsCount::new(tenants))
        .bench(|| paths.iter().map(|path| fs::read(path).unwrap().len()).sum::<usize>());
}

#[divan::bench(args = [10, 10_000])]
fn identify(bencher: Bencher<'_, '_>, tenants: usize) {
    let directory = compiled(&Written::new(tenants).load()).snapshot.directory;
    let asked: Vec<HeaderMap> = (0..1024)
        .map(|n| {
            let value = format!("Bearer {}", credential(n * 7919 % tenants, "prod"));
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(value).unwrap())])
        })
        .collect();
    bencher
        .counter(ItemsCount::new(asked.len()))
        .bench(|| asked.iter().filter(|headers| directory.identify(black_box(headers), NOW).is_ok()).count());
}

/// Comparing the credential's digest with every key's.
#[divan::bench(args = [10, 10_000])]
fn every_digest(bencher: Bencher<'_, '_>, tenants: usize) {
    let digest = |tenant, key| -> [u8; 32] { Sha256::digest(credential(tenant, key)).into() };
    let digests: Vec<[u8; 32]> =
        (0..tenants).flat_map(|tenant| KEYS.map(|key| digest(tenant, key))).collect();
    let asked: Vec<String> = (0..16).map(|n| credential(n * 7919 % tenants, "prod")).collect();
    bencher.counter(ItemsCount::new(asked.len())).bench(|| {
        let found = |credential: &String| {
            let digest: [u8; 32] = Sha256::digest(credential).into();
            digests.contains(&digest)
        };
        asked.iter().filter(|credential| found(black_box(credential))).count()
    });
}

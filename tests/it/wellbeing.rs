//! What holds of a gateway behind whatever was done to it: it did not panic, nothing is in flight, each request is on
//! record once, its memory is what it was, and no credential stands in what it wrote.

use super::{ACME, GLOBEX, Gateway, try_get};
use std::{
    fs,
    io::Read as _,
    path::Path,
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(20);
/// Memory may take so long to come back.
const MEMORY: Duration = Duration::from_secs(60);
/// What is over some time after the last request.
const GAUGES: [&str; 4] =
    ["tollgate_in_flight", "tollgate_upstream_in_flight", "tollgate_queued", "tollgate_approvals_waiting"];
/// What nobody is to find in what was written: clients' keys, and those of the upstreams.
const CANARIES: [&str; 4] = [ACME, GLOBEX, "sk-upstream-secret", "sk-ant-upstream"];

/// How a gateway was before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    pub(crate) rss_kib: usize,
    /// So much more than a tenth of it may stay.
    pub(crate) stays_kib: usize,
}

/// What may stay of a few requests.
pub(crate) const LITTLE_KIB: usize = 32 << 10;
/// Of megabytes that were read in several threads the allocator keeps some: as much after one round as after twenty.
pub(crate) const MUCH_KIB: usize = 160 << 10;

/// Looks at a gateway that runs still, or at what it left behind.
pub(crate) fn check(gateway: &Gateway, before: Before, is_restarted: bool) {
    let mut texts = written(gateway.dir.path());
    // What the gateway says of a panic, and what the system would.
    for (name, text) in &texts {
        let is_well = !text.contains("internal error at") && !text.contains("panicked at");
        assert!(is_well, "{name}: {text}");
    }
    if let Some(metrics) = try_get(gateway.admin, "/metrics") {
        texts.push(("metrics".to_owned(), metrics.body));
        until(SOON, || held(&metrics_of(gateway)), "it holds what is over");
        until(SOON, || unrecorded(gateway, is_restarted), "a record a request");
        let rss_max = before.rss_kib + before.rss_kib / 10 + before.stays_kib;
        if !is_restarted {
            let rss = || Some(gateway.rss_kib()).filter(|rss| *rss > rss_max).map(|rss| format!("{rss} KiB"));
            until(MEMORY, rss, &format!("memory: {rss_max} KiB at most"));
        }
    }
    for (name, text) in texts {
        for canary in CANARIES {
            assert!(!text.contains(canary), "{canary} in {name}: {text}");
        }
    }
}

fn metrics_of(gateway: &Gateway) -> String {
    try_get(gateway.admin, "/metrics").map(|answer| answer.body).unwrap_or_default()
}

/// Waits until there is nothing to say.
fn until(patience: Duration, say: impl Fn() -> Option<String>, what: &str) {
    let started = Instant::now();
    while let Some(said) = say() {
        assert!(started.elapsed() < patience, "{what}: {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The samples of a metric: labels and value.
fn samples<'m>(metrics: &'m str, name: &'m str) -> impl Iterator<Item = (&'m str, f64)> {
    metrics.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
        let (labels, value) = rest.rsplit_once(' ')?;
        Some((labels, value.parse().ok()?))
    })
}

fn held(metrics: &str) -> Option<String> {
    let all = GAUGES.iter().flat_map(|name| samples(metrics, name).map(move |sample| (name, sample)));
    let mut held = all.filter(|(_, (_, value))| *value != 0.0);
    held.next().map(|(name, (labels, value))| format!("{name}{labels} {value}"))
}

/// Requests that were counted, against lines of logs, where none was given up.
fn unrecorded(gateway: &Gateway, is_restarted: bool) -> Option<String> {
    let metrics = metrics_of(gateway);
    let sum = |name| samples(&metrics, name).map(|(_, value)| value).sum::<f64>();
    let (requests, dropped) = (sum("tollgate_requests_total"), sum("tollgate_dropped_records_total"));
    let logs = written(&gateway.dir.path().join("data/log"));
    let lines: usize = logs.iter().map(|(_, text)| text.lines().count()).sum();
    let lines = f64::from(u32::try_from(lines).unwrap());
    // What was counted before a restart is forgotten.
    let holds = if is_restarted { lines + dropped >= requests } else { lines + dropped == requests };
    (!holds).then(|| format!("{requests} requests, {lines} lines, {dropped} dropped"))
}

/// The files that a gateway wrote below a directory: its records, what it keeps, and what it told the operator.
pub(crate) fn written(dir: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            all.extend(written(&path));
        } else if path.components().any(|part| part.as_os_str() == "data") || name.starts_with("serve.") {
            all.push((path.display().to_string(), text_of(&path)));
        }
    }
    all
}

/// The text of a file; of a day's that is over, and packed since, too: a test may run at midnight.
pub(crate) fn text_of(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut text = String::new();
        if flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut text).is_ok() {
            return text;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

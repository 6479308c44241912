//! OpenMetrics to Prometheus' older text format, which every scraper reads and promtool checks: a counter's
//! HELP and TYPE carry the name of its samples, there is no UNIT and no EOF.

use super::times::Exemplar;
use std::collections::{HashMap, HashSet};

/// The same metrics in format 0.0.4.
pub(super) fn classic(open_metrics: &str) -> String {
    let described = |line: &'_ str, what: &str| -> Option<(String, String)> {
        let rest = line.strip_prefix("# ")?.strip_prefix(what)?.strip_prefix(' ')?;
        let (name, text) = rest.split_once(' ')?;
        Some((name.to_owned(), text.to_owned()))
    };
    let counters: HashSet<String> = open_metrics
        .lines()
        .filter_map(|line| described(line, "TYPE"))
        .filter(|(_, kind)| kind == "counter")
        .map(|(name, _)| name)
        .collect();
    let mut out = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        let renamed = ["HELP", "TYPE"].iter().find_map(|what| {
            let (name, text) = described(line, what)?;
            counters.contains(&name).then(|| format!("# {what} {name}_total {text}"))
        });
        out.push_str(renamed.as_deref().unwrap_or(line));
        out.push('\n');
    }
    out
}

/// The same metrics, a histogram's buckets with exemplars: by its other labels as they are written, and its bounds.
pub(super) fn with_exemplars(
    open_metrics: &str,
    histogram: &str,
    exemplars: &HashMap<String, Vec<(f64, Exemplar)>>,
) -> String {
    let of = |line: &str| {
        let (labels, _) = line.strip_prefix(histogram)?.strip_prefix("_bucket{le=\"")?.rsplit_once("} ")?;
        let (bound, labels) = labels.split_once("\",")?;
        let bound: f64 = bound.parse().ok()?;
        let (_, exemplar) =
            exemplars.get(labels)?.iter().find(|(known, _)| known.total_cmp(&bound).is_eq())?;
        Some(format!(" # {{trace_id=\"{:032x}\"}} {:?}", exemplar.trace, exemplar.time.as_secs_f64()))
    };
    let mut out = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        out.push_str(line);
        out.push_str(&of(line).unwrap_or_default());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_exemplar_stands_behind_its_bucket_and_no_other() {
        let buckets = "d_bucket{le=\"0.1\",model=\"m\"} 1\nd_bucket{le=\"+Inf\",model=\"m\"} 2\nd_bucket{le=\"0.1\",model=\"o\"} 1\n";
        let exemplar = |trace, ms| Exemplar { trace, time: Duration::from_millis(ms) };
        let of_m = vec![(0.1, exemplar(10, 50)), (f64::INFINITY, exemplar(11, 2000))];
        let told = with_exemplars(buckets, "d", &HashMap::from([("model=\"m\"".to_owned(), of_m)]));
        let expected = "d_bucket{le=\"0.1\",model=\"m\"} 1 # {trace_id=\"0000000000000000000000000000000a\"} 0.05\nd_bucket{le=\"+Inf\",model=\"m\"} 2 # {trace_id=\"0000000000000000000000000000000b\"} 2.0\nd_bucket{le=\"0.1\",model=\"o\"} 1\n";
        assert_eq!(told, expected);
    }

    #[test]
    fn counters_are_described_by_the_name_of_their_samples() {
        let open = "# HELP a_b Help.\n# TYPE a_b counter\na_b_total 1\n# HELP t Time.\n# TYPE t histogram\n# UNIT t seconds\nt_sum 1\n# EOF\n";
        let classic = "# HELP a_b_total Help.\n# TYPE a_b_total counter\na_b_total 1\n# HELP t Time.\n# TYPE t histogram\nt_sum 1\n";
        assert_eq!(super::classic(open), classic);
    }
}

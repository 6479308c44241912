//! OpenMetrics to Prometheus' older text format, which every scraper reads and promtool checks: a counter's
//! HELP and TYPE carry the name of its samples, there is no UNIT and no EOF.

use std::collections::HashSet;

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

#[cfg(test)]
mod tests {
    #[test]
    fn counters_are_described_by_the_name_of_their_samples() {
        let open = "# HELP a_b Help.\n# TYPE a_b counter\na_b_total 1\n# HELP t Time.\n# TYPE t histogram\n# UNIT t seconds\nt_sum 1\n# EOF\n";
        let classic = "# HELP a_b_total Help.\n# TYPE a_b_total counter\na_b_total 1\n# HELP t Time.\n# TYPE t histogram\nt_sum 1\n";
        assert_eq!(super::classic(open), classic);
    }
}

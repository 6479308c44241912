//! The figures: medians of paired windows, a Markdown table for the README, JSON for everything else.

use serde_json::{Value, json};

use crate::load::Window;

/// The most that a row may show.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// Gateway divided by nginx.
    Ratio(f64),
    /// The gateway alone, KiB.
    Kib(f64),
}

/// A measured row. `nginx` is empty where there was no nginx, else it pairs with `gateway` one by one.
pub(crate) struct Row {
    /// What it is called in JSON and after `--row`.
    pub(crate) key: &'static str,
    /// What it is called in the table, with its unit.
    pub(crate) title: &'static str,
    /// What it should reach.
    pub(crate) goal: Goal,
    /// CPU µs, or KiB.
    pub(crate) nginx: Vec<f64>,
    /// CPU µs, or KiB.
    pub(crate) gateway: Vec<f64>,
    /// The windows behind them, nginx's and the gateway's; none for memory.
    pub(crate) windows: [Vec<Window>; 2],
}

/// The middle one, the lower of two; NaN of none.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

impl Row {
    fn ratios(&self) -> Vec<f64> {
        self.gateway.iter().zip(&self.nginx).map(|(gateway, nginx)| gateway / nginx).collect()
    }

    fn ratio_text(&self) -> String {
        let ratios = self.ratios();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match ratios.len() {
            0 => "-".to_owned(),
            _ => format!("{:.2} [{least:.2}..{most:.2}]", median(ratios)),
        }
    }

    /// Whether the median keeps the goal; `None` if it could not be told.
    fn is_met(&self) -> Option<bool> {
        let (figure, most) = match self.goal {
            Goal::Ratio(most) => (median(self.ratios()), most),
            Goal::Kib(most) => (median(self.gateway.clone()), most),
        };
        figure.is_finite().then_some(figure <= most)
    }

    fn summary(&self, of: usize) -> Value {
        let by = |field: fn(&Window) -> f64| median(self.windows[of].iter().map(field));
        let figures = if of == 0 { &self.nginx } else { &self.gateway };
        json!({
            "median": median(figures.clone()), "windows": figures,
            "per_second": by(|window| window.rate), "p50_us": by(|window| window.p50_us),
            "p99_us": by(|window| window.p99_us), "waited": by(|window| window.waited),
        })
    }

    fn json(&self) -> Value {
        let (unit, goal) = match self.goal {
            Goal::Ratio(most) => ("cpu_us", json!({ "ratio": most })),
            Goal::Kib(most) => ("kib", json!({ "kib": most })),
        };
        json!({
            "key": self.key, "title": self.title, "unit": unit, "goal": goal, "goal_met": self.is_met(),
            "nginx": self.summary(0), "gateway": self.summary(1),
            "ratio": { "median": median(self.ratios()), "windows": self.ratios() },
        })
    }
}

/// The tables.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text =
        "| figure | goal | nginx µs | gateway µs | ratio median [min..max] |\n|---|---|---|---|---|\n"
            .to_owned();
    for row in rows {
        let goal = match row.goal {
            Goal::Ratio(most) if most < 1.1 => format!("≤ {most:.2}x"),
            Goal::Ratio(most) => format!("≤ {most:.1}x"),
            Goal::Kib(most) => format!("≤ {most:.0} KiB"),
        };
        let unit = if matches!(row.goal, Goal::Kib(_)) { " KiB" } else { "" };
        let mark = if row.is_met() == Some(false) { " **missed**" } else { "" };
        let (nginx, gateway) = (figure(&row.nginx, unit), figure(&row.gateway, unit));
        text += &format!("| {} | {goal} | {nginx} | {gateway} | {}{mark} |\n", row.title, row.ratio_text());
    }
    let timed: Vec<&Row> = rows.iter().filter(|row| !row.windows[1].is_empty()).collect();
    if !timed.is_empty() {
        text += "\n| figure | nginx /s | gateway /s | nginx p50/p99 µs | gateway p50/p99 µs |\n|---|---|---|---|---|\n";
    }
    for row in timed {
        let cell = |of: usize, field: fn(&Window) -> f64| match row.windows[of].as_slice() {
            [] => "-".to_owned(),
            windows => format!("{:.0}", median(windows.iter().map(field))),
        };
        let rate = |of| cell(of, |window| window.rate);
        let latency =
            |of| format!("{} / {}", cell(of, |window| window.p50_us), cell(of, |window| window.p99_us));
        text += &format!("| {} | {} | {} | {} | {} |\n", row.title, rate(0), rate(1), latency(0), latency(1));
    }
    text
}

fn figure(values: &[f64], unit: &str) -> String {
    match median(values.iter().copied()) {
        none if none.is_nan() => "-".to_owned(),
        middle if middle < 10.0 => format!("{middle:.2}{unit}"),
        middle => format!("{middle:.1}{unit}"),
    }
}

/// Everything, for `pair.json`. What was not measured is null.
pub(crate) fn json(rows: &[Row], failures: &(u64, Vec<String>), settings: &Value) -> Value {
    json!({
        "settings": settings, "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
        "failures": { "count": failures.0, "first": failures.1 },
    })
}

/// A word where something else took the proxies' CPU, so that nobody trusts a disturbed run.
pub(crate) fn disturbance(rows: &[Row]) -> Option<String> {
    let waited = |row: &Row| median(row.windows[0].iter().map(|window| window.waited));
    let disturbed: Vec<&str> = rows.iter().filter(|row| waited(row) > 0.1).map(|row| row.key).collect();
    (!disturbed.is_empty()).then(|| {
        format!(
            "nginx had to wait for its CPU over 10 % of the time: the machine is busy ({})",
            disturbed.join(", ")
        )
    })
}

//! What `tollgate top` shows: rows out of what the admin port told, sorted, and drawn into so many lines of so many
//! characters. Pure, so that it can be tested without a terminal.

use crate::{cli::print::tame, config::Colour, json::Value};
use clap::ValueEnum;
use std::cmp::Ordering;

/// By what rows are sorted, and the key that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    Tenant,
    Rate,
    Requests,
    Denied,
    Tokens,
    Spend,
    P99,
    InFlight,
}

impl Sort {
    /// The one that a key stands for.
    pub(super) fn of_key(key: u8) -> Option<Self> {
        Some(match key {
            b'n' => Self::Tenant,
            b'r' => Self::Rate,
            b'a' => Self::Requests,
            b'd' => Self::Denied,
            b't' => Self::Tokens,
            b's' => Self::Spend,
            b'p' => Self::P99,
            b'f' => Self::InFlight,
            _ => return None,
        })
    }
}

/// A tenant, or all of them.
#[derive(Debug, Clone, Default, PartialEq)]
struct Row {
    tenant: String,
    per_second: f64,
    requests: u64,
    denied: u64,
    tokens: u64,
    cost: f64,
    /// What is spent of the budget of which most is spent, and that budget.
    budget: Option<(f64, f64, String)>,
    p99: Option<f64>,
    in_flight: u64,
    queued: Option<u64>,
    waiting: u64,
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    rows: Vec<Row>,
    all: Row,
    count: u64,
    time: String,
}

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    /// Rows that are passed over.
    pub(super) from: usize,
    pub(super) colour: Colour,
}

fn text(value: &Value<'_>, name: &str) -> String {
    tame(value.get(name).and_then(Value::as_str).unwrap_or_default())
}

fn row(value: &Value<'_>) -> Row {
    let whole = |name: &str| value.get(name).and_then(Value::as_u64).unwrap_or(0);
    let number = |value: &Value<'_>, name: &str| value.get(name).and_then(Value::as_f64);
    let budgets = value.get("budgets").and_then(Value::items).unwrap_or_default().iter();
    let budgets = budgets.filter_map(|budget| {
        Some((number(budget, "spent_usd")?, number(budget, "limit_usd")?, text(budget, "budget")))
    });
    Row {
        tenant: text(value, "tenant"),
        per_second: number(value, "per_second").unwrap_or(0.0),
        requests: whole("requests"),
        denied: whole("denied"),
        tokens: whole("input_tokens").saturating_add(whole("output_tokens")),
        cost: number(value, "cost_usd").unwrap_or(0.0),
        budget: budgets.max_by(|a, b| share(a.0, a.1).total_cmp(&share(b.0, b.1))),
        p99: number(value, "p99_ms"),
        in_flight: whole("in_flight"),
        queued: value.get("queued").and_then(Value::as_u64),
        waiting: whole("waiting"),
    }
}

fn share(spent: f64, limit: f64) -> f64 {
    if limit > 0.0 { spent / limit } else { 1.0 }
}

impl Told {
    /// Of what `GET /admin/tenants` answers.
    pub(super) fn of(value: &Value<'_>) -> Self {
        let rows = value.get("tenants").and_then(Value::items).unwrap_or_default();
        Self {
            rows: rows.iter().map(row).collect(),
            all: value.get("all").map(row).unwrap_or_default(),
            count: value.get("count").and_then(Value::as_u64).unwrap_or(0),
            time: text(value, "time"),
        }
    }

    /// How many tenants are told.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn sorted(&self, view: View) -> Vec<&Row> {
        let most = |a: f64, b: f64| b.total_cmp(&a);
        let money = |row: &Row| row.budget.as_ref().map_or(-1.0, |(spent, limit, _)| share(*spent, *limit));
        let order = |a: &&Row, b: &&Row| -> Ordering {
            let order = match view.sort {
                Sort::Tenant => Ordering::Equal,
                Sort::Rate => most(a.per_second, b.per_second),
                Sort::Requests => b.requests.cmp(&a.requests),
                Sort::Denied => b.denied.cmp(&a.denied),
                Sort::Tokens => b.tokens.cmp(&a.tokens),
                Sort::Spend => most(money(a), money(b)).then_with(|| most(a.cost, b.cost)),
                Sort::P99 => most(a.p99.unwrap_or(-1.0), b.p99.unwrap_or(-1.0)),
                Sort::InFlight => b.in_flight.cmp(&a.in_flight),
            };
            let order = order.then_with(|| a.tenant.cmp(&b.tenant));
            if view.is_reversed { order.reverse() } else { order }
        };
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by(order);
        rows
    }

    /// The table, each cell a text: its head, and a row a tenant.
    fn cells(&self, view: View, form: Form) -> Vec<Vec<String>> {
        let head = HEAD.iter().map(|(wide, compact, sort)| {
            let name = if form == Form::Wide { wide } else { compact };
            let mark = if view.is_reversed { '▲' } else { '▼' };
            if *sort == Some(view.sort) { format!("{name}{mark}") } else { (*name).to_owned() }
        });
        std::iter::once(head.collect()).chain(self.sorted(view).iter().map(|row| row.cells(form))).collect()
    }

    /// The table as plain text, all of it.
    pub(super) fn plain(&self, view: View) -> String {
        let lines = aligned(&self.cells(view, Form::Wide), Form::Wide);
        lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// The table's lines, in the form that the screen has room for.
    fn table(&self, view: View, width: usize) -> Vec<String> {
        let wide = aligned(&self.cells(view, Form::Wide), Form::Wide);
        let fits = wide.first().is_none_or(|head| head.chars().count() <= width);
        if fits { wide } else { aligned(&self.cells(view, Form::Compact { width }), Form::Compact { width }) }
    }

    /// Who is looked at, and what it does now.
    fn title(&self, url: &str, width: usize) -> String {
        let all = &self.all;
        let (count, rate, in_flight, waiting) =
            (self.count, rate(all.per_second), all.in_flight, all.waiting);
        let time = self.time.get(11..19).unwrap_or_default();
        let long = format!(
            "tollgate  {url}  {count} tenants  {rate} req/s  {in_flight} in flight  {waiting} waiting for a person  {time}"
        );
        let short = format!(
            "tollgate  {count} tenants  {rate} req/s  {in_flight} in flight  {waiting} waiting  {time}  {url}"
        );
        first_that_fits(&[long, short], width)
    }

    /// A screen of so many columns and lines. `url` is the gateway's; `trouble` why it was not told anew.
    pub(super) fn frame(
        &self,
        view: View,
        (width, height): (usize, usize),
        url: &str,
        trouble: Option<&str>,
    ) -> Vec<String> {
        let paint = |code: &str, line: &str| view.colour.paint(code, &cut(line, width));
        let all = &self.all;
        let mut lines = vec![paint("1", &self.title(url, width))];
        let second = trouble.map_or_else(
            || {
                format!(
                    "last 24 h: {} requests, {} denied, {}",
                    count(all.requests),
                    count(all.denied),
                    usd(all.cost)
                )
            },
            tame,
        );
        lines.push(paint(if trouble.is_some() { "31" } else { "2" }, &second));
        lines.push(String::new());
        let mut table = self.table(view, width).into_iter();
        lines.extend(table.next().map(|head| paint("7", &format!("{head:<width$}"))));
        let room = height.saturating_sub(lines.len() + 1);
        let shown = self.sorted(view).into_iter().skip(view.from).zip(table.skip(view.from)).take(room);
        for (row, line) in shown {
            let spent = row.budget.as_ref().map_or(0.0, |(spent, limit, _)| share(*spent, *limit));
            let code = if spent >= 1.0 {
                "31"
            } else if spent >= 0.8 {
                "33"
            } else {
                "0"
            };
            lines.push(paint(code, &line));
        }
        lines.resize(height.saturating_sub(1), String::new());
        lines.push(paint("2", &first_that_fits(&KEYS, width)));
        lines.truncate(height);
        lines
    }
}

/// The keys, in as many words as there is room for.
const KEYS: [&str; 3] = [
    "q quit  sort: n name  r req/s  a requests  d denied  t tokens  s spend  p p99  f in flight  (again: reverse)  j k scroll",
    "q quit n name r req/s a reqs d denied t tokens s spend p p99 f flight j k scroll",
    "q quit  sort: n r a d t s p f  j k scroll",
];
/// What columns are called, wide and compact, and what sorts by them.
const HEAD: [(&str, &str, Option<Sort>); 11] = [
    ("TENANT", "TENANT", Some(Sort::Tenant)),
    ("REQ/S", "REQ/S", Some(Sort::Rate)),
    ("REQUESTS", "REQS", Some(Sort::Requests)),
    ("DENIED", "DENIED", Some(Sort::Denied)),
    ("TOKENS", "TOKENS", Some(Sort::Tokens)),
    ("SPEND", "SPEND", None),
    ("BUDGET", "BUDGET", Some(Sort::Spend)),
    ("P99", "P99", Some(Sort::P99)),
    ("IN FLIGHT", "FLIGHT", Some(Sort::InFlight)),
    ("QUEUED", "QUEUED", None),
    ("WAITING", "WAIT", None),
];
/// The columns that are texts; all others are numbers, and stand to the right.
const TEXTS: [usize; 2] = [0, 6];
/// A name is not cut to less.
const NAME_CHARS_MIN: usize = 8;

/// How much is told of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Wide,
    /// Figures of few characters, and names cut to what they leave of the screen.
    Compact {
        width: usize,
    },
}

impl Row {
    fn cells(&self, form: Form) -> Vec<String> {
        let is_wide = form == Form::Wide;
        let budget = |(spent, limit, budget): &(f64, f64, String)| {
            let percent = format!("{:.0}%", (share(*spent, *limit) * 100.0).clamp(0.0, 999.0));
            if is_wide { format!("{percent} of {budget}") } else { percent }
        };
        let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        vec![
            self.tenant.clone(),
            if is_wide { rate(self.per_second) } else { short(self.per_second) },
            count(self.requests),
            count(self.denied),
            count(self.tokens),
            if is_wide { usd(self.cost) } else { format!("${}", short(self.cost)) },
            or_none(self.budget.as_ref().map(budget)),
            or_none(self.p99.map(span)),
            count(self.in_flight),
            or_none(self.queued.map(count)),
            count(self.waiting),
        ]
    }
}

fn aligned(rows: &[Vec<String>], form: Form) -> Vec<String> {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let gap = if form == Form::Wide { "  " } else { " " };
    if let (Form::Compact { width }, Some((name, figures))) = (form, widths.split_first_mut()) {
        let taken: usize = figures.iter().map(|figure| figure + gap.len()).sum();
        *name = (*name).min(width.saturating_sub(taken).max(NAME_CHARS_MIN));
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            let cell = shortened(cell, *width);
            if TEXTS.contains(&at) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join(gap)
    };
    rows.iter().map(line).collect()
}

/// A text in so many characters; where it is longer, one sees that.
fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(std::iter::once('…')).collect()
}

/// The first of some texts that has room; the last one, where none has.
fn first_that_fits(texts: &[impl AsRef<str>], width: usize) -> String {
    let texts = texts.iter().map(AsRef::as_ref);
    let fits = texts.clone().find(|text| text.chars().count() <= width);
    fits.or_else(|| texts.last()).unwrap_or_default().to_owned()
}

fn cut(line: &str, width: usize) -> String {
    line.chars().take(width).collect()
}

fn rate(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { format!("{number:.2}") }
}

/// In at most seven characters.
fn span(ms: f64) -> String {
    let ms = ms.max(0.0);
    let seconds = ms / 1000.0;
    if ms.round() < 1000.0 {
        format!("{ms:.0} ms")
    } else if seconds < 99.95 {
        format!("{seconds:.1} s")
    } else {
        format!("{} s", count(rounded(seconds)))
    }
}

fn usd(number: f64) -> String {
    format!("${number:.2}")
}

/// In at most six characters.
fn short(number: f64) -> String {
    let whole = rounded(number);
    if whole < 1000 { rate(number.max(0.0)) } else { count(whole) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the nearest there is")]
fn rounded(number: f64) -> u64 {
    number.round() as u64
}

/// In at most five characters.
fn count(number: u64) -> String {
    if number < 100_000 {
        return number.to_string();
    }
    let units = [
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
    ];
    let unit = units.into_iter().find(|(_, size)| number / size < 10_000);
    let (unit, size) = unit.unwrap_or(("E", 1_000_000_000_000_000_000));
    format!("{}{unit}", number / size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    const TOLD: &str = r#"{"time":"2026-11-28T09:30:00.000Z","count":3,"all":{"per_second":1.5,"requests":30,"in_flight":2,"waiting":1},"tenants":[
        {"tenant":"acme","per_second":1.25,"requests":20,"denied":3,"input_tokens":1000,"output_tokens":5,"cost_usd":1.5,"p99_ms":1500,"in_flight":2,"waiting":1,"queued":null,
         "budgets":[{"budget":"50 USD/day","limit_usd":50,"spent_usd":1},{"budget":"2 USD/hour","limit_usd":2,"spent_usd":1.9}]},
        {"tenant":"globex","per_second":0,"requests":10,"denied":7,"input_tokens":0,"output_tokens":0,"cost_usd":0,"p99_ms":null,"in_flight":0,"waiting":0,"queued":4,"budgets":[]},
        {"tenant":"\u001b[31mevil\u202e","requests":250000,"budgets":[{"budget":"x","limit_usd":0,"spent_usd":0}]}]}"#;

    fn told() -> Told {
        Told::of(&json::parse(TOLD.as_bytes(), 9).unwrap())
    }

    fn view(sort: Sort, is_reversed: bool) -> View {
        View { sort, is_reversed, from: 0, colour: Colour::Plain }
    }

    #[test]
    fn rows_are_sorted_by_what_is_asked_for() {
        let check = |sort, is_reversed, expected: &str| {
            let text = told().plain(view(sort, is_reversed));
            let first: String = text.lines().skip(1).filter_map(|line| line.chars().next()).collect();
            assert_eq!(first, expected, "{sort:?}\n{text}");
        };
        check(Sort::Tenant, false, "\\ag");
        check(Sort::Tenant, true, "ga\\");
        check(Sort::Requests, false, "\\ag");
        check(Sort::Denied, false, "ga\\");
        check(Sort::Spend, false, "\\ag");
        check(Sort::P99, false, "a\\g");
        check(Sort::InFlight, true, "g\\a");
    }

    #[test]
    fn a_row_tells_what_was_told() {
        let text = told().plain(view(Sort::Rate, false));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].split_whitespace().next(), Some("TENANT"));
        for part in ["acme", "1.25", "1005", "$1.50", "95% of 2 USD/hour", "1.5 s"] {
            assert!(lines[1].contains(part), "{part}: {}", lines[1]);
        }
        assert!(lines[1].ends_with(" 1"), "what waits for a person: {}", lines[1]);
        assert!(text.contains("250k"), "{text}");
    }

    #[test]
    fn the_keys_are_all_told_where_the_screen_is_small() {
        for width in [41, 80, 120, 200] {
            let lines = told().frame(view(Sort::Rate, false), (width, 24), "http://h:1", None);
            let keys: Vec<&str> = lines[23].split_whitespace().collect();
            for key in "q n r a d t s p f j k".split(' ') {
                assert!(keys.contains(&key), "{key}: {}", lines[23]);
            }
        }
    }

    const WIDE: &str = "TENANT REQ/S REQUESTS DENIED TOKENS SPEND BUDGET P99 IN FLIGHT QUEUED WAITING";
    const COMPACT: &str = "TENANT REQ/S REQS DENIED TOKENS SPEND BUDGET P99 FLIGHT QUEUED WAIT";
    const SORTS: [Sort; 8] = [
        Sort::Tenant,
        Sort::Rate,
        Sort::Requests,
        Sort::Denied,
        Sort::Tokens,
        Sort::Spend,
        Sort::P99,
        Sort::InFlight,
    ];

    prop_compose! {
        fn any_row()(
            tenant in "\\PC{0,80}",
            budget in prop::option::of((0.0..1e9_f64, 0.0..1e9_f64, "\\PC{0,40}")),
            (per_second, cost, p99) in (0.0..1e12_f64, 0.0..1e12_f64, prop::option::of(0.0..1e12_f64)),
            (bits, counts) in (0..64_u32, any::<[u64; 4]>()),
            queued in prop::option::of(any::<u64>()),
        ) -> Row {
            let [requests, denied, tokens, in_flight] = counts.map(|count| count >> bits);
            Row { tenant, per_second, requests, denied, tokens, cost, budget, p99, in_flight, queued, waiting: requests }
        }
    }

    proptest! {
        #[test]
        fn eighty_columns_show_every_head_and_every_figure(
            rows in prop::collection::vec(any_row(), 0..6),
            sort in prop::sample::select(&SORTS[..]),
            is_reversed: bool,
        ) {
            let told = Told { rows, ..Told::default() };
            let view = view(sort, is_reversed);
            let lines = told.frame(view, (80, 24), "http://h:1", None);
            let mark = ['▲', '▼'];
            let heads: Vec<&str> = lines[3].split_whitespace().map(|head| head.trim_end_matches(mark)).collect();
            prop_assert!(heads.join(" ") == COMPACT || heads.join(" ") == WIDE, "{}", lines[3]);
            for (row, line) in told.sorted(view).into_iter().zip(&lines[4..]) {
                // Behind the name, which may hold blanks.
                let form = if heads.join(" ") == WIDE { Form::Wide } else { Form::Compact { width: 80 } };
                let cells = row.cells(form);
                let figures = cells[1..].join(" ");
                let shown = line.split_whitespace().collect::<Vec<_>>().join(" ");
                let figures = figures.split_whitespace().collect::<Vec<_>>().join(" ");
                prop_assert!(shown.ends_with(&figures), "{figures} is not in {line}");
                let name: String = row.tenant.chars().take(NAME_CHARS_MIN - 1).collect();
                prop_assert!(line.starts_with(&name), "{name} does not begin {line}");
            }
        }

        #[test]
        fn a_frame_fits_its_screen_and_holds_no_control(width in 0..200_usize, height in 0..40_usize, from in 0..5_usize, trouble in prop::option::of(".*")) {
            let view = View { from, ..view(Sort::Denied, false) };
            let lines = told().frame(view, (width, height), "http://h:1", trouble.as_deref());
            prop_assert_eq!(lines.len(), height);
            for line in lines {
                prop_assert!(line.chars().count() <= width, "{}", line);
                prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
            }
        }
    }
}

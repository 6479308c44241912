//! `tollgate replay`: recorded calls, decided again under another configuration.

use super::{Config, Format, Status, bar::Bar, print};
use crate::{
    clock,
    json::Value,
    offline::{
        Configuration,
        replay::{self, Change, Progress, Totals},
    },
    records::{self, NoAuditFiles},
};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Audit files, or directories with some: a data directory, its audit directory, a tenant's
    #[arg(value_name = "AUDIT", required = true)]
    audit: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let now = clock::unix_seconds(clock::wall());
    let configuration = match Configuration::read(&arguments.config.config, now) {
        Ok(configuration) => configuration,
        Err(unfit) => return print::unfit(&unfit, arguments.format),
    };
    let mut files = Vec::new();
    let mut wrong = None;
    for path in &arguments.audit {
        match records::audit_files(path) {
            Ok(found) => files.extend(found),
            Err(error) => {
                let status = match error {
                    NoAuditFiles::Missing(_) => Status::Usage,
                    NoAuditFiles::Empty(_) | NoAuditFiles::Unreadable(..) => Status::Findings,
                };
                wrong = wrong.filter(|wrong| *wrong == Status::Usage).or(Some(status));
                print::error(&print::tame(&error.to_string()));
            }
        }
    }
    if let Some(wrong) = wrong {
        return wrong;
    }
    let mut bar = Bar::over(&files);
    let mut listing = Listing { format: arguments.format, any: false };
    listing.open();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let done = replay::replay(&configuration, &files, threads, &mut |progress: &Progress<'_>| {
        if !progress.changes.is_empty() {
            bar.clear();
            listing.add(progress.changes);
        }
        bar.draw(progress.bytes);
    });
    bar.clear();
    match done {
        Ok(totals) => {
            listing.close(&totals);
            let fine = totals.all().changed == 0 && totals.unreadable == 0;
            if fine { Status::Fine } else { Status::Findings }
        }
        Err((path, error)) => {
            print::failed(&format!("`{}` cannot be read: {error}", print::tame(&path.display().to_string())))
        }
    }
}

/// What is printed while records are decided.
struct Listing {
    format: Format,
    any: bool,
}

impl Listing {
    fn open(&self) {
        if self.format == Format::Json {
            print::text("{\"changes\":[");
        }
    }

    fn add(&mut self, changes: &[Change]) {
        match self.format {
            Format::Json => {
                let mut out = String::new();
                for change in changes {
                    out.push_str(if self.any { ",\n" } else { "\n" });
                    out.push_str(&change_json(change).to_string());
                    self.any = true;
                }
                print::text(&out);
            }
            Format::Text => {
                self.any = true;
                print::text(&print::columns(&changes.iter().map(cells).collect::<Vec<_>>(), 0));
            }
        }
    }

    fn close(&self, totals: &Totals) {
        match self.format {
            Format::Json => {
                let Value::Object(members) = totals_json(totals) else { return };
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(name, value)| format!("{}:{value}", Value::string(name)))
                    .collect();
                print::line(&format!("],{}}}", members.join(",")));
            }
            Format::Text => {
                if self.any {
                    print::line("");
                }
                print::text(&totals_text(totals));
            }
        }
    }
}

fn rule(rule: Option<&str>) -> String {
    rule.unwrap_or("no rule").to_owned()
}

fn cells(change: &Change) -> Vec<String> {
    vec![
        change.time.clone(),
        format!("{}/{}", change.tenant, change.key),
        change.place.to_owned(),
        change.tool.clone(),
        format!("{} -> {}", change.was.as_str(), change.now.as_str()),
        format!("{} -> {}", rule(change.rule_was.as_deref()), rule(change.rule_now.as_deref())),
        change.reason.clone(),
    ]
}

fn change_json(change: &Change) -> Value<'static> {
    let text = |text: &str| Value::string(text.to_owned());
    let or_null = |value: &Option<String>| value.clone().map_or(Value::Null, Value::string);
    Value::object([
        ("time", text(&change.time)),
        ("tenant", text(&change.tenant)),
        ("key", text(&change.key)),
        ("tool", text(&change.tool)),
        ("place", text(change.place)),
        ("was", text(change.was.as_str())),
        ("is", text(change.now.as_str())),
        ("rule_was", or_null(&change.rule_was)),
        ("rule_is", or_null(&change.rule_now)),
        ("reason", text(&change.reason)),
    ])
}

fn totals_text(totals: &Totals) -> String {
    let mut out = String::new();
    let head = ["", "decided", "changed", "cannot tell"].map(str::to_owned).to_vec();
    let row = |name: &str, counts: &replay::Counts| {
        vec![
            name.to_owned(),
            counts.decided.to_string(),
            counts.changed.to_string(),
            counts.untold.to_string(),
        ]
    };
    let tenants = totals.tenants.iter().map(|(tenant, counts)| row(tenant, counts));
    out.push_str(&print::columns(&std::iter::once(head).chain(tenants).collect::<Vec<_>>(), 0));
    let turns = totals.turns.iter().map(|(turn, count)| {
        vec![
            count.to_string(),
            turn.tenant.clone(),
            format!("{} -> {}", turn.was, turn.now),
            format!("{} -> {}", rule(turn.rule_was.as_deref()), rule(turn.rule_now.as_deref())),
        ]
    });
    section(&mut out, "changed, by rule", &turns.collect::<Vec<_>>());
    let untold = totals.untold.iter().map(|((tenant, rule), count)| {
        let why = match rule {
            Some(rule) => format!("{rule} reads what was redacted or not recorded"),
            None => "the tool's name was redacted".to_owned(),
        };
        vec![count.to_string(), tenant.clone(), why]
    });
    section(&mut out, "cannot tell, by rule", &untold.collect::<Vec<_>>());
    let keys: Vec<String> = totals.keys_gone.iter().map(|(tenant, key)| format!("{tenant}/{key}")).collect();
    let gone: Vec<String> = totals.tenants_gone.iter().cloned().collect();
    let gone = [
        (gone, "tenants that are no more, so that all their calls are denied"),
        (keys, "keys that are no more, whose calls are decided as if nothing narrowed them"),
    ];
    for (names, what) in gone.iter().filter(|(names, _)| !names.is_empty()) {
        out.push_str(&format!("\n{what}: {}\n", print::tame(&names.join(", "))));
    }
    let all = totals.all();
    out.push_str(&format!(
        "\n{}: {} decided again, {} changed, {} cannot be told; skipped: {} shadow, {} decided by a person, {} not by a rule",
        print::plural(usize::try_from(totals.records).unwrap_or(usize::MAX), "record"),
        all.decided,
        all.changed,
        all.untold,
        totals.shadow,
        totals.by_person,
        totals.by_no_rule
    ));
    if totals.unreadable > 0 {
        out.push_str(&format!("; {} unreadable", totals.unreadable));
    }
    out.push('\n');
    out
}

fn section(out: &mut String, title: &str, rows: &[Vec<String>]) {
    if !rows.is_empty() {
        out.push_str(&format!("\n{title}\n"));
        out.push_str(&print::columns(rows, 2));
    }
}

fn totals_json(totals: &Totals) -> Value<'static> {
    let text = |text: &str| Value::string(text.to_owned());
    let or_null = |value: Option<&String>| value.map_or(Value::Null, |value| text(value));
    let tenants = totals.tenants.iter().map(|(tenant, counts)| {
        Value::object([
            ("tenant", text(tenant)),
            ("decided", Value::integer(counts.decided)),
            ("changed", Value::integer(counts.changed)),
            ("cannot_tell", Value::integer(counts.untold)),
        ])
    });
    let turns = totals.turns.iter().map(|(turn, count)| {
        Value::object([
            ("tenant", text(&turn.tenant)),
            ("was", text(turn.was)),
            ("is", text(turn.now)),
            ("rule_was", or_null(turn.rule_was.as_ref())),
            ("rule_is", or_null(turn.rule_now.as_ref())),
            ("count", Value::integer(*count)),
        ])
    });
    let untold = totals.untold.iter().map(|((tenant, rule), count)| {
        Value::object([
            ("tenant", text(tenant)),
            ("rule", or_null(rule.as_ref())),
            ("count", Value::integer(*count)),
        ])
    });
    let keys = totals.keys_gone.iter().map(|(tenant, key)| text(&format!("{tenant}/{key}")));
    Value::object([
        ("records", Value::integer(totals.records)),
        ("tenants", Value::Array(tenants.collect())),
        ("rules", Value::Array(turns.collect())),
        ("cannot_tell", Value::Array(untold.collect())),
        (
            "skipped",
            Value::object([
                ("shadow", Value::integer(totals.shadow)),
                ("by_person", Value::integer(totals.by_person)),
                ("not_by_a_rule", Value::integer(totals.by_no_rule)),
            ]),
        ),
        ("unreadable", Value::integer(totals.unreadable)),
        ("tenants_gone", Value::Array(totals.tenants_gone.iter().map(|name| text(name)).collect())),
        ("keys_gone", Value::Array(keys.collect())),
    ])
}

//! `tollgate audit show`: recorded decisions, filtered. Each is shown as it was recorded, or in columns.

use super::{Config, Format, Status, bar::Bar, print};
use crate::{
    clock,
    config::{compile, values},
    json::{self, Value},
    policy::glob::Glob,
    records::{self, Day, NoAuditFiles, rfc3339},
};
use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A data directory, its audit directory, a tenant's, or a file; without it, the configuration's `data_dir`
    dir: Option<PathBuf>,
    #[command(flatten)]
    config: Config,
    /// Of this tenant
    #[arg(long, short)]
    tenant: Option<String>,
    /// Of tools that a pattern matches, such as `crm__*`
    #[arg(long)]
    tool: Option<String>,
    /// With this outcome
    #[arg(long, value_parser = ["allow", "deny", "ask"])]
    decision: Option<String>,
    /// Of this request, by its `x-request-id`
    #[arg(long)]
    request: Option<String>,
    /// From then on: a day (`2026-11-25`), a time (`2026-11-25T10:00:00Z`), or so long ago (`90m`, `7d`)
    #[arg(long, value_parser = since)]
    since: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A time as records have it, or the beginning of one: texts of times sort as times do.
fn since(text: &str) -> Result<String, String> {
    if let Ok(ago) = values::duration(text) {
        return clock::wall()
            .checked_sub(ago)
            .map(rfc3339)
            .ok_or_else(|| "that is before there were records".to_owned());
    }
    let shape = text.bytes().zip(b"0000-00-00T00:00:00.000Z").all(|(found, form)| match form {
        b'0' => found.is_ascii_digit(),
        _ => found == *form || found == b'Z',
    });
    if Day::parse(text).is_none() || !shape || text.len() > "0000-00-00T00:00:00.000Z".len() {
        return Err("expected a day (2026-11-25), a time (2026-11-25T10:00:00Z) or a duration (7d)".into());
    }
    Ok(text.trim_end_matches('Z').to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let dir = match place(arguments) {
        Ok(dir) => dir,
        Err(message) => return print::failed(&message),
    };
    let files = match records::audit_files(&dir) {
        Ok(files) => files,
        // Nothing was decided yet.
        Err(error @ NoAuditFiles::Empty(_)) => {
            if arguments.format == Format::Json {
                print::line("[]");
            }
            print::note(&print::tame(&error.to_string()));
            return Status::Fine;
        }
        Err(error) => {
            print::error(&print::tame(&error.to_string()));
            return if matches!(error, NoAuditFiles::Missing(_)) { Status::Usage } else { Status::Findings };
        }
    };
    if let Some(tenant) = &arguments.tenant {
        note_unknown(tenant, &dir, &files);
    }
    let mut listing =
        Listing { wanted: Wanted::of(arguments), format: arguments.format, any: false, unreadable: 0 };
    let (mut bar, mut bytes) = (Bar::over(&files), 0);
    if arguments.format == Format::Json {
        print::text("[");
    }
    for file in &files {
        let read = records::each_line(file, &mut |line| {
            bytes += line.len() as u64 + 1;
            if listing.wanted.may_be(line) {
                listing.take(line, &mut bar);
            }
            bar.draw(bytes);
            ControlFlow::Continue(())
        });
        if let Err(error) = read {
            bar.clear();
            let path = file.display().to_string();
            return print::failed(&format!("`{}` cannot be read: {error}", print::tame(&path)));
        }
    }
    bar.clear();
    if arguments.format == Format::Json {
        print::line(if listing.any { "\n]" } else { "]" });
    }
    if listing.unreadable == 0 {
        return Status::Fine;
    }
    let count = usize::try_from(listing.unreadable).unwrap_or(usize::MAX);
    print::failed(&format!(
        "{} cannot be read as records; `tollgate audit verify` names the first",
        print::plural(count, "line")
    ))
}

/// Where the records are. The error is for people.
fn place(arguments: &Arguments) -> Result<PathBuf, String> {
    if let Some(dir) = &arguments.dir {
        return Ok(dir.clone());
    }
    let loaded = print::sound(&arguments.config.config)?;
    Ok(compile::records_place(&loaded, &|name| std::env::var(name).ok()).data_dir)
}

/// A tenant without records is no error; but its name may be written wrongly.
fn note_unknown(tenant: &str, dir: &Path, files: &[PathBuf]) {
    // In a data directory, or its audit directory, each tenant has a directory.
    if !dir.join("audit").is_dir() && !dir.ends_with("audit") {
        return;
    }
    let owner = |file: &PathBuf| Some(file.parent()?.file_name()?.to_string_lossy().into_owned());
    let owners: BTreeSet<String> = files.iter().filter_map(owner).collect();
    if !owners.contains(tenant) {
        let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
        print::note(&print::tame(&format!(
            "there are no records of `{tenant}`; there are some of: {owners}"
        )));
    }
}

/// What records are to be shown.
struct Wanted<'a> {
    arguments: &'a Arguments,
    tool: Option<Glob>,
}

impl<'a> Wanted<'a> {
    fn of(arguments: &'a Arguments) -> Self {
        Self { arguments, tool: arguments.tool.as_deref().map(Glob::new) }
    }

    /// Whether a line may be wanted, by its bytes alone: most need not be parsed.
    fn may_be(&self, line: &[u8]) -> bool {
        let plain = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let texts = [&self.arguments.tenant, &self.arguments.decision, &self.arguments.request];
        let mut texts = texts.into_iter().flatten().map(String::as_str).filter(plain);
        texts.all(|text| memchr::memmem::find(line, text.as_bytes()).is_some())
    }

    fn is(&self, record: &Value<'_>) -> bool {
        let wanted = self.arguments;
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        let equals = |name: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| text(name) == Some(wanted))
        };
        equals("tenant", &wanted.tenant)
            && equals("decision", &wanted.decision)
            && equals("request_id", &wanted.request)
            && self.tool.as_ref().is_none_or(|tool| text("tool").is_some_and(|name| tool.matches(name)))
            && wanted.since.as_deref().is_none_or(|since| text("time").is_some_and(|time| time >= since))
    }
}

struct Listing<'a> {
    wanted: Wanted<'a>,
    format: Format,
    any: bool,
    unreadable: u64,
}

impl Listing<'_> {
    fn take(&mut self, line: &[u8], bar: &mut Bar) {
        let Ok(record) = json::parse(line, json::NESTING_MAX) else {
            self.unreadable += 1;
            return;
        };
        if !self.wanted.is(&record) {
            return;
        }
        bar.clear();
        match self.format {
            // As it was recorded, digit for digit.
            Format::Json => {
                let comma = if self.any { "," } else { "" };
                print::text(&format!("{comma}\n{}", String::from_utf8_lossy(line)));
            }
            Format::Text => print::line(&columns(&record)),
        }
        self.any = true;
    }
}

fn columns(record: &Value<'_>) -> String {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let mode = if text("mode") == "shadow" { " (shadow)" } else { "" };
    let rule = if text("rule").is_empty() { "no rule" } else { text("rule") };
    let mut out = format!(
        "{}  {}/{}  {}{mode}  {}  {}  {rule}  {}",
        text("time"),
        text("tenant"),
        text("key"),
        text("decision"),
        text("place"),
        text("tool"),
        text("request_id"),
    );
    for (before, name) in [("by ", "by"), ("", "reason")] {
        if !text(name).is_empty() {
            out.push_str(&format!("  {before}{}", text(name)));
        }
    }
    print::tame(&out)
}

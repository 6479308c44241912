//! `tollgate diff`: what each tenant gains and loses between two configurations, in words.

use super::{
    Format, Status, configuration_at,
    print::{self, plural},
};
use crate::{
    clock,
    json::Value,
    offline::{
        Configuration,
        diff::{self, Change, Direction},
    },
};
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::{
    io::stdout,
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration before: a `tollgate.yaml`, or the directory that it is in
    #[arg(value_name = "OLD_CONFIG", value_parser = PathBufValueParser::new().map(configuration_at))]
    old: PathBuf,
    /// The configuration after
    #[arg(value_name = "NEW_CONFIG", value_parser = PathBufValueParser::new().map(configuration_at))]
    new: PathBuf,
    /// Exit with 1 if anything changes
    #[arg(long)]
    exit_code: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let now = clock::unix_seconds(clock::wall());
    let read = |path: &Path| Configuration::read(path, now);
    let (old, new) = match (read(&arguments.old), read(&arguments.new)) {
        (Ok(old), Ok(new)) => (old, new),
        (Err(unfit), Ok(_)) | (Ok(_), Err(unfit)) => return print::unfit(&unfit, arguments.format),
        (Err(old), Err(new)) => {
            print::unfit(&old, arguments.format);
            return print::unfit(&new, arguments.format);
        }
    };
    let changes = diff::diff(&old, &new, [old.tested_tools(), new.tested_tools()]);
    match arguments.format {
        Format::Json => {
            let changes = Value::Array(changes.iter().map(change_json).collect());
            print::line(&Value::object([("changes", changes)]).to_string());
        }
        Format::Text => print::text(&text(&changes)),
    }
    if arguments.exit_code && !changes.is_empty() { Status::Findings } else { Status::Fine }
}

fn text(changes: &[Change]) -> String {
    if changes.is_empty() {
        return "nothing changes for any tenant\n".to_owned();
    }
    let colour = print::colour(&stdout());
    let mut out = String::new();
    for change in changes {
        let (code, sign) = match change.direction {
            Direction::Changes => ("1;33", "~"),
            Direction::Gains => ("1;32", "+"),
            Direction::Loses => ("1;31", "-"),
        };
        out.push_str(&format!("{} {}\n", colour.paint(code, sign), print::tame(&change.text)));
    }
    let count = |direction| changes.iter().filter(|change| change.direction == direction).count();
    out.push_str(&format!(
        "{}: {} gained, {} lost, {} otherwise\n",
        plural(changes.len(), "change"),
        count(Direction::Gains),
        count(Direction::Loses),
        count(Direction::Changes)
    ));
    out
}

fn change_json(change: &Change) -> Value<'static> {
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::string);
    Value::object([
        ("tenant", text(&change.tenant)),
        ("kind", Value::string(change.kind.as_str())),
        ("name", Value::string(change.name.clone())),
        ("direction", Value::string(change.direction.as_str())),
        ("text", Value::string(change.text.clone())),
        ("was", text(&change.was)),
        ("now", text(&change.now)),
        ("rule_was", text(&change.rule_was)),
        ("rule_now", text(&change.rule_now)),
    ])
}

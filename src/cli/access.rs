//! `tollgate access`: who can reach which model, tool and upstream, and by which rule.

use super::{Config, Format, Status, print};
use crate::{
    clock,
    json::Value,
    offline::{
        Configuration,
        access::{self, Entry, Looked, Row, Who},
        universe::Universe,
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Only this tenant
    #[arg(long, short)]
    tenant: Option<String>,
    /// Only those who can call this tool
    #[arg(long, value_name = "TOOL")]
    who_can: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let now = clock::unix_seconds(clock::wall());
    let configuration = match Configuration::read(&arguments.config.config, now) {
        Ok(configuration) => configuration,
        Err(unfit) => return print::unfit(&unfit, arguments.format),
    };
    let tenant = arguments.tenant.as_deref();
    if let Some(Err(unknown)) = tenant.map(|tenant| configuration.tenant(tenant)) {
        return print::failed(&unknown.to_string());
    }
    let looked = Looked { snapshot: &configuration.snapshot, configuration: Some(&configuration), now };
    match &arguments.who_can {
        Some(tool) => {
            let who = looked.who_can(tool, tenant);
            match arguments.format {
                Format::Json => {
                    let tool = Value::string(tool.clone());
                    let who = access::who_json(&who);
                    print::line(&Value::object([("tool", tool), ("who", who)]).to_string());
                }
                Format::Text => print::text(&who_text(tool, &who)),
            }
        }
        None => {
            let universe = Universe::of(&configuration, configuration.tested_tools());
            let rows = looked.matrix(&universe, tenant);
            match arguments.format {
                Format::Json => {
                    print::line(&Value::object([("access", access::matrix_json(&rows))]).to_string());
                }
                Format::Text => {
                    let rows: Vec<String> = rows.iter().map(row_text).collect();
                    print::text(&rows.join("\n"));
                }
            }
        }
    }
    Status::Fine
}

fn who_text(tool: &str, who: &[Who<'_>]) -> String {
    if who.is_empty() {
        return format!("nobody can call {}\n", print::tame(tool));
    }
    let cells = |who: &Who<'_>| {
        let entry = &who.entry;
        vec![
            caller(who.tenant, who.key, who.is_expired),
            entry.reach.as_str().to_owned(),
            entry.by.clone(),
            entry.about.clone(),
        ]
    };
    print::columns(&who.iter().map(cells).collect::<Vec<_>>(), 0)
}

fn row_text(row: &Row<'_>) -> String {
    let mut out = format!("{}\n", print::tame(&caller(row.tenant, row.key, row.is_expired)));
    for (title, entries) in [("models", &row.models), ("tools", &row.tools), ("upstreams", &row.upstreams)] {
        if entries.is_empty() {
            out.push_str(&format!("  {title}: none\n"));
            continue;
        }
        let cells = |entry: &Entry| {
            vec![entry.name.clone(), entry.reach.as_str().to_owned(), entry.by.clone(), entry.about.clone()]
        };
        out.push_str(&format!("  {title}\n"));
        out.push_str(&print::columns(&entries.iter().map(cells).collect::<Vec<_>>(), 4));
    }
    out
}

fn caller(tenant: &str, key: Option<&str>, is_expired: bool) -> String {
    let key = key.map_or_else(|| "no key".to_owned(), |key| format!("key {key}"));
    format!("{tenant}, {key}{}", if is_expired { " (expired)" } else { "" })
}

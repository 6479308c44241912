//! `tollgate usage`: what tenants used, read from the ledger, which a gateway may write meanwhile.

use super::{Config, Status, print};
use crate::{
    clock,
    config::{self, compile},
    json::Value,
    ledger::{self, Counts, Filter, Row},
    names::TenantId,
    usage::MicroUsd,
};
use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Only this tenant
    #[arg(long, short)]
    tenant: Option<String>,
    /// From then on: a date, a time with its zone, or how long ago, such as 7d
    #[arg(long, value_name = "D")]
    since: Option<String>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Json,
    Text,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    if let Some(tenant) = &arguments.tenant
        && TenantId::try_from(tenant.as_str()).is_err()
    {
        print::error("a tenant's name may hold only a-z, 0-9 and -");
        return Status::Usage;
    }
    let since = match arguments.since.as_deref() {
        None => None,
        Some(text) => match config::moment(text, clock::unix_seconds(clock::wall())) {
            None => {
                print::error("--since is a date, a time with its zone, or how long ago: 2026-11-01, 7d");
                return Status::Usage;
            }
            since => since,
        },
    };
    let loaded = match print::sound(&arguments.config.config) {
        Ok(loaded) => loaded,
        Err(message) => return print::failed(&message),
    };
    let data_dir = compile::records_place(&loaded, &|name| std::env::var(name).ok()).data_dir;
    let filter = Filter { tenant: arguments.tenant.clone(), since };
    match ledger::read(&data_dir, &filter) {
        Ok(rows) => {
            let rows = rows.unwrap_or_default();
            let is_known = |name: &String| loaded.tenants.iter().any(|known| known.tenant.value == *name);
            if let Some(name) = arguments.tenant.as_ref().filter(|name| rows.is_empty() && !is_known(name)) {
                return print::failed(&format!(
                    "there is no tenant `{name}`, and none of that name used anything"
                ));
            }
            match arguments.format {
                Format::Csv => print::text(&csv(&rows)),
                Format::Json => {
                    print::line(&Value::Array(rows.iter().map(Row::to_json).collect()).to_string());
                }
                Format::Text => print::text(&text(&rows)),
            }
            Status::Fine
        }
        Err(error) => print::failed(&error.to_string()),
    }
}

const HEAD: [&str; 9] =
    ["tenant", "key", "model", "tool", "requests", "input_tokens", "output_tokens", "cost_usd", "denied"];

fn cells(row: &Row) -> [String; 9] {
    let Counts { requests, input_tokens, output_tokens, cost_micro_usd, denied } = row.counts;
    [
        row.tenant.clone(),
        row.key.clone(),
        row.model.clone().unwrap_or_default(),
        row.tool.clone().unwrap_or_default(),
        requests.to_string(),
        input_tokens.to_string(),
        output_tokens.to_string(),
        MicroUsd(cost_micro_usd).to_string(),
        denied.to_string(),
    ]
}

fn csv(rows: &[Row]) -> String {
    let line =
        |cells: &[String]| cells.iter().map(|cell| cell_of(cell)).collect::<Vec<_>>().join(",") + "\r\n";
    let mut out = line(&HEAD.map(ToOwned::to_owned));
    rows.iter().for_each(|row| out.push_str(&line(&cells(row))));
    out
}

/// A cell of CSV. One that a spreadsheet would take for a formula begins with an apostrophe.
fn cell_of(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn text(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "nothing was used\n".to_owned();
    }
    let mut total = Counts::default();
    rows.iter().for_each(|row| total.add(&row.counts));
    let total =
        Row { tenant: "total".to_owned(), key: String::new(), model: None, tool: None, counts: total };
    let head = HEAD.map(|name| name.replace('_', " ")).to_vec();
    let body = rows.iter().chain([&total]).map(|row| cells(row).to_vec());
    print::columns(&std::iter::once(head).chain(body).collect::<Vec<_>>(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_no_formula_and_ends_where_it_ends() {
        let check = |text: &str, expected: &str| assert_eq!(cell_of(text), expected);
        check("gpt-5", "gpt-5");
        check("a,b\"c", "\"a,b\"\"c\"");
        check("=1+1", "'=1+1");
    }
}

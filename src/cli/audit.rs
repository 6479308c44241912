//! `tollgate audit`: are the chains whole, and what is in them?

use super::{Format, Status, audit_show, bar::Bar, configuration_at, print};
use crate::{
    config::{self, compile},
    json::Value,
    records::{self, Master, TenantSecrets, secret},
};
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the hash chains; names the first broken record of each tenant
    Verify {
        /// A data directory, or its audit directory
        dir: PathBuf,
        /// The configuration whose `records.secret` sealed the chains; without it, the data directory's own secret
        #[arg(
            long,
            short,
            value_name = "FILE",
            value_parser = PathBufValueParser::new().map(configuration_at)
        )]
        config: Option<PathBuf>,
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// List recorded decisions, oldest first by tenant
    Show(audit_show::Arguments),
}

pub(super) fn run(command: &Command) -> Status {
    let (dir, config, format) = match command {
        Command::Verify { dir, config, format } => (dir, config, format),
        Command::Show(show) => return audit_show::run(show),
    };
    let secrets = match secrets(dir, config.as_deref()) {
        Ok(secrets) => secrets,
        Err(message) => return print::failed(&message),
    };
    let files = records::audit_files(dir).unwrap_or_default();
    let mut bar = Bar::over(&files);
    let verified = records::verify_heard(dir, secrets.as_ref(), &mut |bytes| bar.draw(bytes));
    bar.clear();
    let report = match verified {
        Ok(report) => report,
        Err(error) => return print::failed(&error.to_string()),
    };
    match format {
        Format::Json => print::line(&as_json(&report).to_string()),
        Format::Text => tell(&report, secrets.is_some()),
    }
    if report.is_whole() { Status::Fine } else { Status::Findings }
}

fn secrets(dir: &Path, config: Option<&Path>) -> Result<Option<TenantSecrets>, String> {
    let data_dir = if dir.join("audit").is_dir() { dir } else { dir.parent().unwrap_or(dir) };
    let open =
        |master, whose| TenantSecrets::open(data_dir, master, whose).map_err(|error| error.to_string());
    if let Some(config) = config {
        let loaded = config::load(config);
        let place = compile::records_place(&loaded, &|name| std::env::var(name).ok());
        if let Some(secret) = place.secret {
            return open(secret.expose().as_bytes().to_vec(), Master::Given).map(Some);
        }
    }
    let own = secret::existing(data_dir).map_err(|error| error.to_string())?;
    own.map(|master| open(master, Master::Own)).transpose()
}

fn tell(report: &records::Report, sealed: bool) {
    for tenant in &report.tenants {
        match &tenant.finding {
            Some(finding) => print::line(&format!("BROKEN {finding}")),
            None => print::line(&format!("ok     {}: {} records", tenant.tenant, tenant.records)),
        }
    }
    if !sealed {
        print::line("note: no secret was found, so that the seals of the chains' ends were not checked");
    }
    let broken = report.findings().count();
    print::line(&format!("{} chains, {broken} broken, {} bytes", report.tenants.len(), report.bytes));
}

fn as_json(report: &records::Report) -> Value<'static> {
    let tenants = report
        .tenants
        .iter()
        .map(|tenant| {
            let finding = tenant.finding.as_ref();
            let place = finding.and_then(|finding| finding.place.as_ref());
            let place = place.map(|(path, line)| Value::string(format!("{}:{line}", path.display())));
            Value::object([
                ("tenant", Value::string(tenant.tenant.clone())),
                ("records", Value::integer(tenant.records)),
                ("ok", Value::Bool(finding.is_none())),
                ("finding", finding.map_or(Value::Null, |finding| Value::string(finding.fault.to_string()))),
                ("at", place.unwrap_or(Value::Null)),
            ])
        })
        .collect();
    Value::Array(tenants)
}

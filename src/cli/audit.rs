//! `tollgate audit`: are the chains whole, and what is in them?

use super::{
    Config, Format, Status, audit_show,
    bar::Bar,
    configuration_at, print,
    serve::chain,
    tenant::{Stopped, named, place, stopped},
};
use crate::{
    clock,
    json::Value,
    records::{self, Attested, Master, Means, PublicKey, TenantReport, TenantSecrets, secret},
};
use clap::builder::{PathBufValueParser, TypedValueParser};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Check the hash chains; names the first broken record of each tenant
    Verify(Verify),
    /// List recorded decisions, oldest first by tenant
    Show(audit_show::Arguments),
    /// Say that somebody has looked into a roll of chains that was lost: `verify` tells of it no more; the gateway must be
    /// stopped
    Acknowledge(Acknowledge),
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
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
    /// The public key (PEM) of `records.sign`: signed checkpoints are checked with it; may be given several times
    #[arg(long, value_name = "PUBLIC.pem")]
    key: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct Acknowledge {
    #[command(flatten)]
    config: Config,
    /// Who acknowledges, for the record
    #[arg(long, env = "USER", default_value = "cli")]
    by: String,
}

pub(super) fn run(command: &Command) -> Status {
    let verify = match command {
        Command::Verify(verify) => verify,
        Command::Show(show) => return audit_show::run(show),
        Command::Acknowledge(what) => {
            if let Err(message) = named(&what.by) {
                print::error(&message);
                return Status::Usage;
            }
            return acknowledged(what).unwrap_or_else(|message| print::failed(&message));
        }
    };
    let keys = match verify.key.iter().map(|path| key(path)).collect::<Result<Vec<_>, _>>() {
        Ok(keys) => keys,
        Err(message) => {
            print::error(&print::tame(&message));
            return Status::Usage;
        }
    };
    let dir = &verify.dir;
    let secrets = match secrets(dir, verify.config.as_deref()) {
        Ok(secrets) => secrets,
        Err(message) => return print::failed(&message),
    };
    let files = records::audit_files(dir).unwrap_or_default();
    let mut bar = Bar::over(&files);
    let means = Means { secrets: secrets.as_ref(), keys: &keys };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let verified = records::verify(dir, means, threads, &mut |bytes| bar.draw(bytes));
    bar.clear();
    let report = match verified {
        Ok(report) => report,
        Err(error) => return print::failed(&print::tame(&chain(&error))),
    };
    match verify.format {
        Format::Json => print::line(&as_json(&report).to_string()),
        Format::Text => tell(&report, means),
    }
    if report.is_whole() { Status::Fine } else { Status::Findings }
}

fn acknowledged(what: &Acknowledge) -> Result<Status, String> {
    let Stopped { place, secrets, lock, .. } = stopped(&what.config)?;
    let by = named(&what.by)?;
    let (data_dir, signer) = (place.data_dir.as_path(), place.signer.clone());
    let lost = records::acknowledge(data_dir, (by, clock::wall()), &secrets, signer, &lock)
        .map_err(|error| error.to_string())?;
    match lost {
        Some(loss) => {
            print::line(&format!("acknowledged: {}, seen at {}", loss.what, loss.seen));
            let record = data_dir.join("audit").join(records::OPERATOR);
            print::line(&format!("it is on record in {}", record.display()));
        }
        None => print::line("there is nothing to acknowledge"),
    }
    Ok(Status::Fine)
}

fn key(path: &Path) -> Result<PublicKey, String> {
    let told = |what: String| format!("`{}`: {what}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
    PublicKey::from_pem(&text).map_err(|bad| told(bad.to_string()))
}

fn secrets(dir: &Path, config: Option<&Path>) -> Result<Option<TenantSecrets>, String> {
    let data_dir = if dir.join("audit").is_dir() { dir } else { dir.parent().unwrap_or(dir) };
    let open = |master, whose| TenantSecrets::open(data_dir, master, whose).map_err(|error| chain(&error));
    if let Some(config) = config {
        let place = place(&print::sound(config)?)?;
        if let Some(secret) = place.secret {
            let given = secret::master(data_dir, Some(secret.expose().as_bytes().to_vec()));
            return open(given.map_err(|error| chain(&error))?, Master::Given).map(Some);
        }
    }
    let own = secret::existing(data_dir).map_err(|error| chain(&error))?;
    let path = data_dir.join("secret");
    match own {
        Some(_) if config.is_some() => {}
        Some(_) => print::note(&format!(
            "heads are checked with {}; chains under `records.secret` need --config",
            path.display()
        )),
        None => print::note(&format!(
            "heads are not checked: there is no {}, and no --config gives `records.secret`",
            path.display()
        )),
    }
    own.map(|master| open(master, Master::Own)).transpose()
}

fn tell(report: &records::Report, means: Means<'_>) {
    for tenant in &report.tenants {
        match &tenant.finding {
            Some(finding) => print::line(&format!("BROKEN {finding}")),
            None => {
                let signed = tenant.attested.as_ref().filter(|attested| attested.is_checked);
                let signed = signed.map(|attested| signed_text(attested, tenant)).unwrap_or_default();
                let removed = match tenant.removed {
                    0 => String::new(),
                    removed => format!(" ({removed} removed by retention)"),
                };
                let behind =
                    match print::plural(usize::try_from(tenant.unsealed).unwrap_or(usize::MAX), "record") {
                        _ if tenant.unsealed == 0 => String::new(),
                        records => format!(", {records} behind the head"),
                    };
                print::line(&format!(
                    "ok     {}: {} records{removed}{behind}{signed}",
                    tenant.tenant, tenant.records
                ));
                if tenant.left > 0 {
                    let left = print::plural(tenant.left, "file");
                    print::line(&format!(
                        "note: retention was interrupted when it removed {left} of {}: the gateway's next start goes on with it",
                        tenant.tenant
                    ));
                }
            }
        }
    }
    tell_notes(report, means);
    let broken = report.findings().count();
    print::line(&format!("{} chains, {broken} broken, {} bytes", report.tenants.len(), report.bytes));
}

/// What is no break, and worth knowing.
fn tell_notes(report: &records::Report, means: Means<'_>) {
    for records::Begun { tenant, since, .. } in &report.unfinished {
        print::line(&format!(
            "note: the erasure of {} that was begun at {} was never finished, and what is left of its records may look as if \
             they had been changed: stop the gateway and run `tollgate tenant erase {0}` again",
            print::tame(tenant),
            print::tame(since),
        ));
    }
    for stray in &report.strays {
        let stray = stray.display().to_string();
        print::line(&format!("note: {} is of no chain; it was left there", print::tame(&stray)));
    }
    for empty in report.tenants.iter().flat_map(|tenant| &tenant.empty) {
        let empty = print::tame(&empty.display().to_string());
        print::line(&format!("note: {empty} holds no record; the gateway does not go by it"));
    }
    for link in &report.links {
        print::line(&format!(
            "note: {} is a link: it is followed, but `tollgate tenant erase` refuses it",
            print::tame(&link.display().to_string())
        ));
    }
    if means.secrets.is_none() {
        print::line("note: no secret was found, so that the seals of the chains' ends were not checked");
    }
    let has_checkpoints = report.tenants.iter().any(|tenant| tenant.attested.is_some());
    if means.keys.is_empty() && has_checkpoints {
        print::line("note: there are signed checkpoints; their signatures are checked with --key PUBLIC.pem");
    }
}

/// What a signature vouches for, and what is behind it.
fn signed_text(attested: &Attested, tenant: &TenantReport) -> String {
    let behind = behind(attested, tenant);
    let behind = if behind == 0 { "all".to_owned() } else { format!("all but the last {behind}") };
    format!(", {behind} signed by {} at {} (checkpoint {})", attested.key, attested.time, attested.number)
}

/// Records behind the last checkpoint.
fn behind(attested: &Attested, tenant: &TenantReport) -> u64 {
    tenant.removed.saturating_add(tenant.records).saturating_sub(attested.records)
}

fn as_json(report: &records::Report) -> Value<'static> {
    let tenants = report
        .tenants
        .iter()
        .map(|tenant| {
            let finding = tenant.finding.as_ref();
            let place = finding.and_then(|finding| finding.place.as_ref());
            let place = place.map(|(path, line)| Value::string(format!("{}:{line}", path.display())));
            let row = Value::object([
                ("tenant", Value::string(tenant.tenant.clone())),
                ("records", Value::integer(tenant.records)),
                ("last", Value::string(tenant.last.as_str().to_owned())),
                ("behind_head", Value::integer(tenant.unsealed)),
                ("ok", Value::Bool(finding.is_none())),
                ("finding", finding.map_or(Value::Null, |finding| Value::string(finding.fault.to_string()))),
                ("at", place.unwrap_or(Value::Null)),
                (
                    "signed",
                    tenant.attested.as_ref().map_or(Value::Null, |signed| signed_json(signed, tenant)),
                ),
            ]);
            with_unfinished(row, tenant, report)
        })
        .collect();
    Value::Array(tenants)
}

/// The operator's chain tells which erasures were begun and never finished.
fn with_unfinished(
    mut row: Value<'static>,
    tenant: &TenantReport,
    report: &records::Report,
) -> Value<'static> {
    if tenant.tenant == records::OPERATOR {
        let names = report.unfinished.iter().map(|begun| Value::string(begun.tenant.clone()));
        row.set("unfinished_erasures", Value::Array(names.collect()));
    }
    row
}

fn signed_json(attested: &Attested, tenant: &TenantReport) -> Value<'static> {
    Value::object([
        ("checkpoint", Value::integer(attested.number)),
        ("records", Value::integer(attested.records)),
        ("behind", Value::integer(behind(attested, tenant))),
        ("time", Value::string(attested.time.clone())),
        ("key", Value::string(attested.key.to_string())),
        ("checked", Value::Bool(attested.is_checked)),
    ])
}

//! `tollgate tenant erase`: takes away all that was recorded of a tenant, and the secret that its tokens were made with.

use super::{Config, Format, Status, print, serve::chain};
use crate::{
    clock,
    config::{Loaded, compile},
    json::Value,
    ledger,
    names::TenantId,
    records::{self, DataDirLock, Destroyed, Erasure, Holdings, Master, OpenError, TenantSecrets, secret},
    stored,
};
use std::{
    io::{IsTerminal, Write},
    path::Path,
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Erase what was recorded of a tenant, and the secret of its tokens; the gateway must be stopped
    Erase(Erase),
}

#[derive(Debug, clap::Args)]
pub(super) struct Erase {
    /// The tenant; it need not be configured any more
    name: String,
    #[command(flatten)]
    config: Config,
    /// Who erases, for the record
    #[arg(long, env = "USER", default_value = "cli")]
    by: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(command: &Command) -> Status {
    let Command::Erase(erase) = command;
    if let Err(bad) = TenantId::try_from(erase.name.as_str()) {
        print::error(&format!("the tenant's name {bad}"));
        return Status::Usage;
    }
    if !erase.yes && !std::io::stdin().is_terminal() {
        print::error("nobody is there to ask: say `--yes` if all records of the tenant are to go");
        return Status::Usage;
    }
    if let Err(message) = named(&erase.by) {
        print::error(&message);
        return Status::Usage;
    }
    match erased(erase) {
        Ok(status) => status,
        Err(message) => print::failed(&message),
    }
}

/// Longest name of who does something.
const BY_BYTES_MAX: usize = 256;

/// Who does it, as it can stand on record.
pub(super) fn named(by: &str) -> Result<&str, String> {
    let by = by.trim();
    if by.len() > BY_BYTES_MAX || by.chars().any(char::is_control) {
        return Err(format!("`--by` takes a name of up to {BY_BYTES_MAX} bytes, without control characters"));
    }
    Ok(if by.is_empty() { "cli" } else { by })
}

/// The secrets of the tenants of a data directory, under the master secret that a configuration gives or that is there.
pub(super) fn secrets(place: &compile::RecordsPlace) -> Result<TenantSecrets, String> {
    let given = place.secret.as_ref().map(|secret| secret.expose().as_bytes().to_vec());
    let whose = if given.is_some() { Master::Given } else { Master::Own };
    let master = secret::master(&place.data_dir, given).map_err(|error| chain(&error))?;
    TenantSecrets::open(&place.data_dir, master, whose).map_err(|error| chain(&error))
}

/// Where the records of a gateway are that does not run, with all that is needed to add to them.
pub(super) struct Stopped {
    pub(super) loaded: Loaded,
    pub(super) place: compile::RecordsPlace,
    pub(super) secrets: TenantSecrets,
    pub(super) lock: DataDirLock,
}

/// Where the records of a configuration are, and the secret that it gives. One that is given and cannot be read here is none
/// to go on without: another one would be used in its place.
pub(super) fn place(loaded: &Loaded) -> Result<compile::RecordsPlace, String> {
    let place = compile::records_place(loaded, &|name| std::env::var(name).ok());
    let records = loaded.gateway.as_ref().and_then(|gateway| gateway.records.as_ref());
    if records.is_some_and(|records| records.secret.is_some()) && place.secret.is_none() {
        return Err(
            "`records.secret` cannot be read here: the records could not be told from forged ones".into()
        );
    }
    Ok(place)
}

/// Takes the place of a gateway that does not run.
pub(super) fn stopped(config: &Config) -> Result<Stopped, String> {
    let loaded = print::sound(&config.config)?;
    let place = place(&loaded)?;
    let records = loaded.gateway.as_ref().and_then(|gateway| gateway.records.as_ref());
    if records.is_some_and(|records| records.sign.is_some()) && place.signer.is_none() {
        return Err(
            "`records.sign` cannot be read here, or is no Ed25519 key: the proof could not be signed".into(),
        );
    }
    let data_dir = place.data_dir.as_path();
    if !data_dir.is_dir() {
        return Err(format!("there is no data_dir `{}`", data_dir.display()));
    }
    let lock = DataDirLock::take(data_dir).map_err(|error| match error {
        OpenError::InUse { path } => {
            format!("a gateway runs on {}: stop it first, since it would go on recording", path.display())
        }
        other => other.to_string(),
    })?;
    let secrets = secrets(&place)?;
    Ok(Stopped { loaded, place, secrets, lock })
}

fn erased(erase: &Erase) -> Result<Status, String> {
    let Stopped { loaded, place, secrets, lock } = stopped(&erase.config)?;
    let data_dir = place.data_dir.as_path();
    let tenant = erase.name.as_str();
    refuse_links(data_dir, tenant)?;
    let held = records::holdings(data_dir, tenant, &secrets)
        .map_err(|error| format!("the records of `{tenant}` cannot be read: {error}"))?;
    let stored = stored::count(data_dir, tenant).map_err(|error| error.to_string())?;
    let used = ledger::count(data_dir, tenant).map_err(|error| error.to_string())?;
    if held.is_empty() && stored == 0 && used == 0 {
        return Err(format!("{} holds nothing of a tenant `{tenant}`", data_dir.display()));
    }
    if !erase.yes && !says_yes(tenant, &held, stored) {
        return Err("nothing was erased".into());
    }
    let by = named(&erase.by)?;
    let erasure = Erasure::begin(data_dir, (tenant, by), &secrets, place.signer.clone(), &lock)
        .map_err(|error| error.to_string())?;
    let others = || {
        ledger::erase(data_dir, tenant).map_err(|error| error.to_string())?;
        stored::erase(data_dir, tenant).map_err(|error| error.to_string())
    };
    let (destroyed, stored) = erasure.run(clock::wall(), &held, others).map_err(|error| error.to_string())?;
    let is_configured = loaded.tenants.iter().any(|known| known.tenant.value == tenant);
    match erase.format {
        Format::Json => print::line(&as_json(tenant, &held, stored, destroyed).to_string()),
        Format::Text => tell(data_dir, tenant, (&held, stored), destroyed, is_configured),
    }
    Ok(Status::Fine)
}

/// Of a link, only the link would go.
fn refuse_links(data_dir: &Path, tenant: &str) -> Result<(), String> {
    let told = |error| format!("what {} holds of `{tenant}` cannot be listed: {error}", data_dir.display());
    match records::links(data_dir, tenant).map_err(told)?.first() {
        None => Ok(()),
        Some(link) => Err(format!(
            "{} is a link, and what it leads to would stay: nothing was erased. Put what it leads to in its place, then run \
             the command again",
            link.display()
        )),
    }
}

fn says_yes(tenant: &str, held: &Holdings, stored: u64) -> bool {
    let mut stderr = std::io::stderr().lock();
    drop(write!(stderr, "Erase {} of `{tenant}`, for good? [y/N] ", amounts(held, stored)));
    drop(stderr.flush());
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn amounts(held: &Holdings, stored: u64) -> String {
    format!(
        "{} audit records, {} of logs, {stored} stored ids and what it used",
        held.audit_records,
        print::plural(held.log_files, "day")
    )
}

fn tell(
    data_dir: &Path,
    tenant: &str,
    (held, stored): (&Holdings, u64),
    destroyed: Destroyed,
    is_configured: bool,
) {
    print::line(&format!("erased `{tenant}`: {}", amounts(held, stored)));
    if let Some(begun) = &held.begun {
        print::line(&format!(
            "note: this finished the erasure that was begun at {}; what there was before, its record says",
            begun.since
        ));
    } else if !held.is_whole {
        print::line("note: its audit chain was not whole before; the proof says so");
    }
    match destroyed {
        Destroyed::Forever => {
            print::line("its secret is destroyed: nobody can link its tokens to values any more");
        }
        Destroyed::Replaced => print::line(
            "note: its secret was derived from the master secret alone. A new one is used from now on, but whoever has the\n\
             master secret can still test what an old token stood for: replace it where that matters\n\
             (docs/records.md, \"Another `records.secret`\"). Gateways that share it must erase the tenant too, so that they go on\n\
             making the same tokens",
        ),
    }
    let proof = data_dir.join("audit").join(records::OPERATOR);
    print::line(&format!("the proof is in {} (`tollgate audit verify`)", proof.display()));
    if is_configured {
        print::line("note: it is still configured; it starts anew with the next request");
    }
}

fn as_json(tenant: &str, held: &Holdings, stored: u64, destroyed: Destroyed) -> Value<'static> {
    let files = u64::try_from(held.log_files).unwrap_or(u64::MAX);
    Value::object([
        ("tenant", Value::string(tenant.to_owned())),
        ("audit_records", Value::integer(held.audit_records)),
        ("audit_whole", Value::Bool(held.is_whole)),
        ("log_files", Value::integer(files)),
        ("stored_entries", Value::integer(stored)),
        ("secret_destroyed", Value::Bool(destroyed == Destroyed::Forever)),
    ])
}

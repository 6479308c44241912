//! `tollgate redact`: each line of stdin, redacted; nothing else on stdout.

use super::{CONFIGURATION, Status, configuration_at, print, tenant};
use crate::{
    clock,
    config::{self, compile},
    json::{self, Value},
    records::DataDirLock,
    redact::{Detectors, Redactor, TenantSecret},
};
use clap::builder::{PathBufValueParser, TypedValueParser};
use dashmap::DashMap;
use std::{
    io::{BufRead, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration: a `tollgate.yaml`, or the directory that it is in [default: config/tollgate.yaml]
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        value_parser = PathBufValueParser::new().map(configuration_at)
    )]
    config: Option<PathBuf>,
    /// With this tenant's detectors, patterns and secret
    #[arg(long, short)]
    tenant: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let config = arguments.config.as_deref();
    let redactor = match &arguments.tenant {
        None => of_nobody(config),
        Some(tenant) => of_tenant(config.unwrap_or_else(|| Path::new(CONFIGURATION)), tenant),
    };
    match redactor {
        Ok(redactor) => filter(&redactor),
        Err(message) => print::failed(&message),
    }
}

/// With every detector, and a secret that nobody has. A configuration that is named must load all the same: whoever names one
/// counts on it.
fn of_nobody(config: Option<&Path>) -> Result<Arc<Redactor>, String> {
    config.map_or(Ok(()), |config| print::sound(config).map(drop))?;
    let secret = TenantSecret::derive(&random_secret()?, "redact");
    Ok(Arc::new(Redactor::new(secret, Detectors::all(), Vec::new())))
}

fn random_secret() -> Result<[u8; 32], String> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(secret)
}

fn of_tenant(config: &Path, tenant: &str) -> Result<Arc<Redactor>, String> {
    // Before a secret is made, in what may not be the data directory.
    let loaded = print::sound(config)?;
    if !loaded.tenants.iter().any(|known| known.tenant.value == tenant) {
        return Err(format!("there is no tenant `{tenant}`"));
    }
    let env = |name: &str| std::env::var(name).ok();
    let place = tenant::place(&loaded)?;
    let secrets = tenant::secrets(&place)?;
    let (quotas, now) = (DashMap::new(), clock::unix_seconds(clock::wall()));
    let context = compile::Context { env: &env, secrets: &secrets, quotas: &quotas, before: None, now };
    let (compiled, problems) = compile::compile(&loaded, &context);
    let Some(compiled) = compiled else {
        let text = config::to_text(&problems, &loaded.files, config::Colour::Plain);
        return Err(format!("the configuration does not load\n{text}"));
    };
    if secrets.is_fresh() {
        // A running gateway knows the secrets of its tenants: others could not be kept beside it.
        let lock = DataDirLock::take(&place.data_dir).map_err(|_| {
            "a gateway runs that does not know all tenants of this configuration yet: reload it".to_owned()
        })?;
        secrets.save(&lock).map_err(|error| error.to_string())?;
    }
    let member = compiled.snapshot.directory.find(tenant);
    let member = member.ok_or_else(|| format!("there is no tenant `{tenant}`"))?;
    Ok(Arc::clone(&member.tenant().journal.redactor))
}

fn filter(redactor: &Redactor) -> Status {
    let mut stdin = std::io::stdin().lock();
    let mut stdout = BufWriter::new(std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        match stdin.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return print::failed(&format!("stdin cannot be read: {}", error.kind())),
        }
        let ended = line.last() == Some(&b'\n');
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        let (text, carriage) = text.strip_suffix('\r').map_or((&*text, ""), |text| (text, "\r"));
        // A line that is a number is JSON, and stays it. As a part of a text it would be none.
        let number = matches!(json::parse(text.trim().as_bytes(), 1), Ok(Value::Number(_)));
        let redacted = if number { redactor.json(text) } else { None };
        let redacted = redacted.unwrap_or_else(|| redactor.line(text));
        let end = if ended { "\n" } else { "" };
        if write!(stdout, "{}{carriage}{end}", redacted.as_str()).is_err() {
            break;
        }
    }
    if stdout.flush().is_err() { Status::Findings } else { Status::Fine }
}

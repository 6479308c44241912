//! `tollgate key new`: a key, shown once, and the YAML that knows only its digest.

use super::{Format, Status, print};
use crate::{
    json::Value,
    names::{KeyId, TenantId},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key: it is printed once, its SHA-256 goes into the tenant's file
    New {
        #[arg(long, short)]
        tenant: String,
        /// The key's public id
        #[arg(long, default_value = "default")]
        id: String,
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
}

pub(super) fn run(command: &Command) -> Status {
    let Command::New { tenant, id, format } = command;
    if let Err(bad) = TenantId::try_from(tenant.as_str()) {
        print::error(&format!("the tenant's name {bad}"));
        return Status::Usage;
    }
    if let Err(bad) = KeyId::try_from(id.as_str()) {
        print::error(&format!("the key's id {bad}"));
        return Status::Usage;
    }
    let Some(key) = new_key() else { return print::failed("the system gives no random numbers") };
    let sha256 = sha256_hex(&key);
    match format {
        Format::Json => {
            let value = Value::object([
                ("tenant", Value::string(tenant.as_str())),
                ("id", Value::string(id.as_str())),
                ("key", Value::string(key.as_str())),
                ("sha256", Value::string(sha256.as_str())),
            ]);
            print::line(&value.to_string());
        }
        Format::Text => {
            print::line(&format!("key (shown once): {key}"));
            print::line(&format!(
                "\n# config/tenants/{tenant}.yaml\nkeys:\n  - {{ id: {id}, sha256: {sha256} }}"
            ));
        }
    }
    Status::Fine
}

/// `tg-` and 43 characters of base64url: 256 bits.
pub(super) fn new_key() -> Option<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("tg-{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// The digest as tenants' files hold it.
pub(super) fn sha256_hex(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_and_long() {
        assert_eq!(new_key().unwrap().len(), 46);
        assert_ne!(new_key(), new_key());
    }
}

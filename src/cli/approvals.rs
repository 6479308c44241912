//! `tollgate approvals`: calls that wait for a person, listed and decided at the gateway that runs with this
//! configuration.

use super::{Config, Format, Status, admin_client::AdminClient, print, serve::runtime};
use crate::{
    config::{self, compile},
    json::Value,
    names::TenantId,
    records::secret,
};
use http::Method;
use std::path::Path;

/// The options may stand before and after the subcommand's name.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Config,
    /// Only this tenant's calls
    #[arg(long, short, global = true)]
    tenant: Option<String>,
    #[arg(long, value_enum, default_value = "text", global = true)]
    format: Format,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the calls that wait; so does no subcommand at all
    List,
    /// Let one call through, once
    Approve(Decide),
    /// Deny one call
    Deny(Decide),
    /// Print the secret by which a tenant's receivers check the webhook's signature
    Secret,
}

#[derive(Debug, clap::Args)]
struct Decide {
    /// The call's id, as it is listed
    id: String,
    /// Who decides, for the audit trail
    #[arg(long, env = "USER", default_value = NOBODY_NAMED)]
    by: String,
}

/// Who decides where neither `--by` nor the environment names anybody.
const NOBODY_NAMED: &str = "cli";

pub(super) fn run(arguments: &Arguments) -> Status {
    if let Some(tenant) = &arguments.tenant
        && let Err(bad) = TenantId::try_from(tenant.as_str())
    {
        print::error(&format!("the tenant's name {bad}"));
        return Status::Usage;
    }
    match &arguments.command {
        None | Some(Command::List) => list(arguments),
        Some(Command::Approve(decided)) => decide(arguments, decided, true),
        Some(Command::Deny(decided)) => decide(arguments, decided, false),
        Some(Command::Secret) => webhook_secret(arguments),
    }
}

/// The calls that wait, of one tenant where one is named.
fn waiting(arguments: &Arguments) -> Result<Value<'static>, String> {
    let query = arguments.tenant.as_ref().map(|tenant| format!("?tenant={tenant}")).unwrap_or_default();
    call(&arguments.config.config, &Method::GET, &format!("/admin/approvals{query}"), String::new())
}

fn list(arguments: &Arguments) -> Status {
    let told = match waiting(arguments) {
        Ok(told) => told,
        Err(message) => return print::failed(&message),
    };
    match arguments.format {
        Format::Json => print::line(&told.to_string()),
        Format::Text => {
            for call in told.items().unwrap_or_default() {
                print::line(&in_words(call));
            }
            if told.items().is_none_or(<[_]>::is_empty) {
                print::line("no call waits for a person");
            }
        }
    }
    Status::Fine
}

/// A waiting call, for people.
fn in_words(call: &Value<'_>) -> String {
    let text = |key: &str| print::tame(call.get(key).and_then(Value::as_str).unwrap_or_default());
    let args = print::tame(&call.get("args").map(ToString::to_string).unwrap_or_default());
    let reason = match text("reason") {
        reason if reason.is_empty() => reason,
        reason => format!("\n  {reason}"),
    };
    let (id, tool, tenant, key, rule) = (text("id"), text("tool"), text("tenant"), text("key"), text("rule"));
    format!("{id}\n  {tool} {args}\n  {tenant}, key {key}, by {rule}, until {}{reason}", text("expires"))
}

fn decide(arguments: &Arguments, Decide { id, by }: &Decide, approve: bool) -> Status {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if id.is_empty() || !id.bytes().all(is_word) {
        print::error("not an id; `tollgate approvals` lists them");
        return Status::Usage;
    }
    if let Some(tenant) = &arguments.tenant {
        let is_it = |call: &Value<'_>| call.get("id").and_then(Value::as_str) == Some(id);
        match waiting(arguments) {
            Err(message) => return print::failed(&message),
            Ok(told) if !told.items().unwrap_or_default().iter().any(is_it) => {
                return print::failed(&format!("no call of `{tenant}` waits under this id"));
            }
            Ok(_) => {}
        }
    }
    let by = if by.trim().is_empty() { NOBODY_NAMED } else { by.as_str() };
    let body = Value::object([("approve", Value::Bool(approve)), ("by", Value::string(by.to_owned()))]);
    let path = format!("/admin/approvals/{id}");
    match (call(&arguments.config.config, &Method::POST, &path, body.to_string()), arguments.format) {
        (Err(message), _) => print::failed(&message),
        (Ok(told), Format::Json) => {
            print::line(&told.to_string());
            Status::Fine
        }
        (Ok(told), Format::Text) => {
            let word = if approve { "approved" } else { "denied" };
            let text = |key: &str| print::tame(told.get(key).and_then(Value::as_str).unwrap_or_default());
            print::line(&format!("{word} {} of {} by {}", text("tool"), text("tenant"), text("by")));
            Status::Fine
        }
    }
}

/// What the admin port answers. The error is for people.
fn call(config: &Path, method: &Method, path: &str, body: String) -> Result<Value<'static>, String> {
    let client = AdminClient::of_config(config)?;
    let runtime = runtime().map_err(|error| format!("the system gives no threads: {error}"))?;
    runtime.block_on(client.call(method, path, body))
}

fn webhook_secret(arguments: &Arguments) -> Status {
    let Some(tenant) = arguments.tenant.as_deref() else {
        print::error("whose secret? Name the tenant with `--tenant NAME`");
        return Status::Usage;
    };
    let loaded = config::load(&arguments.config.config);
    if !loaded.tenants.iter().any(|known| known.tenant.value == tenant) {
        let names = loaded.tenants.iter().map(|known| known.tenant.value.as_str());
        let near = config::nearest(tenant, names).map(|near| format!("; did you mean `{near}`?"));
        return print::failed(&format!("there is no tenant `{tenant}`{}", near.unwrap_or_default()));
    }
    let place = compile::records_place(&loaded, &|name| std::env::var(name).ok());
    let given = place.secret.map(|secret| secret.expose().as_bytes().to_vec());
    match secret::master(&place.data_dir, given) {
        Ok(master) => {
            print::line(&compile::webhook_secret(&master, tenant));
            Status::Fine
        }
        Err(error) => print::failed(&error.to_string()),
    }
}

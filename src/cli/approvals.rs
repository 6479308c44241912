//! `tollgate approvals`: calls that wait for a person, listed and decided at the gateway that runs with this
//! configuration.

use super::{Config, Format, Status, print, serve::runtime};
use crate::{
    config::{self, compile},
    json::{self, Value},
    names::TenantId,
    records::secret,
    upstream::http1::{Client, Origin, Outgoing, Timeouts},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

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

/// The gateway runs on this machine, or near: longer than this it does not take.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    total: None,
};
const ANSWER_BYTES_MAX: usize = 64 << 20;

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
    let loaded = config::load(config);
    let env = |name: &str| std::env::var(name).ok();
    if loaded.gateway.is_none() {
        return Err(format!("{} does not load; `tollgate check` says why", config.display()));
    }
    let place = compile::admin_place(&loaded, &env).map_err(|missing| format!("`admin_token`: {missing}"))?;
    let address = reachable(place.address);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(token) = place.token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| "`admin_token` holds characters that a header cannot carry".to_owned())?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let (origin, _) = Origin::parse(&format!("http://{address}")).map_err(|bad| bad.to_string())?;
    let client = Client::new(origin, TIMEOUTS, None);
    let outgoing = Outgoing { method, path, headers: &headers, body: Bytes::from(body) };
    let runtime = runtime().map_err(|error| format!("the system gives no threads: {error}"))?;
    let (status, body) = runtime.block_on(async {
        let answer = client.send(outgoing).await.map_err(|_| {
            format!(
                "no gateway answers at http://{address}; is `tollgate serve` running with {}?",
                config.display()
            )
        })?;
        let body = answer.body.collect(ANSWER_BYTES_MAX).await;
        let body = body.map_err(|_| format!("the answer of http://{address} broke off"))?;
        Ok::<_, String>((answer.status, body))
    })?;
    let told = json::parse(&body, json::NESTING_MAX).map(Value::into_owned).unwrap_or_default();
    if status == StatusCode::OK {
        return Ok(told);
    }
    let message = told.get("error").and_then(|error| error.get("message")).and_then(Value::as_str);
    Err(message.map_or_else(|| format!("the gateway answered with {status}"), ToOwned::to_owned))
}

/// Where an address is reached that is listened on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    SocketAddr::new(ip, address.port())
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

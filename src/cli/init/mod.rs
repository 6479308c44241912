//! `tollgate init`: a configuration to start from, written by asking nothing.

use super::{Status, key, print};
use crate::{
    config::{self, openapi},
    names::TenantId,
    upstream::http1::Origin,
};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

const GATEWAY: &str = include_str!("tollgate.yaml");
const TENANT: &str = include_str!("tenant.yaml");
const TESTS: &str = include_str!("tenant.test.yaml");

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The directory that is filled; nothing in it is overwritten
    #[arg(default_value = "config")]
    directory: PathBuf,
    /// The first tenant
    #[arg(long, short, default_value = "acme")]
    tenant: String,
    /// Where its calls go: `openai`, `anthropic`, or the URL of anything that speaks OpenAI's API
    #[arg(long, short, default_value = "openai")]
    upstream: String,
    /// An OpenAPI 3 description, JSON or YAML: its operations are declared as those of a tool API. Where the directory is
    /// filled already, they are printed
    #[arg(long, value_name = "FILE")]
    openapi: Option<PathBuf>,
}

/// A larger description is not read.
const OPENAPI_BYTES_MAX: u64 = 32 << 20;

/// An upstream to start with.
struct Upstream {
    name: &'static str,
    kind: &'static str,
    url: String,
    /// What follows the URL.
    auth: &'static str,
    /// The variable that holds its credential.
    variable: Option<&'static str>,
    /// A model that it has, or a glob of all.
    model: &'static str,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    if let Err(bad) = TenantId::try_from(arguments.tenant.as_str()) {
        print::error(&format!("the tenant's name {bad}"));
        return Status::Usage;
    }
    let Some(upstream) = upstream(&arguments.upstream) else {
        print::error("--upstream is `openai`, `anthropic` or a URL such as http://127.0.0.1:11434/v1");
        return Status::Usage;
    };
    let api = match arguments.openapi.as_deref().map(described).transpose() {
        Ok(api) => api,
        Err(message) => return print::failed(&message),
    };
    if let Some(entry) = api.as_deref().filter(|_| arguments.directory.join("tollgate.yaml").exists()) {
        print::line("# below `upstreams` in tollgate.yaml:");
        print::line(entry.trim_end());
        return Status::Fine;
    }
    let Some(secret) = key::new_key() else { return print::failed("the system gives no random numbers") };
    let mut files = files(&arguments.directory, &arguments.tenant, &upstream, &key::sha256_hex(&secret));
    if let (Some(entry), Some((_, text))) = (&api, files.first_mut()) {
        *text = text.replace("\n\nmodels:", &format!("\n{entry}\nmodels:"));
    }
    match write(&files) {
        Ok(()) => {
            tell(arguments, &upstream, &files, &secret);
            Status::Fine
        }
        Err(message) => print::failed(&message),
    }
}

/// The entry of an API that is described in a file. What cannot be expressed is told on stderr.
fn described(path: &Path) -> Result<String, String> {
    let place = path.display();
    let unreadable = |error: io::Error| format!("{place} cannot be read: {}", config::why_unread(&error));
    if fs::metadata(path).map_err(unreadable)?.len() > OPENAPI_BYTES_MAX {
        return Err(format!("{place} is larger than a description is"));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let imported =
        openapi::import(&text).map_err(|why| format!("{place} is no OpenAPI description: {why}"))?;
    for skipped in &imported.skipped {
        print::note(&format!("left out: {skipped}"));
    }
    if imported.operations.is_empty() {
        return Err(format!("{place} has no operation that can be expressed"));
    }
    let url = imported.url.as_deref().unwrap_or("http://localhost:8080/api");
    let mut entry = format!("  {}:\n    kind: http\n    url: \"{url}\"\n    operations:\n", imported.name);
    for (name, written) in &imported.operations {
        entry.push_str(&format!("      {name}: \"{written}\"\n"));
    }
    Ok(entry)
}

fn upstream(wanted: &str) -> Option<Upstream> {
    match wanted {
        "openai" => Some(Upstream {
            name: "openai",
            kind: "openai",
            url: "https://api.openai.com/v1".to_owned(),
            auth: ", auth: { bearer: { env: OPENAI_API_KEY } }",
            variable: Some("OPENAI_API_KEY"),
            model: "gpt-*",
        }),
        "anthropic" => Some(Upstream {
            name: "anthropic",
            kind: "anthropic",
            url: "https://api.anthropic.com/v1".to_owned(),
            auth: ", auth: { header: { name: x-api-key, value: { env: ANTHROPIC_API_KEY } } }",
            variable: Some("ANTHROPIC_API_KEY"),
            model: "claude-*",
        }),
        url => {
            Origin::parse(url).ok()?;
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/%[]".contains(c);
            let url = url.chars().all(plain).then(|| url.to_owned())?;
            Some(Upstream { name: "local", kind: "openai", url, auth: "", variable: None, model: "*" })
        }
    }
}

/// What is written, and where.
fn files(directory: &Path, tenant: &str, upstream: &Upstream, sha256: &str) -> Vec<(PathBuf, String)> {
    // Beside a directory `config`, and inside any other.
    let data = if directory.ends_with("config") { "../data" } else { "data" };
    let fill = |text: &str| {
        text.replace("{{tenant}}", tenant)
            .replace("{{sha256}}", sha256)
            .replace("{{upstream}}", upstream.name)
            .replace("{{kind}}", upstream.kind)
            .replace("{{url}}", &upstream.url)
            .replace("{{auth}}", upstream.auth)
            .replace("{{data}}", &format!("{data:<24}"))
            .replace("{{model}}", upstream.model)
            .replace("{{a_model}}", &upstream.model.replace('*', "x"))
    };
    let tenants = directory.join("tenants");
    vec![
        (directory.join("tollgate.yaml"), fill(GATEWAY)),
        (tenants.join(format!("{tenant}.yaml")), fill(TENANT)),
        (tenants.join(format!("{tenant}.test.yaml")), fill(TESTS)),
        (directory.join("schema.json"), format!("{:#}\n", config::schema())),
    ]
}

/// Writes all files, or none: what exists is left as it is.
fn write(files: &[(PathBuf, String)]) -> Result<(), String> {
    let there: Vec<String> =
        files.iter().filter(|(path, _)| path.exists()).map(|(path, _)| path.display().to_string()).collect();
    if !there.is_empty() {
        return Err(format!("{} exists already; name another directory, or remove it", there.join(", ")));
    }
    for (path, text) in files {
        create(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    Ok(())
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

fn tell(arguments: &Arguments, upstream: &Upstream, files: &[(PathBuf, String)], secret: &str) {
    for (path, _) in files {
        print::line(&format!("wrote {}", path.display()));
    }
    let config = arguments.directory.join("tollgate.yaml");
    let config = match config.to_string_lossy().as_ref() {
        "config/tollgate.yaml" => String::new(),
        path => format!(" --config {path}"),
    };
    print::line(&format!("\nThe key of {}, shown once: {secret}\n", arguments.tenant));
    if let Some(variable) = upstream.variable {
        print::line(&format!("  export {variable}=…            # the provider's own key"));
    }
    print::line(&format!("  tollgate check{config}"));
    print::line(&format!("  tollgate serve{config}"));
    print::line("\nIn another terminal:\n");
    print::line("  export OPENAI_BASE_URL=http://127.0.0.1:8080/v1 ANTHROPIC_BASE_URL=http://127.0.0.1:8080");
    print::line(&format!("  export OPENAI_API_KEY={secret} ANTHROPIC_API_KEY={secret}"));
}

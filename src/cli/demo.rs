//! `tollgate demo`: a mock LLM and MCP server, a gateway and two tenants, with nothing else needed, and lines to paste.

use super::{
    Status, key, print,
    serve::{Running, runtime},
    signals::told_to_end,
};
use std::{io, net::SocketAddr, path::Path};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where agents connect to; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the admin API listens
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
}

/// The demo's tenants, as their files stand in the repository.
const TENANTS: [(&str, &str); 2] = [
    ("acme", include_str!("../../config/demo/acme.yaml")),
    ("globex", include_str!("../../config/demo/globex.yaml")),
];

pub(super) fn run(arguments: &Arguments) -> Status {
    let Ok(runtime) = runtime() else { return print::failed("the system gives no threads") };
    runtime.block_on(async {
        match demo(arguments).await {
            Ok(()) => Status::Fine,
            Err(message) => print::failed(message.trim_end()),
        }
    })
}

async fn demo(arguments: &Arguments) -> Result<(), String> {
    let dir = std::env::temp_dir().join(format!("tollgate-demo-{}", uuid::Uuid::now_v7().simple()));
    let mock = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let mock_address = mock.local_addr().map_err(|error| error.to_string())?;
    tokio::spawn(crate::mock::serve(mock, std::future::pending()));
    let mut keys = Vec::new();
    for _ in TENANTS {
        keys.push(key::new_key().ok_or("the system gives no random numbers")?);
    }
    write_files(&dir, arguments, mock_address, &keys)
        .map_err(|error| format!("cannot write {}: {error}", dir.display()))?;
    let running = Running::start(&dir.join("tollgate.yaml"), false, None).await?;
    let url = running.urls.first().ok_or("the gateway listens nowhere")?;
    print::text(&welcome(url, &running.admin_url, &keys, &dir));
    told_to_end().await;
    running.drain(&tokio_util::sync::CancellationToken::new()).await;
    // What the demo wrote is the demo's: keys that nobody has any more, records of a mock.
    drop(std::fs::remove_dir_all(&dir));
    Ok(())
}

fn write_files(dir: &Path, arguments: &Arguments, mock: SocketAddr, keys: &[String]) -> io::Result<()> {
    let tenants = dir.join("tenants");
    std::fs::create_dir_all(&tenants)?;
    for ((name, yaml), key) in TENANTS.iter().zip(keys) {
        std::fs::write(
            tenants.join(format!("{name}.yaml")),
            yaml.replace("@SHA256@", &key::sha256_hex(key)),
        )?;
    }
    let yaml = include_str!("../../config/demo/tollgate.yaml")
        .replace("@LISTEN@", &arguments.listen.to_string())
        .replace("@ADMIN@", &arguments.admin.to_string())
        .replace("@MOCK@", &mock.to_string());
    std::fs::write(dir.join("tollgate.yaml"), yaml)
}

fn welcome(url: &str, admin: &str, keys: &[String], dir: &Path) -> String {
    let [acme, globex] = [keys.first(), keys.get(1)].map(|key| key.map_or("", String::as_str));
    let body = |prompt: &str, tool: &str| {
        format!(
            r#"{{"model":"gpt-5","messages":[{{"role":"user","content":"{prompt}"}}],"tools":[{{"type":"function","function":{{"name":"{tool}","parameters":{{"type":"object","properties":{{"city":{{"type":"string"}}}}}}}}}}]}}"#
        )
    };
    let curl = format!(
        "curl -s {url}/v1/chat/completions -H 'Authorization: Bearer {acme}' -H 'Content-Type: application/json' -d"
    );
    let tool = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm__create_ticket","arguments":{"title":"hi"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let mcp = format!(
        "curl -s {url}/mcp -H 'Authorization: Bearer {acme}' -H 'Content-Type: application/json' -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/call' -H 'Mcp-Name: crm__create_ticket' -d"
    );
    let dir = dir.display();
    let allowed = body("Please call get_weather for Vienna", "get_weather");
    let denied = body("!call delete_ticket", "get_weather");
    format!(
        "Tollgate demo: a mock LLM behind the gateway, two tenants. Ctrl-C ends it.

export OPENAI_BASE_URL={url}/v1
export OPENAI_API_KEY={globex}   # tenant globex: gpt-5-mini, 3 requests a minute
export OPENAI_API_KEY={acme}   # tenant acme: gpt-5 and gpt-5-mini

Three lines to paste: a tool call that is allowed, one that is denied, requests that are limited.

{curl} '{allowed}'; echo
{curl} '{denied}'; echo
for i in 1 2 3 4; do curl -s -o /dev/null -w '%{{http_code}}\\n' {url}/v1/models -H 'Authorization: Bearer {globex}'; done

MCP clients connect to {url}/mcp with the same keys; a call without one:
  {mcp} '{tool}'; echo

What was decided and logged, redacted: {dir}/data/audit and {dir}/data/log
The page, with what became of each call and why: {admin}/
Metrics: {admin}/metrics
"
    )
}

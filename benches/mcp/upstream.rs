//! The upstream: twenty MCP servers of fifty tools each, all the same, and a model that chats.

use std::io::Result;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::texts::Answers;
use crate::wire::receive;

/// How many there are, and of how many tools each.
pub(crate) const SERVERS: usize = 20;
pub(crate) const TOOLS: usize = 50;
/// What a call is answered with.
const TEXT: &str = "The carpenter delivered the oak table before the shop opened, and wrote a short note. The customer asked \
                    about a set of chairs because the colour was wrong. Our supplier repaired the old cabinet without trouble.";

/// What is answered, baked once.
struct Baked {
    chat: Vec<u8>,
    tools: String,
}

/// Serves from now on, in tasks of its own; returns its port.
pub(crate) async fn start() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let tools: Vec<String> = (0..TOOLS).map(tool).collect();
    let baked = Arc::new(Baked { chat: Answers::bake().chat, tools: tools.join(",") });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let baked = Arc::clone(&baked);
            // A gateway that leaves ends its connection's task.
            tokio::spawn(async move { baked.serve(stream).await.ok() });
        }
    });
    Ok(port)
}

/// A definition of a usual size.
fn tool(number: usize) -> String {
    let property = |name: &str, kind: &str| {
        format!(
            r#""{name}":{{"type":"{kind}","description":"The {name} of what is looked for, as the shop writes it"}}"#
        )
    };
    let properties =
        [("reference", "string"), ("customer", "string"), ("limit", "integer"), ("with_lines", "boolean")]
            .map(|(name, kind)| property(name, kind))
            .join(",");
    format!(
        r#"{{"name":"find_{number:02}","title":"Find","description":"Looks orders up by their reference, newest first; use it before you answer anything about an order","inputSchema":{{"type":"object","properties":{{{properties}}},"required":["reference"]}},"annotations":{{"readOnlyHint":true}}}}"#
    )
}

impl Baked {
    async fn serve(&self, mut stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let (mut buffer, mut body) = (vec![0; 64 * 1024], Vec::new());
        loop {
            body.clear();
            if receive(&mut stream, &mut buffer, |slice| body.extend_from_slice(slice)).await?.is_none() {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&body);
            let Some(method) = after(&text, r#""method":""#).and_then(|rest| rest.split('"').next()) else {
                stream.write_all(&self.chat).await?;
                continue;
            };
            let result = match method {
                "server/discover" => {
                    r#""supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private""#
                        .to_owned()
                }
                "tools/list" => format!(r#""tools":[{}],"ttlMs":0,"cacheScope":"private""#, self.tools),
                _ => format!(r#""content":[{{"type":"text","text":"{TEXT}"}}]"#),
            };
            let id = after(&text, r#""id":"#).and_then(|rest| rest.split(',').next()).unwrap_or("0");
            let answer =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete",{result}}}}}"#);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                answer.len()
            );
            stream.write_all(&[head.as_bytes(), answer.as_bytes()].concat()).await?;
        }
    }
}

fn after<'t>(text: &'t str, what: &str) -> Option<&'t str> {
    text.split_once(what).map(|(_, rest)| rest)
}

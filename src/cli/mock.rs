//! `tollgate mock`: the mock LLM and MCP upstream alone.

use super::{Status, print, serve::runtime, signals::told_to_end, take_over};
use std::net::SocketAddr;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9099")]
    listen: SocketAddr,
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let Ok(runtime) = runtime() else { return print::failed("the system gives no threads") };
    runtime.block_on(async {
        let listener = match tokio::net::TcpListener::bind(arguments.listen).await {
            Ok(listener) => listener,
            Err(error) => return print::failed(&take_over::unbound(arguments.listen, &error)),
        };
        if let Ok(address) = listener.local_addr() {
            print::line(&format!("listening on http://{address}"));
        }
        match crate::mock::serve(listener, told_to_end()).await {
            Ok(()) => Status::Fine,
            Err(error) => print::failed(&error.to_string()),
        }
    })
}

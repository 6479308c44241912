//! `tollgate run`: a command with a gateway of its own, which speaks for one tenant.

use super::{
    Config, Status, key, print,
    serve::{Running, runtime},
};
use crate::{
    config::compile::{Compiled, Listen},
    identity::KeyDigest,
    names::KeyId,
};
use std::{
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::process::ExitStatusExt,
    process::ExitStatus,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

/// A free port, on loopback.
const FREE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// What a shell says of a command that is not there, of one that cannot be run, and of one that a signal ended.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;
const SIGNALLED: i32 = 128;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// The tenant that the command is
    #[arg(long, short)]
    tenant: String,
    /// The command and its arguments, behind `--`
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// A key that no file knows, for as long as the gateway runs; which listens on free ports of loopback alone.
pub(super) struct Lent {
    tenant: String,
    digest: KeyDigest,
}

impl Lent {
    /// Makes a configuration that of a command's own gateway.
    pub(super) fn set_up(&self, compiled: &mut Compiled) -> Result<(), String> {
        let Compiled { snapshot, serve } = compiled;
        serve.listen = vec![Listen { address: FREE, tls: None }];
        (serve.admin, serve.probes) = (FREE, None);
        snapshot.hosts.listen_on(vec![FREE.ip()]);
        let lent = snapshot.directory.lend(self.digest, &self.tenant, KeyId::of_caller("run", "command"));
        if lent {
            return Ok(());
        }
        let real =
            snapshot.directory.iter().map(|member| member.tenant()).filter(|tenant| !tenant.is_abstract);
        let names: Vec<&str> = real.map(|tenant| tenant.id.as_str()).take(20).collect();
        Err(format!("there is no tenant `{}`; there are {}", self.tenant, names.join(", ")))
    }
}

pub(super) fn run(arguments: &Arguments) -> Status {
    let Ok(runtime) = runtime() else { return print::failed("the system gives no threads") };
    runtime.block_on(async {
        match beside(arguments).await {
            Ok(status) => status,
            Err(message) => print::failed(message.trim_end()),
        }
    })
}

/// Runs the command beside its gateway; its exit status is what it came to.
async fn beside(arguments: &Arguments) -> Result<Status, String> {
    let key = key::new_key().ok_or("the system gives no random numbers")?;
    let lent = Lent { tenant: arguments.tenant.clone(), digest: KeyDigest::of(key.as_bytes()) };
    let running = Running::start(&arguments.config.config, false, Some(lent)).await?;
    let url = running.urls.first().ok_or("the gateway listens nowhere")?;
    let (program, rest) = arguments.command.split_first().ok_or("no command is given")?;
    let mut command = Command::new(program);
    command.args(rest).env("OPENAI_BASE_URL", format!("{url}/v1")).env("ANTHROPIC_BASE_URL", url);
    command
        .env("OPENAI_API_KEY", &key)
        .env("ANTHROPIC_API_KEY", &key)
        .env("TOLLGATE_MCP_URL", format!("{url}/mcp"));
    // A token for the provider itself would go before the key.
    command.env_remove("ANTHROPIC_AUTH_TOKEN");
    let ended = match command.spawn() {
        Ok(child) => until_end(child).await,
        Err(error) => Err(error),
    };
    running.drain(&tokio_util::sync::CancellationToken::new()).await;
    Ok(Status::Of(match ended {
        Ok(status) => code(status),
        Err(error) => {
            let program = program.to_string_lossy();
            let (code, why) = match error.kind() {
                io::ErrorKind::NotFound => (NOT_FOUND, "there is no such command".to_owned()),
                _ => (NOT_RUN, error.to_string()),
            };
            print::error(&format!("cannot run `{program}`: {why}"));
            code
        }
    }))
}

/// Waits for the command. Ctrl-C reaches it by itself, being of the same terminal; SIGTERM and SIGHUP are handed on.
async fn until_end(mut child: Child) -> io::Result<ExitStatus> {
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let told = tokio::select! {
            status = child.wait() => return status,
            _ = interrupt.recv() => continue,
            _ = terminate.recv() => rustix::process::Signal::TERM,
            _ = hangup.recv() => rustix::process::Signal::HUP,
        };
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // It may have ended meanwhile.
            rustix::process::kill_process(id, told).ok();
        }
    }
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| SIGNALLED + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

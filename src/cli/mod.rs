//! The command line: one file a command. Exit status: 0 fine, 1 findings, 2 wrong usage.

mod access;
mod admin_client;
mod approvals;
mod audit;
mod audit_show;
mod bar;
mod certificates;
mod check;
mod demo;
mod diff;
mod explain;
mod flush;
mod init;
mod key;
mod mock;
mod pins;
mod print;
mod redact;
mod replay;
mod run;
mod schema;
mod serve;
mod signals;
mod take_over;
mod tenant;
mod test;
mod top;
mod usage;

use clap::{
    Parser, Subcommand, ValueEnum,
    builder::{PathBufValueParser, TypedValueParser},
};
use std::{path::PathBuf, process::ExitCode};

/// The gateway between tenants' agents and the models and tools they use.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, arg_required_else_help = true, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::Arguments),
    /// Run a command as a tenant, with a gateway of its own on free ports
    Run(run::Arguments),
    /// Mock LLM, gateway and two tenants; nothing else is needed
    Demo(demo::Arguments),
    /// The mock LLM and MCP upstream alone
    Mock(mock::Arguments),
    /// Validate the configuration
    Check(check::Arguments),
    /// Decide one call, and show why
    Explain(explain::Arguments),
    /// Run policy tests
    Test(test::Arguments),
    /// What each tenant gains and loses between two configurations
    Diff(diff::Arguments),
    /// The matrix: who can reach which model, tool and upstream, and by which rule
    Access(access::Arguments),
    /// Decide recorded calls again under another configuration
    Replay(replay::Arguments),
    /// Redact stdin line by line
    Redact(redact::Arguments),
    /// Calls that wait for a person
    Approvals(approvals::Arguments),
    /// MCP tool definitions that were approved, and what changed since
    Pins(pins::Arguments),
    /// What tenants do now, live
    Top(top::Arguments),
    /// What tenants used: requests, tokens, spend, denials
    Usage(usage::Arguments),
    /// Write a configuration to start from
    Init(init::Arguments),
    /// Keys of tenants
    #[command(subcommand)]
    Key(key::Command),
    /// What is recorded of tenants
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Audit chains
    #[command(subcommand)]
    Audit(audit::Command),
    /// JSON Schema of the YAML files
    Schema,
}

/// Where it is looked for.
const CONFIGURATION: &str = "config/tollgate.yaml";

/// Where the configuration is.
#[derive(Debug, clap::Args)]
struct Config {
    /// The configuration: a `tollgate.yaml`, or the directory that it is in
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        default_value = CONFIGURATION,
        value_parser = PathBufValueParser::new().map(configuration_at)
    )]
    config: PathBuf,
}

/// The file of a configuration that is named by its file or by its directory.
fn configuration_at(path: PathBuf) -> PathBuf {
    if path.is_dir() { path.join("tollgate.yaml") } else { path }
}

/// How a listing is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
    Text,
}

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Fine,
    Findings,
    Usage,
    /// What a command that was run ended with.
    Of(u8),
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Fine => Self::SUCCESS,
            Status::Findings => Self::from(1),
            Status::Usage => Self::from(2),
            Status::Of(code) => Self::from(code),
        }
    }
}

/// Runs the command that the arguments name.
pub fn run() -> ExitCode {
    silence_panics();
    let status = match Cli::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Mock(arguments) => mock::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Access(arguments) => access::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Redact(arguments) => redact::run(&arguments),
        Command::Approvals(arguments) => approvals::run(&arguments),
        Command::Pins(arguments) => pins::run(&arguments),
        Command::Top(arguments) => top::run(&arguments),
        Command::Usage(arguments) => usage::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Key(command) => key::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Tenant(command) => tenant::run(&command),
        Command::Schema => schema::run(),
    };
    print::finished(status).into()
}

/// A panic's message can hold what it was working on: only its place is told.
fn silence_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        crate::operator::warn(&format!("internal error at {place}; please report it"));
    }));
}

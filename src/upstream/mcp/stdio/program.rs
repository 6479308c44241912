//! A program that serves MCP over its stdin and stdout: how it is started, and how it is ended with all that it started.

use crate::{json::Value, upstream::conceal_in};
use memchr::memmem::Finder;
use rustix::process::{Pid, Signal, kill_process_group};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child as Process, Command};

/// Of the gateway's environment, a program finds these alone.
const INHERITED: [&str; 8] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];
/// So long a program may take to end by itself once its stdin is closed, and again once it was told to.
const END_WAIT: Duration = Duration::from_secs(2);
/// What is shorter is not looked for in a program's words: `true` is no secret.
const SECRET_BYTES_MIN: usize = 8;

/// A program as it is configured. Its arguments and its environment may hold secrets and are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// A path, or a name that is looked for in PATH.
    pub name: String,
    pub arguments: Vec<String>,
    /// By name, beside what every program finds.
    pub environment: Vec<(String, String)>,
    /// Those of its values that are secret.
    pub secrets: Vec<String>,
    pub directory: PathBuf,
    /// How long it may take until it says something to a request.
    pub first_byte: Duration,
    /// How long between two things that it says to one.
    pub idle: Duration,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Program {
    /// Starts it, as the leader of a process group of its own.
    pub(super) fn start(&self) -> io::Result<(Process, Group)> {
        let mut command = Command::new(self.path());
        command
            .args(&self.arguments)
            .env_clear()
            .current_dir(&self.directory)
            .process_group(0)
            .kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let inherited = INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
        command.envs(inherited).envs(self.environment.iter().map(|(name, value)| (name, value)));
        keep_memory_private();
        let process = command.spawn()?;
        let group = Group(process.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        Ok((process, group))
    }

    /// A path is relative to the directory that the program runs in.
    fn path(&self) -> PathBuf {
        if self.name.contains('/') { self.directory.join(&self.name) } else { Path::new(&self.name).into() }
    }

    /// Takes the secrets that the program was given out of every text in a value.
    pub(super) fn conceal_in(&self, value: &mut Value<'_>) {
        for secret in self.secrets.iter().filter(|secret| secret.len() >= SECRET_BYTES_MIN) {
            conceal_in(value, secret, &Finder::new(secret));
        }
    }

    /// A text without what the program was given in its environment.
    pub(super) fn conceal(&self, text: String) -> String {
        let secrets = self
            .environment
            .iter()
            .flat_map(|(_, value)| value.lines())
            .filter(|value| value.len() >= SECRET_BYTES_MIN);
        secrets.fold(text, |text, secret| text.replace(secret, "[API_KEY]"))
    }
}

/// What runs as the same user could read the gateway's environment and memory otherwise.
#[cfg(target_os = "linux")]
fn keep_memory_private() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // Where the system does not offer it, there is no other way.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).unwrap_or_default();
}

#[cfg(not(target_os = "linux"))]
fn keep_memory_private() {}

/// A program's process group. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Group(Option<Pid>);

impl Group {
    /// Waits for a program whose stdin was closed; it is told to end, and then made to.
    pub(super) async fn end(&self, process: &mut Process) {
        for signal in [Signal::TERM, Signal::KILL] {
            if tokio::time::timeout(END_WAIT, process.wait()).await.is_ok() {
                return;
            }
            self.send(signal);
        }
        drop(process.wait().await);
    }

    fn send(&self, signal: Signal) {
        if let Some(leader) = self.0 {
            // Whoever is gone cannot be told.
            kill_process_group(leader, signal).unwrap_or_default();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.send(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_neither_shown_nor_repeated() {
        let program = Program {
            name: "./server".into(),
            arguments: vec!["--token=secret".into()],
            environment: vec![
                ("A".into(), "hunter2-hunter2".into()),
                ("B".into(), "true".into()),
                ("C".into(), "-----\nline-of-a-key\n-----".into()),
            ],
            secrets: vec!["hunter2-hunter2".into()],
            directory: "/srv/config".into(),
            first_byte: Duration::ZERO,
            idle: Duration::ZERO,
        };
        assert_eq!(format!("{program:?}"), r#"Program { name: "./server", .. }"#);
        assert_eq!(program.conceal("true: hunter2-hunter2".into()), "true: [API_KEY]");
        assert_eq!(program.conceal("line-of-a-key".into()), "[API_KEY]");
        let mut said = Value::object([("text", Value::string("hunter2-hunter2 line-of-a-key"))]);
        program.conceal_in(&mut said);
        assert_eq!(said.to_string(), r#"{"text":"[API_KEY] line-of-a-key"}"#, "the secret alone");
        assert_eq!(program.path(), Path::new("/srv/config/./server"));
    }
}

//! What the operator reads on stderr: one JSON object a line where stderr is no terminal, plain words where it is.
//! Never text that came from a client or an upstream; what an MCP server that the gateway runs writes to its stderr
//! comes redacted.

use crate::{
    clock,
    json::{self, Value},
};
use std::io::{IsTerminal, Write};

/// Something an operator wants to know.
pub fn info(message: &str) {
    say("info", message);
}

/// Something an operator must act on.
pub fn warn(message: &str) {
    say("warning", message);
}

fn say(level: &'static str, message: &str) {
    let mut stderr = std::io::stderr().lock();
    let line = if stderr.is_terminal() {
        format!("{level}: {message}\n").into_bytes()
    } else {
        let seconds = u64::try_from(clock::unix_seconds(clock::wall())).unwrap_or(0);
        let mut line = Vec::new();
        let object = Value::object([
            ("time", Value::integer(seconds)),
            ("level", Value::string(level)),
            ("message", Value::string(message)),
        ]);
        json::write(&object, &mut line);
        line.push(b'\n');
        line
    };
    // There is nobody left to tell where stderr is closed.
    drop(stderr.write_all(&line));
}

//! Tasks of 2026-07-28 (the extension `io.modelcontextprotocol/tasks`): a call may be answered with a task, which the
//! client asks for until it has ended. A task is its tenant's, its key's and its server's; its id goes out sealed.

use crate::{
    json::Value,
    seal::{Bond, Seals},
};

/// How the extension is called.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// So long an id is good, in seconds: 30 days.
const KEPT: i64 = 30 * 86_400;
/// Between the tool and the server's own id.
const BETWEEN: char = '\n';

/// What a client asks of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Get,
    Update,
    Cancel,
}

impl Step {
    const ALL: [Self; 3] = [Self::Get, Self::Update, Self::Cancel];

    /// The step that a method is.
    pub fn of(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.method() == method)
    }

    /// Its method.
    pub fn method(self) -> &'static str {
        match self {
            Self::Get => "tasks/get",
            Self::Update => "tasks/update",
            Self::Cancel => "tasks/cancel",
        }
    }
}

/// A task as its server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The tool that was called, under the name that rules have for it.
    pub tool: String,
    /// The server's own id.
    pub id: String,
}

/// Whether capabilities declare the extension.
pub fn is_declared(capabilities: &Value<'_>) -> bool {
    capabilities.get("extensions").and_then(|all| all.present(EXTENSION)).is_some()
}

/// The extension as it is declared among capabilities.
pub fn declaration() -> Value<'static> {
    Value::object([(EXTENSION, Value::object([]))])
}

/// Whether a result is a task.
pub fn is_task(result: &Value<'_>) -> bool {
    result.get("resultType").and_then(Value::as_str) == Some("task")
}

/// The id of a task as its client knows it.
pub fn seal(seals: &Seals, key: &str, server: &str, task: &Task, now: i64) -> String {
    let text = format!("{}{BETWEEN}{}", task.tool, task.id);
    seals.seal(&bond(key, server), &text, now.saturating_add(KEPT))
}

/// The task of an id that a client brings, if it is one of this key's at this server.
pub fn open(seals: &Seals, key: &str, server: &str, sealed: &str, now: i64) -> Option<Task> {
    let text = seals.open(&bond(key, server), sealed, now)?;
    let (tool, id) = text.split_once(BETWEEN)?;
    Some(Task { tool: tool.to_owned(), id: id.to_owned() })
}

fn bond<'a>(key: &'a str, server: &'a str) -> Bond<'a> {
    Bond { purpose: "task", key, server, subject: &[] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_task_is_its_keys_at_its_server() {
        let seals = Seals::new(&[7; 32]);
        let task = Task { tool: "crm__export".into(), id: "a\nb".into() };
        let sealed = seal(&seals, "prod", "crm", &task, 5);
        assert_eq!(open(&seals, "prod", "crm", &sealed, 5), Some(task));
        assert_eq!(open(&seals, "prod", "crm", &sealed, 5 + KEPT + 1), None);
        assert_eq!(open(&seals, "batch", "crm", &sealed, 5), None);
        assert_eq!(open(&seals, "prod", "kb", &sealed, 5), None);
        assert_eq!(open(&Seals::new(&[8; 32]), "prod", "crm", &sealed, 5), None);
        assert_eq!(open(&seals, "prod", "crm", "a", 5), None);
    }

    #[test]
    fn the_extension_is_declared_or_not() {
        let check = |text: &str, expected: bool| {
            assert_eq!(is_declared(&json::parse(text.as_bytes(), 8).unwrap()), expected, "{text}");
        };
        check(r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#, true);
        check(r#"{"extensions":{"io.modelcontextprotocol/tasks":null}}"#, false);
        check(r#"{"extensions":{}}"#, false);
        check(r#"{"tasks":{}}"#, false);
        assert!(is_declared(&Value::object([("extensions", declaration())])));
    }
}

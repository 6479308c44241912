//! What a server may ask of a client: to sample from its model, to ask its user, to name its roots. To rules each is a
//! tool of the server's, `SERVER__sampling` and so on; where they do not allow it, the server is told that the client
//! cannot, and what it asks all the same is declined.

use super::names;
use crate::json::Value;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Sampling,
    Elicitation,
    Roots,
}

/// All of them.
pub const ALL: [Question; 3] = [Question::Sampling, Question::Elicitation, Question::Roots];

impl Question {
    /// The question that a method is.
    pub fn of(method: &str) -> Option<Self> {
        ALL.into_iter().find(|question| question.method() == method)
    }

    /// Its method.
    pub fn method(self) -> &'static str {
        match self {
            Self::Sampling => "sampling/createMessage",
            Self::Elicitation => "elicitation/create",
            Self::Roots => "roots/list",
        }
    }

    /// Its name among capabilities, and to rules behind the server's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
            Self::Roots => "roots",
        }
    }

    /// The name that rules and records have for it.
    pub fn name(self, server: &str) -> String {
        names::combined(server, self.as_str())
    }

    /// Whether a client announced that it can be asked this.
    pub fn is_announced(self, capabilities: &Value<'_>) -> bool {
        capabilities.present(self.as_str()).is_some_and(|value| value.members().is_some())
    }
}

/// Of what a client announces, the questions that it may be asked, as a server is told.
pub fn narrowed(capabilities: &Value<'_>, may_ask: impl Fn(Question) -> bool) -> Value<'static> {
    let mut told = Value::object([]);
    for question in ALL.into_iter().filter(|question| question.is_announced(capabilities)) {
        if let Some(announced) = capabilities.get(question.as_str()).filter(|_| may_ask(question)) {
            told.set(question.as_str(), announced.clone().into_owned());
        }
    }
    told
}

/// Longer details of what a client announces are not kept, in bytes.
const DETAILS_BYTES_MAX: usize = 1024;

/// Of what a client announces, what is kept for its session.
pub fn kept(capabilities: &Value<'_>) -> Value<'static> {
    let mut kept = narrowed(capabilities, |_| true);
    for question in ALL {
        if let Some(details) = kept.get_mut(question.as_str())
            && details.to_string().len() > DETAILS_BYTES_MAX
        {
            *details = Value::object([]);
        }
    }
    kept
}

/// What a client is taken for that could be asked whatever may be asked.
pub fn all_that(may_ask: impl Fn(Question) -> bool) -> Value<'static> {
    let all = ALL.map(|question| (question.as_str(), Value::object([])));
    narrowed(&Value::object(all), may_ask)
}

/// Whether a tool's own name is what rules call something else of its server.
pub fn is_reserved(tool: &str) -> bool {
    ALL.into_iter().any(|question| question.as_str() == tool)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_server_is_told_what_is_announced_and_allowed() {
        let announced = r#"{"sampling":{"tools":{}},"elicitation":{"form":{}},"roots":7,"tasks":{}}"#;
        let announced = json::parse(announced.as_bytes(), 8).unwrap();
        let told = narrowed(&announced, |question| question != Question::Elicitation);
        assert_eq!(told.to_string(), r#"{"sampling":{"tools":{}}}"#);
        assert_eq!(narrowed(&announced, |_| false).to_string(), "{}");
        assert_eq!(narrowed(&Value::Null, |_| true).to_string(), "{}");
        assert_eq!(kept(&announced).to_string(), r#"{"sampling":{"tools":{}},"elicitation":{"form":{}}}"#);
        let much = Value::object([("sampling", Value::object([("a", Value::string("x".repeat(2000)))]))]);
        assert_eq!(kept(&much).to_string(), r#"{"sampling":{}}"#);
    }

    #[test]
    fn a_question_is_known_by_its_method() {
        for question in ALL {
            assert_eq!(Question::of(question.method()), Some(question));
            assert!(is_reserved(question.as_str()));
        }
        assert_eq!(Question::of("ping"), None);
        assert_eq!(Question::Sampling.name("crm"), "crm__sampling");
    }
}

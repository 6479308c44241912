//! What servers say of themselves, and what the gateway says of them to a client: it announces what they do, and no more.

use super::{list::Kind, task};
use crate::json::Value;
use std::collections::BTreeSet;

/// Longer instructions of a server are cut.
const INSTRUCTIONS_BYTES_MAX: usize = 8 << 10;
const NAME_CHARS_MAX: usize = 256;
/// Whether clients hear of changed lists.
const LIST_CHANGED: bool = true;

/// Something that a server may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    Completions,
    Logging,
    Prompts,
    Resources,
    /// To single resources.
    Subscribe,
    /// The extension.
    Tasks,
    Tools,
}

/// What a server said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    pub capabilities: BTreeSet<Capability>,
    /// What a model should know of it, in the server's words.
    pub instructions: Option<Box<str>>,
    /// Its own name and version: nothing is decided by them.
    pub name: Box<str>,
    pub version: Box<str>,
}

impl About {
    /// Reads the result of `initialize` or `server/discover`.
    pub fn of(result: &Value<'_>) -> Self {
        let announced = |name: &str| result.get("capabilities").and_then(|all| all.present(name));
        let mut capabilities: BTreeSet<Capability> = [
            ("completions", Capability::Completions),
            ("logging", Capability::Logging),
            ("prompts", Capability::Prompts),
            ("resources", Capability::Resources),
            ("tools", Capability::Tools),
        ]
        .into_iter()
        .filter_map(|(name, capability)| announced(name).map(|_| capability))
        .collect();
        if result.get("capabilities").is_some_and(task::is_declared) {
            capabilities.insert(Capability::Tasks);
        }
        let subscribes = announced("resources").and_then(|resources| resources.get("subscribe"));
        if subscribes.and_then(Value::as_bool) == Some(true) {
            capabilities.insert(Capability::Subscribe);
        }
        let instructions = result.get("instructions").and_then(Value::as_str).map(cut);
        let info = |key| result.get("serverInfo").and_then(|info| info.get(key)?.as_str());
        let short = |text: Option<&str>| text.unwrap_or_default().chars().take(NAME_CHARS_MAX).collect();
        Self {
            capabilities,
            instructions: instructions.filter(|text| !text.is_empty()).map(Into::into),
            name: short(info("name")),
            version: short(info("version")),
        }
    }

    /// What is taken for it of a server that says nothing of itself.
    pub fn untold() -> Self {
        Self { capabilities: BTreeSet::from([Capability::Tools]), ..Self::default() }
    }

    /// Whether it has a list of these.
    pub fn lists(&self, kind: Kind) -> bool {
        self.capabilities.contains(&match kind {
            Kind::Tools => Capability::Tools,
            Kind::Prompts => Capability::Prompts,
            Kind::Resources | Kind::Templates => Capability::Resources,
        })
    }
}

fn cut(text: &str) -> &str {
    let text = text.trim();
    let end = (0..=INSTRUCTIONS_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// What a client is told of the servers behind the gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub capabilities: Value<'static>,
    pub instructions: Option<String>,
}

/// A server that answered: what a tenant may reach of what it can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard<'s> {
    pub server: &'s str,
    pub capabilities: BTreeSet<Capability>,
    pub instructions: Option<&'s str>,
}

/// What a client is told of these servers. `headings`: which server's instructions they are.
pub fn merged(heard: &[Heard<'_>], headings: bool) -> Told {
    let mut all: BTreeSet<Capability> =
        heard.iter().flat_map(|each| each.capabilities.iter().copied()).collect();
    if heard.is_empty() {
        // Whoever comes while no server answers finds the tools later.
        all.insert(Capability::Tools);
    }
    let changing = || Value::object([("listChanged", Value::Bool(LIST_CHANGED))]);
    let mut capabilities = Value::object([]);
    for capability in &all {
        match capability {
            Capability::Completions => capabilities.set("completions", Value::object([])),
            Capability::Logging => capabilities.set("logging", Value::object([])),
            Capability::Prompts => capabilities.set("prompts", changing()),
            Capability::Resources => capabilities.set("resources", changing()),
            Capability::Subscribe => {
                if let Some(resources) = capabilities.get_mut("resources") {
                    resources.set("subscribe", Value::Bool(true));
                }
            }
            Capability::Tasks => capabilities.set("extensions", task::declaration()),
            Capability::Tools => capabilities.set("tools", changing()),
        }
    }
    let texts = heard.iter().filter_map(|each| {
        let text = each.instructions?;
        Some(if headings { format!("# {}\n\n{text}", each.server) } else { text.to_owned() })
    });
    let texts: Vec<String> = texts.collect();
    Told { capabilities, instructions: (!texts.is_empty()).then(|| texts.join("\n\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;
    use proptest::prelude::*;

    fn about(text: &str) -> About {
        About::of(&json::parse(text.as_bytes(), 16).unwrap())
    }

    #[test]
    fn what_a_server_says() {
        let said = about(
            r#"{"capabilities":{"tools":{},"resources":{"subscribe":true},"prompts":null,"tasks":{}},"instructions":" Be kind. ","serverInfo":{"name":"n","version":"1"}}"#,
        );
        let expected = [Capability::Resources, Capability::Subscribe, Capability::Tools];
        assert_eq!(said.capabilities, BTreeSet::from(expected));
        assert_eq!((said.instructions.as_deref(), &*said.name, &*said.version), (Some("Be kind."), "n", "1"));
        assert!(said.lists(Kind::Tools) && said.lists(Kind::Templates) && !said.lists(Kind::Prompts));
        assert_eq!(about("{}"), About::default());
        let long = about(&format!(r#"{{"instructions":"a{}"}}"#, "ä".repeat(INSTRUCTIONS_BYTES_MAX)));
        assert_eq!(long.instructions.unwrap().len(), INSTRUCTIONS_BYTES_MAX - 1);
    }

    #[test]
    fn a_client_is_told_of_what_there_is() {
        let heard = |server, capabilities: &[Capability], instructions| Heard {
            server,
            capabilities: capabilities.iter().copied().collect(),
            instructions,
        };
        let one = heard("crm", &[Capability::Tools], Some("Be kind."));
        let two = heard("kb", &[Capability::Resources, Capability::Subscribe, Capability::Logging], None);
        let three = heard("old", &[Capability::Completions, Capability::Prompts], Some("Be quick."));
        let told = merged(std::slice::from_ref(&one), false);
        assert_eq!(told.capabilities.to_string(), r#"{"tools":{"listChanged":true}}"#);
        assert_eq!(told.instructions.as_deref(), Some("Be kind."));
        let told = merged(&[one, two.clone(), three], true);
        assert_eq!(
            told.capabilities.to_string(),
            r#"{"completions":{},"logging":{},"prompts":{"listChanged":true},"resources":{"listChanged":true,"subscribe":true},"tools":{"listChanged":true}}"#
        );
        assert_eq!(told.instructions.as_deref(), Some("# crm\n\nBe kind.\n\n# old\n\nBe quick."));
        assert_eq!(merged(&[two], true).instructions, None);
        assert_eq!(merged(&[], true).capabilities.to_string(), r#"{"tools":{"listChanged":true}}"#);
    }

    proptest! {
        #[test]
        fn one_more_server_takes_nothing_away(
            each in proptest::collection::vec(proptest::collection::btree_set(0..6_usize, 0..6), 1..5),
        ) {
            let all = [
                Capability::Completions, Capability::Logging, Capability::Prompts,
                Capability::Resources, Capability::Subscribe, Capability::Tools,
            ];
            let heard: Vec<Heard<'_>> = each
                .iter()
                .map(|set| Heard { server: "s", capabilities: set.iter().map(|at| all[*at]).collect(), instructions: None })
                .collect();
            let keys = |heard: &[Heard<'_>]| -> BTreeSet<String> {
                let told = merged(heard, true);
                told.capabilities.members().unwrap().iter().map(|(key, _)| key.to_string()).collect()
            };
            let apart: BTreeSet<String> = heard.iter().flat_map(|one| keys(std::slice::from_ref(one))).collect();
            prop_assert_eq!(keys(&heard), apart);
        }
    }
}

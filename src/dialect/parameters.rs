//! The parameters of a tool that the provider runs, as rules see them, and as a rule forces them. Apart from the
//! dialects, because one rule has to hold in all of them: what one calls `url` and another `server_url` is one
//! argument here.

use crate::json::Value;

/// What stands for a credential: a rule sees that there is one, and no record ever holds it.
const HIDDEN: &str = "[CREDENTIAL]";
const CREDENTIALS: [&str; 4] = ["authorization", "authorization_token", "headers", "api_key"];

/// Another name of a parameter, by which rules know it in every dialect, and where it stands.
pub(super) type Alias = (&'static str, &'static [&'static str]);

/// An entry of Anthropic's `mcp_servers`, by the names of OpenAI's `mcp` tool.
pub(super) const MCP_SERVER: &[Alias] = &[
    ("server_url", &["url"]),
    ("server_label", &["name"]),
    ("allowed_tools", &["tool_configuration", "allowed_tools"]),
];
/// A `web_search` tool of OpenAI's Responses, by the names of Anthropic's.
pub(super) const WEB_SEARCH: &[Alias] = &[
    ("allowed_domains", &["filters", "allowed_domains"]),
    ("blocked_domains", &["filters", "blocked_domains"]),
];

/// The other names of a tool's parameters.
pub(super) fn aliases(tool: &str) -> &'static [Alias] {
    if tool == "builtin__web_search" { WEB_SEARCH } else { &[] }
}

/// The arguments that rules decide on.
pub(super) fn seen<'a>(parameters: &Value<'a>, aliases: &[Alias]) -> Value<'a> {
    let mut seen = parameters.clone();
    for credential in CREDENTIALS {
        if let Some(value) = seen.get_mut(credential).filter(|value| !value.is_null()) {
            *value = Value::string(HIDDEN);
        }
    }
    for (alias, path) in aliases {
        if let (Some(value), None) = (find(parameters, path), parameters.get(alias)) {
            seen.set(alias, value.clone());
        }
    }
    seen
}

/// Makes parameters what a rule made of their arguments.
pub(super) fn force(parameters: &mut Value<'_>, forced: &Value<'static>, aliases: &[Alias]) {
    let before = seen(parameters, aliases).into_owned();
    let original = std::mem::replace(parameters, forced.clone());
    for credential in CREDENTIALS {
        if let (Some(value), Some(HIDDEN)) =
            (original.get(credential), parameters.get(credential).and_then(Value::as_str))
        {
            let value = value.clone().into_owned();
            parameters.set(credential, value);
        }
    }
    for (alias, path) in aliases {
        if original.get(alias).is_some() {
            continue;
        }
        let Some(value) = parameters.remove(alias) else { continue };
        if before.get(alias) != Some(&value) {
            put(parameters, path, value);
        }
    }
}

fn find<'v, 'a>(value: &'v Value<'a>, path: &[&str]) -> Option<&'v Value<'a>> {
    path.iter().try_fold(value, |value, key| value.present(key))
}

fn put<'a>(value: &mut Value<'a>, path: &[&str], put_there: Value<'a>) {
    let Some((last, way)) = path.split_last() else { return };
    let mut at = value;
    for key in way {
        if !matches!(at.get(key), Some(Value::Object(_))) {
            at.set(key, Value::Object(Vec::new()));
        }
        let Some(next) = at.get_mut(key) else { return };
        at = next;
    }
    at.set(last, put_there);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[track_caller]
    fn check(parameters: &str, aliases: &[Alias], seen_by_rules: &str, rule: (&str, &str), sent: &str) {
        let parsed = json::parse(parameters.as_bytes(), 32).unwrap();
        let arguments = seen(&parsed, aliases);
        assert_eq!(arguments.to_string(), seen_by_rules);
        let mut forced = arguments.into_owned();
        if !rule.0.is_empty() {
            forced.set(rule.0, json::parse(rule.1.as_bytes(), 32).unwrap().into_owned());
        }
        let mut sent_parameters = parsed.clone();
        force(&mut sent_parameters, &forced, aliases);
        assert_eq!(sent_parameters.to_string(), sent);
    }

    #[test]
    fn rules_know_a_parameter_by_one_name() {
        let server = r#"{"type":"url","url":"https://a","name":"crm","authorization_token":"secret"}"#;
        let seen = r#"{"type":"url","url":"https://a","name":"crm","authorization_token":"[CREDENTIAL]","server_url":"https://a","server_label":"crm"}"#;
        check(server, MCP_SERVER, seen, ("", ""), server);
        let moved = r#"{"type":"url","url":"https://b","name":"crm","authorization_token":"secret"}"#;
        check(server, MCP_SERVER, seen, ("server_url", r#""https://b""#), moved);
        let narrowed = r#"{"type":"url","url":"https://a","name":"crm","authorization_token":"secret","tool_configuration":{"allowed_tools":["x"]}}"#;
        check(server, MCP_SERVER, seen, ("allowed_tools", r#"["x"]"#), narrowed);
        let search = r#"{"type":"web_search","filters":{"allowed_domains":["a"]}}"#;
        let seen = r#"{"type":"web_search","filters":{"allowed_domains":["a"]},"allowed_domains":["a"]}"#;
        check(search, WEB_SEARCH, seen, ("", ""), search);
        let forced = r#"{"type":"web_search","filters":{"allowed_domains":["b"]}}"#;
        check(search, WEB_SEARCH, seen, ("allowed_domains", r#"["b"]"#), forced);
        check(search, WEB_SEARCH, seen, ("filters", r#"{"allowed_domains":["b"]}"#), forced);
    }
}

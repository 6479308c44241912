//! The parameters of a tool that the provider runs, as rules see them, and as a rule forces them. Apart from the
//! dialects, because one rule has to hold in all of them: what one calls `url` and another `server_url` is one
//! argument here.

use super::{
    Api,
    brought::{lists_tools, names_something_stored},
    keys,
};
use crate::{
    json::{Value, keys::has_twins},
    refusal::Refusal,
};

/// What stands for a credential: a rule sees that there is one, and no record ever holds it.
const HIDDEN: &str = "[CREDENTIAL]";
const CREDENTIALS: [&str; 5] =
    ["authorization", "authorization_token", "headers", "api_key", "domain_secrets"];

/// Another name of a parameter, by which rules know it in every dialect, and where it stands.
pub(super) type Alias = (&'static str, &'static [&'static str]);

/// An entry of Anthropic's `mcp_servers`, by the names of OpenAI's `mcp` tool.
pub(super) const MCP_SERVER: &[Alias] = &[
    ("server_url", &["url"]),
    ("server_label", &["name"]),
    ("allowed_tools", &["tool_configuration", "allowed_tools"]),
];
/// The same beside a `mcp_toolset`, which says what tools are allowed.
pub(super) const MCP_SERVER_WITH_SET: &[Alias] = &[("server_url", &["url"]), ("server_label", &["name"])];
/// A `web_search` tool of OpenAI's Responses, by the names of Anthropic's.
pub(super) const WEB_SEARCH: &[Alias] = &[
    ("allowed_domains", &["filters", "allowed_domains"]),
    ("blocked_domains", &["filters", "blocked_domains"]),
];

/// The other names of a tool's parameters in an API.
pub(super) fn aliases(api: Api, tool: &str) -> &'static [Alias] {
    if api == Api::Responses && tool == "builtin__web_search" { WEB_SEARCH } else { &[] }
}

/// Names that rules know and that this API's provider does not read: beside the true one they would only deceive a rule.
fn foreign(api: Api, tool: &str) -> &'static [&'static str] {
    match (api, tool) {
        (Api::Responses, "builtin__web_search") => &["allowed_domains", "blocked_domains"],
        // These have no way to narrow a search down.
        (Api::Responses, "builtin__web_search_preview")
        | (Api::Chat, "builtin__web_search" | "builtin__web_search_preview") => {
            &["allowed_domains", "blocked_domains", "external_web_access", "filters"]
        }
        (Api::Messages | Api::CountTokens, "builtin__web_search") => &["external_web_access", "filters"],
        (Api::Messages | Api::CountTokens, "builtin__mcp") => &[
            "server_url",
            "server_label",
            "allowed_tools",
            "authorization",
            "connector_id",
            "headers",
            "require_approval",
            "tunnel_id",
        ],
        (Api::Responses, "builtin__mcp") => &["authorization_token", "name", "tool_configuration", "url"],
        _ => &[],
    }
}

/// The first parameter that the provider does not read by its name. One that is null says nothing.
fn unread<'v>(api: Api, tool: &str, parameters: &'v Value<'_>) -> Option<&'v str> {
    let mut members = parameters.members().unwrap_or_default().iter();
    let found = members.find(|(key, value)| foreign(api, tool).contains(&key.as_ref()) && !value.is_null());
    found.map(|(key, _)| key.as_ref())
}

/// Whether the provider reads all of a tool's parameters by their names.
pub(super) fn is_readable(api: Api, tool: &str, parameters: &Value<'_>) -> bool {
    unread(api, tool, parameters).is_none()
}

/// What is known of an MCP server's parameters: any other could say where a second one is, and nobody would have decided
/// on that.
fn known(api: Api, tool: &str) -> Option<&'static [&'static str]> {
    const RESPONSES: &[&str] = &[
        "type",
        "server_url",
        "server_label",
        "server_description",
        "allowed_tools",
        "authorization",
        "connector_id",
        "defer_loading",
        "headers",
        "require_approval",
        "tunnel_id",
    ];
    const MESSAGES: &[&str] = &["type", "url", "name", "authorization_token", "tool_configuration"];
    match (api, tool) {
        (Api::Responses | Api::Chat, "builtin__mcp") => Some(RESPONSES),
        (Api::Messages | Api::CountTokens, "builtin__mcp") => Some(MESSAGES),
        _ => None,
    }
}

/// Where an MCP server is: one of these says it.
const SERVERS: [&str; 4] = ["server_url", "connector_id", "tunnel_id", "url"];

/// Refuses parameters that a rule and a provider could read differently, or that name what another tenant may have
/// stored.
pub(super) fn check(api: Api, tool: &str, parameters: &Value<'_>, param: &str) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::invalid(message, Some(param)));
    let members = parameters.members().unwrap_or_default();
    for (key, _) in members {
        if !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return refuse("a parameter's name must be of small letters, digits and `_`".to_owned());
        }
    }
    if let Some(key) = unread(api, tool, parameters) {
        return refuse(format!("`{key}` is not a parameter of `{tool}` in this API; leave it out"));
    }
    if let Some(known) = known(api, tool)
        && let Some((key, _)) =
            members.iter().find(|(key, value)| !known.contains(&&**key) && !value.is_null())
    {
        return refuse(format!("`{key}` is not known of an MCP server; leave it out"));
    }
    if members.iter().filter(|(key, value)| SERVERS.contains(&key.as_ref()) && !value.is_null()).count() > 1 {
        return refuse("two members say where the server is; name one".to_owned());
    }
    let container = parameters.present("container");
    if container.is_some_and(|container| container.as_str().is_some() || container.present("id").is_some()) {
        return refuse(
            "a container is named by its id, which may be another tenant's; ask for a new one".to_owned(),
        );
    }
    unambiguous(parameters, param)
}

/// Refuses two members of one name but for the size of letters, what is stored, and tools of their own, at any depth.
fn unambiguous(value: &Value<'_>, param: &str) -> Result<(), Refusal> {
    if has_twins(value) {
        let message = "two parameters have one name but for the size of letters; leave one out";
        return Err(Refusal::invalid(message, Some(param)));
    }
    brings_nothing(value, param)
}

fn brings_nothing(value: &Value<'_>, param: &str) -> Result<(), Refusal> {
    for item in value.items().unwrap_or_default() {
        brings_nothing(item, param)?;
    }
    let members = value.members().unwrap_or_default();
    for (key, member) in members {
        if names_something_stored(key, member) {
            let message =
                format!("`{key}` names something stored, which may be another tenant's; leave it out");
            return Err(Refusal::invalid(message, Some(param)));
        }
        if lists_tools(key, member) {
            let message = "a tool brings others in `tools`; offer each by itself";
            return Err(Refusal::invalid(message, Some(param)));
        }
        brings_nothing(member, param)?;
    }
    Ok(())
}

/// A value without the credentials in it.
pub(super) fn hidden<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(hidden).collect()),
        Value::Object(members) => {
            let hide = |key: &str, member: &Value<'a>| {
                if is_credential(key) && !member.is_null() { Value::string(HIDDEN) } else { hidden(member) }
            };
            Value::Object(members.iter().map(|(key, member)| (key.clone(), hide(key, member))).collect())
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Puts the credentials back where they were hidden.
fn reveal(value: &mut Value<'_>, original: &Value<'_>) {
    match value {
        Value::Array(items) => {
            for (item, original) in items.iter_mut().zip(original.items().unwrap_or_default()) {
                reveal(item, original);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                match original.get(key) {
                    Some(secret) if is_credential(key) && member.as_str() == Some(HIDDEN) => {
                        *member = secret.clone().into_owned();
                    }
                    Some(original) => reveal(member, original),
                    None => {}
                }
            }
        }
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_credential(key: &str) -> bool {
    CREDENTIALS.iter().any(|credential| keys::reads_as(key, credential))
}

/// The arguments that rules decide on.
pub(super) fn seen<'a>(parameters: &Value<'a>, aliases: &[Alias]) -> Value<'a> {
    let mut seen = hidden(parameters);
    for (alias, path) in aliases {
        if let (Some(value), None) = (find(&seen, path).cloned(), parameters.get(alias)) {
            seen.set(alias, value);
        }
    }
    seen
}

/// Makes parameters what a rule made of their arguments.
pub(super) fn force(parameters: &mut Value<'_>, forced: &Value<'static>, aliases: &[Alias]) {
    let before = seen(parameters, aliases).into_owned();
    let original = std::mem::replace(parameters, forced.clone());
    reveal(parameters, &original);
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

    #[test]
    fn a_credential_is_hidden_at_any_depth_and_sent_as_it_came() {
        let secret = r#"{"domain_secrets":[{"domain":"a","value":"s"}],"type":"allowlist"}"#;
        let tool =
            format!(r#"{{"container":{{"network_policy":{secret}}},"x":[{{"API_KEY":"s"}}],"type":"t"}}"#);
        let hidden = r#"{"container":{"network_policy":{"domain_secrets":"[CREDENTIAL]","type":"allowlist"}},"x":[{"API_KEY":"[CREDENTIAL]"}],"type":"t"}"#;
        check(&tool, &[], hidden, ("", ""), &tool);
        let forced = tool.replace(r#""type":"t""#, r#""type":"t","y":1"#);
        check(&tool, &[], hidden, ("y", "1"), &forced);
    }
}

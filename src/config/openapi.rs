//! OpenAPI 3 to the operations of a plain HTTP tool API: which there are, what they are called, and what cannot be
//! expressed, with why. Nothing is allowed by it: operations are only declared.

use super::{files::FileId, forms, yaml};
use crate::{
    json::{self, Value},
    tool_api::operation::Operation,
};
use std::{borrow::Cow, collections::HashSet};

/// What was found in a description.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// A name for the upstream, of the API's title.
    pub name: String,
    /// Its first server, if that is written out.
    pub url: Option<String>,
    /// Names, and methods with paths.
    pub operations: Vec<(String, String)>,
    /// What is left out, and why.
    pub skipped: Vec<String>,
}

const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];
const OTHER_METHODS: [&str; 2] = ["options", "trace"];
const NAME_BYTES_MAX: usize = 63;

/// Reads a description, JSON or YAML. Else why it is none.
pub fn import(text: &str) -> Result<Imported, String> {
    let value = match json::parse(text.as_bytes(), json::NESTING_MAX) {
        Ok(value) => value,
        Err(error) if text.trim_start().starts_with('{') => return Err(error.to_string()),
        Err(_) => {
            let (node, problems) = yaml::parse(FileId(0), text);
            match (node, problems.first()) {
                (Some(node), None) => value_of(&node).into_owned(),
                (_, Some(problem)) => {
                    let line = problem.at.map_or(0, |at| at.line);
                    return Err(format!("{} in line {line}", problem.message));
                }
                (None, None) => return Err("it is empty".to_owned()),
            }
        }
    };
    match value.get("openapi").and_then(Value::as_str) {
        Some(version) if version.starts_with("3.") => Ok(read(&value)),
        Some(_) | None => {
            Err("it does not say `openapi: 3.…`; descriptions of version 3 are read".to_owned())
        }
    }
}

fn value_of<'n>(node: &'n yaml::Node<'_>) -> Value<'n> {
    match &node.value {
        yaml::Value::List(items) => Value::Array(items.iter().map(value_of).collect()),
        yaml::Value::Map(entries) => {
            let member = |(name, value): &'n (yaml::Node<'_>, yaml::Node<'_>)| {
                Some((Cow::Borrowed(name.text()?), value_of(value)))
            };
            Value::Object(entries.iter().filter_map(member).collect())
        }
        yaml::Value::Scalar(scalar) if scalar.text == "true" => Value::Bool(true),
        yaml::Value::Scalar(scalar) => Value::string(&*scalar.text),
        yaml::Value::Broken => Value::Null,
    }
}

fn read(description: &Value<'_>) -> Imported {
    let title = description.get("info").and_then(|info| info.get("title")).and_then(Value::as_str);
    let server = description.get("servers").and_then(Value::items).and_then(<[Value<'_>]>::first);
    let url = server.and_then(|server| server.get("url")).and_then(Value::as_str);
    let mut imported = Imported {
        name: upstream_name(title.unwrap_or_default()),
        url: url
            .filter(|url| forms::url(url).is_ok() && !url.contains('{'))
            .map(|url| url.trim_end_matches('/').to_owned()),
        ..Imported::default()
    };
    let (mut names, mut known) = (HashSet::new(), Vec::new());
    for (path, item) in description.get("paths").and_then(Value::members).unwrap_or_default() {
        if item.get("$ref").is_some() {
            imported.skipped.push(format!("{}: it stands in another place ($ref)", shown(path)));
            continue;
        }
        for (method, operation) in item.members().unwrap_or_default() {
            if !METHODS.contains(&method.as_ref()) {
                if OTHER_METHODS.contains(&method.as_ref()) {
                    imported.skipped.push(format!(
                        "{} {}: no tool has this method",
                        method.to_uppercase(),
                        shown(path)
                    ));
                }
                continue;
            }
            let written = format!("{} {path}", method.to_uppercase());
            let parsed = match expressed(&written, item, operation, description) {
                Ok(parsed) => parsed,
                Err(why) => {
                    imported.skipped.push(format!("{} {}: {why}", method.to_uppercase(), shown(path)));
                    continue;
                }
            };
            if known.iter().any(|other: &Operation| other.collides(&parsed)) {
                imported
                    .skipped
                    .push(format!("{}: another operation has the same requests", shown(&written)));
                continue;
            }
            known.push(parsed);
            let id = operation.get("operationId").and_then(Value::as_str).map(operation_name);
            let name = id
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| operation_name(&format!("{method}_{path}")));
            imported.operations.push((unique(name, &mut names), written));
        }
    }
    imported
}

/// The operation, if it can be declared.
fn expressed(
    written: &str,
    item: &Value<'_>,
    operation: &Value<'_>,
    description: &Value<'_>,
) -> Result<Operation, String> {
    forms::operation(written).map_err(|bad| bad.to_string())?;
    if !written.chars().all(|c| c.is_ascii_alphanumeric() || " /{}-._~:@!$&'()*+,=".contains(c)) {
        return Err("its path holds characters that no path should".to_owned());
    }
    let parsed = Operation::parse("", written).map_err(|bad| bad.to_string())?;
    let lists = [item.get("parameters"), operation.get("parameters")];
    let parameters = lists.into_iter().flatten().filter_map(Value::items).flatten();
    let mut seen = HashSet::new();
    for parameter in parameters.map(|parameter| resolved(parameter, description)) {
        let text = |name: &str| parameter.get(name).and_then(Value::as_str).unwrap_or_default();
        let required = parameter.get("required").and_then(Value::as_bool) == Some(true);
        match text("in") {
            "header" | "cookie" if required => {
                return Err(format!(
                    "it needs the {} `{}`, which is not sent on",
                    text("in"),
                    shown(text("name"))
                ));
            }
            "path" | "query" => {
                let place = (text("in").to_owned(), text("name").to_owned());
                let elsewhere = if place.0 == "path" { "query" } else { "path" };
                if seen.contains(&(elsewhere.to_owned(), place.1.clone())) {
                    return Err(format!("`{}` is in its path and in its query", shown(&place.1)));
                }
                seen.insert(place);
            }
            _ => {}
        }
    }
    let body = operation.get("requestBody").map(|body| resolved(body, description));
    let content = body.and_then(|body| body.get("content")).and_then(Value::members).unwrap_or_default();
    let is_json =
        |media: &str| media.split(';').next().is_some_and(|media| media.trim() == "application/json");
    if !content.is_empty() && !content.iter().any(|(media, _)| is_json(media) || media == "*/*") {
        return Err("its body is not JSON".to_owned());
    }
    Ok(parsed)
}

/// What a reference within the description points to.
fn resolved<'v>(value: &'v Value<'v>, description: &'v Value<'v>) -> &'v Value<'v> {
    let Some(path) = value.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/"))
    else {
        return value;
    };
    path.split('/').try_fold(description, |here, name| here.get(name)).unwrap_or(value)
}

/// A name as the last part of a tool's.
fn operation_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let fits = c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if fits {
            name.push(c);
        } else if !name.ends_with('_') && !name.is_empty() {
            name.push('_');
        }
    }
    name.truncate(NAME_BYTES_MAX);
    name.trim_end_matches('_').to_owned()
}

fn upstream_name(title: &str) -> String {
    let name = operation_name(&title.to_ascii_lowercase().replace('.', "_"));
    let name = name.trim_start_matches(['-', '_']);
    let name: String = name.chars().take(40).collect();
    let name = name.trim_end_matches(['-', '_']);
    if forms::upstream_name(name).is_ok() { name.to_owned() } else { "api".to_owned() }
}

fn unique(name: String, names: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|number| {
        let short: String = name.chars().take(NAME_BYTES_MAX - 6).collect();
        format!("{short}_{number}")
    });
    let found = std::iter::once(name.clone()).chain(numbered).find(|name| !names.contains(name));
    let found = found.unwrap_or(name);
    names.insert(found.clone());
    found
}

/// A text of the description's as a terminal may show it.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = r##"
openapi: 3.1.0
info: { title: "Billing API (v2)", version: "1" }
servers: [{ url: https://billing.example/api/ }]
components:
  parameters:
    Trace: { name: x-trace, in: header, required: true }
paths:
  /invoices/{id}:
    parameters: [{ name: id, in: path, required: true }]
    get: { operationId: "getInvoice" }
    delete: { parameters: [{ $ref: "#/components/parameters/Trace" }] }
    options: {}
  /invoices/{number}:
    get: { operationId: another }
  /refunds:
    post: { operationId: "refunds/create now", requestBody: { content: { application/json: {} } } }
    put: { requestBody: { content: { multipart/form-data: {} } } }
    get: { operationId: "getInvoice" }
  /files/{name}.pdf:
    get: {}
  /both/{a}:
    get: { parameters: [{ name: a, in: path }, { name: a, in: query }] }
  /:
    get: {}
  /elsewhere: { $ref: other.yaml }
"##;

    #[test]
    fn what_can_be_expressed_is_declared_and_the_rest_is_told() {
        let imported = import(YAML).unwrap();
        assert_eq!(
            (imported.name.as_str(), imported.url.as_deref()),
            ("billing_api_v2", Some("https://billing.example/api"))
        );
        let operations: Vec<(&str, &str)> =
            imported.operations.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let expected = [
            ("getInvoice", "GET /invoices/{id}"),
            ("refunds_create_now", "POST /refunds"),
            ("getInvoice_2", "GET /refunds"),
            ("get", "GET /"),
        ];
        assert_eq!(operations, expected);
        for (name, written) in operations {
            assert!(forms::id(name).is_ok() && forms::operation(written).is_ok(), "{name}");
        }
        assert_eq!(imported.skipped.len(), 7, "{:#?}", imported.skipped);
        for (skipped, why) in imported.skipped.iter().zip([
            "needs the header",
            "no tool has",
            "the same requests",
            "not JSON",
            "neither a word",
            "in its path and",
            "another place",
        ]) {
            assert!(skipped.contains(why), "{skipped}");
        }
    }

    #[test]
    fn json_is_read_and_what_is_no_description_is_not() {
        let imported = import(r#"{"openapi":"3.0.3","paths":{"/a":{"get":{}}}}"#).unwrap();
        assert_eq!(
            (imported.name.as_str(), imported.operations),
            ("api", vec![("get_a".into(), "GET /a".into())])
        );
        for bad in ["", "swagger: '2.0'", r#"{"openapi":"3.0.3""#, "a: [", "[1]"] {
            assert!(import(bad).is_err(), "{bad}");
        }
    }
}

//! Files and vector stores of OpenAI's: what a request does, which ids it names, and what becomes known by its answer.
//! They lie in an account that all tenants share, so that each request is checked id by id; nothing unknown is sent on.

use super::What;
use crate::{json::Value, refusal::Refusal, tool_api::Request};
use http::Method;

/// What a request does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Content,
    Delete,
    /// Of the account: what is not the tenant's is taken out.
    List(What),
    /// What it makes is the tenant's.
    Make(What),
    /// Within what is the tenant's.
    Read,
    Search,
    /// A file, in a form.
    Upload,
    Write,
}

/// A request, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    pub act: Act,
    /// Ids that have to be the tenant's own; the first is what it is about.
    pub named: Vec<(String, What)>,
}

/// So many ids may be named in a request.
const NAMED_MAX: usize = 1024;
const PAGE: [&str; 4] = ["after", "before", "limit", "order"];
const ATTACH: [&str; 3] = ["file_id", "attributes", "chunking_strategy"];

/// What a request with this method and path does, behind `/v1`.
///
/// # Errors
/// Why it is not served.
pub fn plan(request: &Request<'_>) -> Result<Plan, Refusal> {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let (act, parameters, members) = match path.as_slice() {
        ["files", ..] => of_files(&request.method, &path)?,
        ["vector_stores", _, "file_batches", ..] => of_batches(&request.method, &path)?,
        ["vector_stores", _, "files", ..] => of_attached(&request.method, &path)?,
        ["vector_stores", ..] => of_stores(&request.method, &path)?,
        _ => return Err(Refusal::NotFound),
    };
    let mut named = in_path(&path);
    for (name, value) in &request.query {
        if !parameters.contains(&name.as_str()) {
            return Err(Refusal::invalid("the query has a parameter that is not known here", Some("query")));
        }
        if name == "after" || name == "before" {
            let what = if path == ["vector_stores"] { What::VectorStore } else { What::File };
            named.push((value.clone(), what));
        }
    }
    if act != Act::Upload {
        in_body(request.body.as_ref(), members, &mut named)?;
    }
    if named.len() > NAMED_MAX {
        return Err(Refusal::invalid(format!("more than {NAMED_MAX} ids are named"), None));
    }
    Ok(Plan { act, named })
}

type Known = (Act, &'static [&'static str], &'static [&'static str]);

fn of_files(method: &Method, path: &[&str]) -> Result<Known, Refusal> {
    match (method.as_str(), path) {
        ("GET", ["files"]) => Ok((Act::List(What::File), &["after", "limit", "order", "purpose"], &[])),
        ("POST", ["files"]) => Ok((Act::Upload, &[], &[])),
        ("GET", ["files", _]) => Ok((Act::Read, &[], &[])),
        ("DELETE", ["files", _]) => Ok((Act::Delete, &[], &[])),
        ("GET", ["files", _, "content"]) => Ok((Act::Content, &[], &[])),
        (_, ["files"] | ["files", _] | ["files", _, "content"]) => Err(Refusal::MethodNotAllowed),
        _ => Err(Refusal::NotFound),
    }
}

fn of_stores(method: &Method, path: &[&str]) -> Result<Known, Refusal> {
    match (method.as_str(), path) {
        ("GET", ["vector_stores"]) => Ok((Act::List(What::VectorStore), &["after", "limit", "order"], &[])),
        ("POST", ["vector_stores"]) => Ok((
            Act::Make(What::VectorStore),
            &[],
            &["name", "description", "file_ids", "expires_after", "chunking_strategy", "metadata"],
        )),
        ("GET", ["vector_stores", _]) => Ok((Act::Read, &[], &[])),
        ("POST", ["vector_stores", _]) => Ok((Act::Write, &[], &["name", "expires_after", "metadata"])),
        ("DELETE", ["vector_stores", _]) => Ok((Act::Delete, &[], &[])),
        ("POST", ["vector_stores", _, "search"]) => Ok((
            Act::Search,
            &[],
            &["query", "filters", "max_num_results", "ranking_options", "rewrite_query"],
        )),
        (_, ["vector_stores"] | ["vector_stores", _] | ["vector_stores", _, "search"]) => {
            Err(Refusal::MethodNotAllowed)
        }
        _ => Err(Refusal::NotFound),
    }
}

fn of_attached(method: &Method, path: &[&str]) -> Result<Known, Refusal> {
    match (method.as_str(), path) {
        ("GET", [_, _, _]) => Ok((Act::Read, &["after", "before", "limit", "order", "filter"], &[])),
        ("POST", [_, _, _]) => Ok((Act::Write, &[], &ATTACH)),
        ("GET", [_, _, _, _]) => Ok((Act::Read, &[], &[])),
        ("POST", [_, _, _, _]) => Ok((Act::Write, &[], &["attributes"])),
        // The file itself stays.
        ("DELETE", [_, _, _, _]) => Ok((Act::Write, &[], &[])),
        ("GET", [_, _, _, _, "content"]) => Ok((Act::Content, &[], &[])),
        (_, [_, _, _] | [_, _, _, _] | [_, _, _, _, "content"]) => Err(Refusal::MethodNotAllowed),
        _ => Err(Refusal::NotFound),
    }
}

fn of_batches(method: &Method, path: &[&str]) -> Result<Known, Refusal> {
    match (method.as_str(), path) {
        ("POST", [_, _, _]) => {
            Ok((Act::Make(What::FileBatch), &[], &["file_ids", "files", "attributes", "chunking_strategy"]))
        }
        ("GET", [_, _, _, _]) => Ok((Act::Read, &[], &[])),
        ("POST", [_, _, _, _, "cancel"]) => Ok((Act::Write, &[], &[])),
        ("GET", [_, _, _, _, "files"]) => Ok((Act::Read, &PAGE, &[])),
        (_, [_, _, _] | [_, _, _, _] | [_, _, _, _, "cancel" | "files"]) => Err(Refusal::MethodNotAllowed),
        _ => Err(Refusal::NotFound),
    }
}

/// The ids in a path.
fn in_path(path: &[&str]) -> Vec<(String, What)> {
    let own = |id: &str, what| (id.to_owned(), what);
    match path {
        ["files", id, ..] => vec![own(id, What::File)],
        ["vector_stores", store, "files", file, ..] => {
            vec![own(store, What::VectorStore), own(file, What::File)]
        }
        ["vector_stores", store, "file_batches", batch, ..] => {
            vec![own(store, What::VectorStore), own(batch, What::FileBatch)]
        }
        ["vector_stores", store, ..] => vec![own(store, What::VectorStore)],
        _ => Vec::new(),
    }
}

/// Checks a body, and finds the ids in it.
fn in_body(
    body: Option<&Value<'_>>,
    members: &[&str],
    named: &mut Vec<(String, What)>,
) -> Result<(), Refusal> {
    let Some(body) = body else { return Ok(()) };
    let bad = |param: &str, what: &str| Refusal::invalid(format!("`{param}` {what}"), Some(param));
    let found = body.members().ok_or_else(|| bad("body", "is not an object"))?;
    if found.iter().any(|(name, _)| !members.contains(&name.as_ref())) {
        return Err(bad("body", "has a member that is not known here, and nothing unknown is forwarded"));
    }
    let mut own = |id: &Value<'_>, param: &str| {
        let id = id.as_str().ok_or_else(|| bad(param, "is not a string"))?;
        named.push((id.to_owned(), What::File));
        Ok::<_, Refusal>(())
    };
    if let Some(id) = body.present("file_id") {
        own(id, "file_id")?;
    }
    if let Some(ids) = body.present("file_ids") {
        let ids = ids.items().ok_or_else(|| bad("file_ids", "is not an array"))?;
        ids.iter().try_for_each(|id| own(id, "file_ids"))?;
    }
    if let Some(files) = body.present("files") {
        for file in files.items().ok_or_else(|| bad("files", "is not an array"))? {
            let parts = file.members().ok_or_else(|| bad("files", "has an entry that is not an object"))?;
            if parts.iter().any(|(name, _)| !ATTACH.contains(&name.as_ref())) {
                return Err(bad("files", "has a member that is not known here"));
            }
            own(file.get("file_id").unwrap_or(&Value::Null), "files")?;
        }
    }
    Ok(())
}

/// The arguments of a search, under the names of the tool that does the same for a model.
pub fn arguments(store: &str, body: &Value<'_>) -> Value<'static> {
    let ids = Value::Array(vec![Value::string(store.to_owned())]);
    let mut arguments = Value::object([("vector_store_ids", ids)]);
    for (name, value) in body.members().unwrap_or_default() {
        arguments.set(name, value.clone().into_owned());
    }
    arguments
}

/// The body of a search with what rules made of its arguments; why it cannot be one.
pub fn forced(store: &str, arguments: &Value<'_>) -> Result<Value<'static>, &'static str> {
    const KNOWN: [&str; 5] = ["query", "filters", "max_num_results", "ranking_options", "rewrite_query"];
    let mut body = arguments.clone().into_owned();
    let ids = body.remove("vector_store_ids");
    let is_same = ids
        .is_some_and(|ids| ids.items().is_some_and(|ids| matches!(ids, [id] if id.as_str() == Some(store))));
    if !is_same {
        return Err("a rule sets another vector store than the one in the path");
    }
    match body.members() {
        Some(members) if members.iter().all(|(name, _)| KNOWN.contains(&name.as_ref())) => Ok(body),
        Some(_) | None => Err("a rule sets what is no parameter of a search"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn planned(method: &str, path: &str, body: &str) -> Result<Plan, Refusal> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let body = (!body.is_empty()).then(|| json::parse(body.as_bytes(), 16).unwrap());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        plan(&Request::read(&method, path, query, body).unwrap())
    }

    #[track_caller]
    fn check(method: &str, path: &str, body: &str, act: Act, named: &[(&str, What)]) {
        let named = named.iter().map(|(id, what)| ((*id).to_owned(), *what)).collect();
        assert_eq!(planned(method, path, body), Ok(Plan { act, named }), "{method} {path}");
    }

    #[test]
    fn every_id_that_is_named_is_found() {
        let (store, file, batch) = (What::VectorStore, What::File, What::FileBatch);
        check("POST", "/files", "", Act::Upload, &[]);
        check("GET", "/files?after=f&limit=2", "", Act::List(file), &[("f", file)]);
        check("GET", "/files/f/content", "", Act::Content, &[("f", file)]);
        check("DELETE", "/files/f", "", Act::Delete, &[("f", file)]);
        let made = r#"{"name":"x","file_ids":["f","g"]}"#;
        check("POST", "/vector_stores", made, Act::Make(store), &[("f", file), ("g", file)]);
        check("GET", "/vector_stores?after=v", "", Act::List(store), &[("v", store)]);
        check("POST", "/vector_stores/v/search", r#"{"query":"x"}"#, Act::Search, &[("v", store)]);
        let attached = r#"{"file_id":"f","attributes":{"file_id":"ours"}}"#;
        check("POST", "/vector_stores/v/files", attached, Act::Write, &[("v", store), ("f", file)]);
        check("GET", "/vector_stores/v/files?after=f", "", Act::Read, &[("v", store), ("f", file)]);
        check("DELETE", "/vector_stores/v/files/f", "", Act::Write, &[("v", store), ("f", file)]);
        check("GET", "/vector_stores/v/files/f/content", "", Act::Content, &[("v", store), ("f", file)]);
        let batched = r#"{"file_ids":["f"],"files":[{"file_id":"g","attributes":{}}]}"#;
        let named = [("v", store), ("f", file), ("g", file)];
        check("POST", "/vector_stores/v/file_batches", batched, Act::Make(batch), &named);
        check("GET", "/vector_stores/v/file_batches/b/files", "", Act::Read, &[("v", store), ("b", batch)]);
        check(
            "POST",
            "/vector_stores/v/file_batches/b/cancel",
            "",
            Act::Write,
            &[("v", store), ("b", batch)],
        );
    }

    #[test]
    fn nothing_else_is_served() {
        for (method, path, body, status) in [
            ("PUT", "/files", "", 405),
            ("POST", "/files/f", "", 405),
            ("GET", "/files/f/x", "", 404),
            ("GET", "/uploads", "", 404),
            ("GET", "/vector_stores/v/x", "", 404),
            ("DELETE", "/vector_stores", "", 405),
            ("GET", "/vector_stores/v/file_batches/b/x", "", 404),
            ("GET", "/vector_stores?before=v", "", 400),
            ("GET", "/files?project=x", "", 400),
            ("POST", "/vector_stores", r#"{"project":"x"}"#, 400),
            ("POST", "/vector_stores", r#"{"file_ids":"f"}"#, 400),
            ("POST", "/vector_stores", r#"{"file_ids":[1]}"#, 400),
            ("POST", "/vector_stores/v/file_batches", r#"{"files":[{"id":"f"}]}"#, 400),
            ("POST", "/vector_stores/v/files", r#"["f"]"#, 400),
        ] {
            assert_eq!(
                planned(method, path, body).map_err(|refusal| refusal.status()),
                Err(status),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn what_rules_force_stays_a_search_of_the_same_store() {
        let body = json::parse(br#"{"query":"x","max_num_results":5}"#, 8).unwrap();
        let mut arguments = arguments("v", &body);
        assert_eq!(arguments.to_string(), r#"{"vector_store_ids":["v"],"query":"x","max_num_results":5}"#);
        assert_eq!(forced("v", &arguments).unwrap().to_string(), body.to_string());
        arguments.set("filters", Value::object([("type", Value::string("eq"))]));
        let filtered = r#"{"query":"x","max_num_results":5,"filters":{"type":"eq"}}"#;
        assert_eq!(forced("v", &arguments).unwrap().to_string(), filtered);
        arguments.set("vector_store_ids", Value::Array(vec![Value::string("w")]));
        assert!(forced("v", &arguments).is_err());
    }
}

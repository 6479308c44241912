//! The tools of one server: read from its pages, kept by name, written into the lists of tenants.

use super::mirror::{self, Mirror};
use crate::json::{self, Value};

/// Of one server, so many pages are read, and so many tools kept.
pub const PAGES_MAX: usize = 100;
pub const TOOLS_MAX: usize = 10_000;
/// Their definitions together, in bytes.
pub const LIST_BYTES_MAX: usize = 16 << 20;

/// A tool as its server describes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tool {
    /// The server's own name for it.
    pub name: Box<str>,
    /// The other members of its definition, as JSON: `"description":"…",…`.
    rest: Box<[u8]>,
    /// Which arguments its headers repeat.
    pub mirrors: Box<[Mirror]>,
}

impl Tool {
    /// What it holds in memory, about.
    fn weight(&self) -> usize {
        self.name.len() + self.rest.len()
    }

    /// Appends the definition under another name.
    pub fn write_as(&self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"name\":");
        json::write_string(name, out);
        if !self.rest.is_empty() {
            out.push(b',');
            out.extend_from_slice(&self.rest);
        }
        out.push(b'}');
    }
}

/// All tools of a server, sorted by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tools {
    tools: Vec<Tool>,
    /// How many were left out: without a name, or under one that another has too.
    pub left_out: usize,
    /// Those that were left out for what they want repeated in headers.
    pub misdeclared: Vec<Box<str>>,
}

impl Tools {
    /// The tools of all pages. Of those that share a name, none is kept.
    pub fn new(mut found: Vec<Tool>) -> Self {
        let before = found.len();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let mut tools: Vec<Tool> = Vec::with_capacity(found.len());
        let mut twice: Option<Box<str>> = None;
        for tool in found {
            if twice.as_ref() == Some(&tool.name) {
                continue;
            }
            if tools.last().is_some_and(|last| last.name == tool.name) {
                tools.pop();
                twice = Some(tool.name);
                continue;
            }
            tools.push(tool);
        }
        let left_out = before - tools.len();
        Self { tools, left_out, misdeclared: Vec::new() }
    }

    /// The tool of this name.
    pub fn find(&self, name: &str) -> Option<&Tool> {
        self.tools.binary_search_by(|tool| (*tool.name).cmp(name)).ok().and_then(|at| self.tools.get(at))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Tool> {
        self.tools.iter()
    }
}

/// What one page holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub tools: Vec<Tool>,
    /// Tools that cannot be named.
    pub left_out: usize,
    /// Tools that want arguments repeated in headers in a way that clients have to refuse.
    pub misdeclared: Vec<Box<str>>,
    pub next: Option<String>,
}

impl Page {
    /// What it holds in memory, about.
    pub fn weight(&self) -> usize {
        self.tools.iter().map(Tool::weight).sum()
    }
}

/// Reads the result of one `tools/list`. `None` where it is no list of tools.
pub fn page(result: &Value<'_>) -> Option<Page> {
    let listed = result.get("tools")?.items()?;
    let next = match result.present("nextCursor") {
        Some(cursor) => Some(cursor.as_str()?.to_owned()),
        None => None,
    };
    let mut page =
        Page { tools: Vec::with_capacity(listed.len()), left_out: 0, misdeclared: Vec::new(), next };
    for definition in listed {
        let name = definition.get("name").and_then(Value::as_str);
        let usable = |name: &&str| !name.is_empty() && !name.chars().any(char::is_control);
        let Some(name) = name.filter(usable) else {
            page.left_out += 1;
            continue;
        };
        match tool(name, definition) {
            Some(tool) => page.tools.push(tool),
            None => page.misdeclared.push(name.into()),
        }
    }
    Some(page)
}

/// `None` where it wants arguments repeated in headers in a way that clients have to refuse.
fn tool(name: &str, definition: &Value<'_>) -> Option<Tool> {
    let mirrors = mirror::declared(definition.get("inputSchema"))?;
    let mut rest = Vec::new();
    let members = definition.members().unwrap_or_default();
    for (key, value) in members.iter().filter(|(key, _)| key != "name") {
        if !rest.is_empty() {
            rest.push(b',');
        }
        json::write_string(key, &mut rest);
        rest.push(b':');
        json::write(value, &mut rest);
    }
    Some(Tool { name: name.into(), rest: rest.into(), mirrors })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Page> {
        page(&json::parse(text.as_bytes(), 32).unwrap())
    }

    fn names(tools: &Tools) -> Vec<&str> {
        tools.iter().map(|tool| &*tool.name).collect()
    }

    #[test]
    fn a_definition_is_kept_but_for_its_name() {
        let page = read(r#"{"tools":[{"name":"b","x":1.50,"inputSchema":{"type":"object"}},{"name":"a"},{"title":"?"},{"name":""}],"nextCursor":"p2"}"#).unwrap();
        assert_eq!((page.left_out, page.next.as_deref()), (2, Some("p2")));
        let tools = Tools::new(page.tools);
        assert_eq!(names(&tools), ["a", "b"]);
        let mut out = Vec::new();
        tools.find("b").unwrap().write_as("s__b", &mut out);
        tools.find("a").unwrap().write_as("s__a", &mut out);
        let expected = r#"{"name":"s__b","x":1.50,"inputSchema":{"type":"object"}}{"name":"s__a"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert!(tools.find("c").is_none());
    }

    #[test]
    fn tools_that_share_a_name_are_left_out() {
        let listed = r#"{"tools":[{"name":"a"},{"name":"b"},{"name":"a","x":1},{"name":"a"},{"name":"c"}]}"#;
        let tools = Tools::new(read(listed).unwrap().tools);
        assert_eq!((names(&tools), tools.left_out), (vec!["b", "c"], 3));
    }

    #[test]
    fn tools_whose_headers_cannot_be_sent_are_told_by_name() {
        let tool = |name: &str, header: &str| {
            let schema = format!(r#"{{"properties":{{"a":{{"type":"string","x-mcp-header":"{header}"}}}}}}"#);
            format!(r#"{{"name":"{name}","inputSchema":{schema}}}"#)
        };
        let page = read(&format!(r#"{{"tools":[{},{}]}}"#, tool("a", "no token"), tool("b", "B"))).unwrap();
        assert_eq!((page.misdeclared, page.left_out), (vec!["a".into()], 0));
        let tools = Tools::new(page.tools);
        assert_eq!((names(&tools), tools.find("b").unwrap().mirrors.len()), (vec!["b"], 1));
    }

    #[test]
    fn what_is_no_list() {
        for text in ["{}", r#"{"tools":{}}"#, r#"{"tools":[],"nextCursor":7}"#] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}

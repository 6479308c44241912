//! What a server lists, of one kind: read from its pages, kept by name, written into the lists of tenants.

use super::{
    mirror::{self, Mirror},
    names,
};
use crate::json::{self, Value};
use std::collections::BTreeMap;

/// Of one server, so many pages of a list are read.
pub const PAGES_MAX: usize = 100;
/// The definitions of a list together, in bytes.
pub const LIST_BYTES_MAX: usize = 16 << 20;

/// What there are lists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Tools,
    Prompts,
    Resources,
    /// Of resources.
    Templates,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The method that lists it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// What a method lists.
    pub fn listed_by(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// The member of a result that holds the list.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of a definition that says which one it is.
    fn name_key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// How people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Templates => "resource templates",
            Self::Tools | Self::Prompts | Self::Resources => self.key(),
        }
    }

    /// So many are kept of one server.
    pub fn count_max(self) -> usize {
        match self {
            Self::Tools | Self::Prompts | Self::Resources => 10_000,
            // A resource that is in no list is held against each.
            Self::Templates => 1_000,
        }
    }

    /// The name that rules and records have for a server's own one; of a template, the text that all its resources' names
    /// would begin with, were it one of them.
    pub fn ruled(self, server: &str, own: &str) -> String {
        match self {
            Self::Tools => names::combined(server, own),
            Self::Prompts => names::prompt(server, own),
            Self::Resources | Self::Templates => names::resource(server, own),
        }
    }

    /// Whether the merged list has it under its server's name. Resources keep their addresses.
    pub fn is_prefixed(self) -> bool {
        matches!(self, Self::Tools | Self::Prompts)
    }
}

/// A tool, a prompt, a resource or a template as its server describes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Definition {
    /// The server's own name for it: of a resource its URI, of a template the template.
    pub name: Box<str>,
    /// The other members of its definition, as JSON: `"description":"…",…`.
    rest: Box<[u8]>,
    /// Which arguments its headers repeat.
    pub mirrors: Box<[Mirror]>,
}

impl Definition {
    /// What it holds in memory, about.
    pub fn weight(&self) -> usize {
        self.name.len() + self.rest.len()
    }

    /// Appends the definition under another name.
    pub fn write_as(&self, kind: Kind, name: &str, out: &mut Vec<u8>) {
        out.push(b'{');
        json::write_string(kind.name_key(), out);
        out.push(b':');
        json::write_string(name, out);
        if !self.rest.is_empty() {
            out.push(b',');
            out.extend_from_slice(&self.rest);
        }
        out.push(b'}');
    }
}

/// All of one kind that a server has, sorted by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    definitions: Vec<Definition>,
    /// Those that are there and not to be served, by name, and why.
    withheld: BTreeMap<Box<str>, &'static str>,
    /// How many were left out: without a usable name, or under one that another has too.
    pub left_out: usize,
    /// Those that were left out for what they want repeated in headers.
    pub misdeclared: Vec<Box<str>>,
}

impl Definitions {
    /// Those of all pages. Of those that share a name, none is kept.
    pub fn new(mut found: Vec<Definition>) -> Self {
        let before = found.len();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let definitions = without_twins(found, |definition| &definition.name);
        let left_out = before - definitions.len();
        Self { definitions, withheld: BTreeMap::new(), left_out, misdeclared: Vec::new() }
    }

    /// What they hold in memory, about.
    pub fn weight(&self) -> usize {
        self.definitions.iter().map(Definition::weight).sum()
    }

    /// Takes out what there is a reason to withhold, and keeps the reasons.
    pub fn withhold(&mut self, why: impl Fn(&str) -> Option<&'static str>) {
        let Self { definitions, withheld, .. } = self;
        definitions.retain(|definition| {
            let reason = why(&definition.name);
            withheld.extend(reason.map(|reason| (definition.name.clone(), reason)));
            reason.is_none()
        });
    }

    /// Why something that is there is not served.
    pub fn withheld(&self, name: &str) -> Option<&'static str> {
        self.withheld.get(name).copied()
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&Definition> {
        let at = self.definitions.binary_search_by(|definition| (*definition.name).cmp(name));
        at.ok().and_then(|at| self.definitions.get(at))
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.iter()
    }
}

/// Of a sorted list, what shares its name with no other.
pub fn without_twins<T>(sorted: Vec<T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(sorted.len());
    let mut last_is_twin = false;
    for each in sorted {
        let is_twin = kept.last().is_some_and(|last| name(last) == name(&each));
        if !is_twin && last_is_twin {
            kept.pop();
        }
        if !is_twin {
            kept.push(each);
        }
        last_is_twin = is_twin;
    }
    if last_is_twin {
        kept.pop();
    }
    kept
}

/// What one page holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    pub definitions: Vec<Definition>,
    /// Those that cannot be named.
    pub left_out: usize,
    /// Tools that want arguments repeated in headers in a way that clients have to refuse.
    pub misdeclared: Vec<Box<str>>,
    pub next: Option<String>,
}

impl Page {
    /// What it holds in memory, about.
    pub fn weight(&self) -> usize {
        self.definitions.iter().map(Definition::weight).sum()
    }
}

/// Reads the result of one request for a list. `None` where it is no list of this kind.
pub fn page(kind: Kind, result: &Value<'_>) -> Option<Page> {
    let listed = result.get(kind.key())?.items()?;
    let next = match result.present("nextCursor") {
        Some(cursor) => Some(cursor.as_str()?.to_owned()),
        None => None,
    };
    let mut page =
        Page { definitions: Vec::with_capacity(listed.len()), left_out: 0, misdeclared: Vec::new(), next };
    for each in listed {
        let name = each.get(kind.name_key()).and_then(Value::as_str);
        let is_usable = |name: &&str| {
            let passes_for_another = kind == Kind::Tools && names::is_reserved(name);
            !name.is_empty() && !name.chars().any(char::is_control) && !passes_for_another
        };
        let Some(name) = name.filter(is_usable) else {
            page.left_out += 1;
            continue;
        };
        match definition(kind, name, each) {
            Some(definition) => page.definitions.push(definition),
            None => page.misdeclared.push(name.into()),
        }
    }
    Some(page)
}

/// `None` where it wants arguments repeated in headers in a way that clients have to refuse.
fn definition(kind: Kind, name: &str, definition: &Value<'_>) -> Option<Definition> {
    let mirrors = match kind {
        Kind::Tools => mirror::declared(definition.get("inputSchema"))?,
        Kind::Prompts | Kind::Resources | Kind::Templates => Box::default(),
    };
    let mut rest = Vec::new();
    let members = definition.members().unwrap_or_default();
    for (key, value) in members.iter().filter(|(key, _)| key != kind.name_key()) {
        if !rest.is_empty() {
            rest.push(b',');
        }
        json::write_string(key, &mut rest);
        rest.push(b':');
        json::write(value, &mut rest);
    }
    Some(Definition { name: name.into(), rest: rest.into(), mirrors })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(kind: Kind, text: &str) -> Option<Page> {
        page(kind, &json::parse(text.as_bytes(), 32).unwrap())
    }

    fn names(list: &Definitions) -> Vec<&str> {
        list.iter().map(|definition| &*definition.name).collect()
    }

    #[test]
    fn a_definition_is_kept_but_for_its_name() {
        let page = read(Kind::Tools, r#"{"tools":[{"name":"b","x":1.50,"inputSchema":{"type":"object"}},{"name":"a"},{"title":"?"},{"name":""}],"nextCursor":"p2"}"#).unwrap();
        assert_eq!((page.left_out, page.next.as_deref()), (2, Some("p2")));
        let tools = Definitions::new(page.definitions);
        assert_eq!(names(&tools), ["a", "b"]);
        let mut out = Vec::new();
        tools.find("b").unwrap().write_as(Kind::Tools, "s__b", &mut out);
        tools.find("a").unwrap().write_as(Kind::Tools, "s__a", &mut out);
        let expected = r#"{"name":"s__b","x":1.50,"inputSchema":{"type":"object"}}{"name":"s__a"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert!(tools.find("c").is_none());
    }

    #[test]
    fn each_kind_is_named_by_its_own_member() {
        for (kind, key, text) in [
            (Kind::Prompts, "a", r#"{"prompts":[{"name":"a","uri":"b","uriTemplate":"c"}]}"#),
            (Kind::Resources, "b", r#"{"resources":[{"name":"a","uri":"b","uriTemplate":"c"}]}"#),
            (Kind::Templates, "c", r#"{"resourceTemplates":[{"name":"a","uri":"b","uriTemplate":"c"}]}"#),
        ] {
            let list = Definitions::new(read(kind, text).unwrap().definitions);
            assert_eq!(names(&list), [key]);
            let mut out = Vec::new();
            list.find(key).unwrap().write_as(kind, "d", &mut out);
            let written = json::parse(&out, 8).unwrap();
            assert_eq!(written.members().unwrap().len(), 3, "{written}");
            assert_eq!(written.get(kind.name_key()), Some(&Value::string("d")));
            assert!(read(Kind::Tools, text).is_none());
            assert_eq!(Kind::listed_by(kind.method()), Some(kind));
        }
        assert_eq!(Kind::listed_by("tools/call"), None);
    }

    #[test]
    fn a_tool_cannot_pass_for_something_else() {
        let listed = r#"{"tools":[{"name":"prompt__a"},{"name":"resource__a"},{"name":"sampling"},{"name":"elicitation"},{"name":"roots"},{"name":"prompt"}]}"#;
        let page = read(Kind::Tools, listed).unwrap();
        assert_eq!((page.definitions.len(), page.left_out), (1, 5));
        let listed = listed.replace("tools", "prompts");
        assert_eq!(read(Kind::Prompts, &listed).unwrap().definitions.len(), 6);
    }

    #[test]
    fn tools_whose_headers_cannot_be_sent_are_told_by_name() {
        let tool = |name: &str, header: &str| {
            let schema = format!(r#"{{"properties":{{"a":{{"type":"string","x-mcp-header":"{header}"}}}}}}"#);
            format!(r#"{{"name":"{name}","inputSchema":{schema}}}"#)
        };
        let listed = format!(r#"{{"tools":[{},{}]}}"#, tool("a", "no token"), tool("b", "B"));
        let page = read(Kind::Tools, &listed).unwrap();
        assert_eq!((page.misdeclared, page.left_out), (vec!["a".into()], 0));
        let tools = Definitions::new(page.definitions);
        assert_eq!((names(&tools), tools.find("b").unwrap().mirrors.len()), (vec!["b"], 1));
    }

    #[test]
    fn what_is_no_list() {
        for text in ["{}", r#"{"tools":{}}"#, r#"{"tools":[],"nextCursor":7}"#] {
            assert!(read(Kind::Tools, text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn those_that_share_a_name_are_left_out(listed in proptest::collection::vec("[a-d]", 0..9)) {
            let members: Vec<String> = listed.iter().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect();
            let text = format!(r#"{{"tools":[{}]}}"#, members.join(","));
            let tools = Definitions::new(read(Kind::Tools, &text).unwrap().definitions);
            let mut expected: Vec<&str> = listed.iter().map(String::as_str).collect();
            expected.retain(|name| listed.iter().filter(|other| other == name).count() == 1);
            expected.sort_unstable();
            prop_assert_eq!(names(&tools), expected);
            prop_assert_eq!(tools.iter().count() + tools.left_out, listed.len());
        }
    }
}

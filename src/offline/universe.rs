//! All names of tools that a configuration knows of: those that rules, tests and upstreams name, and for each glob a
//! name that stands for whatever else it matches. So can what is true of all names be shown on a few.

use super::Configuration;
use crate::{
    config::raw::{self, UpstreamKind},
    policy::glob::Glob,
    snapshot::{Snapshot, ToolKind},
};
use std::collections::{BTreeMap, BTreeSet};

/// Stands for any run of characters, in a name that stands for a glob: no rule names it.
const ANY: char = '\u{e000}';
/// So long is a run of any characters.
const RUN: usize = 24;
/// What can be done with a vector store.
const STORE_OPERATIONS: [&str; 6] = ["count", "delete", "get", "manage", "query", "write"];

/// A name, or all names of a form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    Exact(String),
    /// Every other name that matches this glob.
    Glob(String),
    /// Every other name that matches both.
    Both(String, String),
}

impl Name {
    /// A name as it is written in a list of globs.
    pub fn written(text: &str) -> Self {
        if text.contains(['*', '?']) { Self::Glob(text.to_owned()) } else { Self::Exact(text.to_owned()) }
    }

    /// A name to be decided that stands for these; `None` where there is none.
    pub fn sample(&self) -> Option<String> {
        match self {
            Self::Exact(name) => Some(name.clone()),
            // A run that no number of `?` is meant for: a glob with those in its place is a narrower one.
            Self::Glob(glob) => {
                Some(glob.replace('*', &ANY.to_string().repeat(RUN)).replace('?', &ANY.to_string()))
            }
            Self::Both(a, b) => common(a, b),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) | Self::Glob(name) => f.write_str(name),
            Self::Both(a, b) => write!(f, "names like both {a} and {b}"),
        }
    }
}

/// The names of a configuration, and where each is known from if not from a rule.
#[derive(Debug, Clone, Default)]
pub struct Universe {
    names: BTreeSet<Name>,
    /// Tools of an upstream, by its name.
    upstreams: BTreeMap<String, BTreeSet<String>>,
}

impl Universe {
    /// The names in the rules, keys and upstreams of a configuration, and those that its tests call.
    pub fn of(configuration: &Configuration, tested: impl IntoIterator<Item = String>) -> Self {
        let mut universe = Self::of_snapshot(&configuration.snapshot);
        universe.names.extend(tested.into_iter().map(Name::Exact));
        // A configuration that is only read has no upstreams to speak to.
        let gateway = configuration.loaded.gateway.as_ref();
        for (name, upstream) in gateway.iter().flat_map(|gateway| &gateway.upstreams.0) {
            universe.upstream(&name.value, upstream);
        }
        universe
    }

    /// The names in the rules, keys and upstreams of a configuration that runs.
    pub fn of_snapshot(snapshot: &Snapshot) -> Self {
        let mut universe = Self::default();
        for member in snapshot.directory.iter() {
            let rules = member.tenant().policy.rules().iter().flat_map(|rule| rule.tools.iter());
            let keys = member.keys().flat_map(|key| key.tools.iter().flat_map(|globs| globs.iter()));
            universe.names.extend(rules.chain(keys).map(|glob| Name::written(glob.as_str())));
        }
        for (name, api) in &snapshot.tool_apis {
            match &api.kind {
                ToolKind::Http(operations) => universe.tools(name, operations.names()),
                ToolKind::Store { .. } => universe.tools(name, STORE_OPERATIONS.into_iter()),
            }
        }
        for server in &snapshot.servers {
            universe.tools(server.name(), std::iter::once("*"));
        }
        universe
    }

    fn upstream(&mut self, name: &str, upstream: &raw::Upstream) {
        let operations: Vec<&str> = match upstream.kind.value {
            UpstreamKind::Http => upstream.operations.0.iter().map(|(name, _)| name.value.as_str()).collect(),
            UpstreamKind::Chroma
            | UpstreamKind::Opensearch
            | UpstreamKind::Pinecone
            | UpstreamKind::Qdrant
            | UpstreamKind::Weaviate => STORE_OPERATIONS.to_vec(),
            UpstreamKind::Mcp => vec!["*"],
            UpstreamKind::Anthropic | UpstreamKind::Openai => return,
        };
        self.tools(name, operations.into_iter());
    }

    fn tools<'n>(&mut self, upstream: &str, operations: impl Iterator<Item = &'n str>) {
        for operation in operations {
            let tool = format!("{upstream}__{operation}");
            self.names.insert(Name::written(&tool));
            self.upstreams.entry(upstream.to_owned()).or_default().insert(tool);
        }
    }

    /// The names of both.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        for (upstream, tools) in other.upstreams {
            self.upstreams.entry(upstream).or_default().extend(tools);
        }
        self
    }

    /// All names, sorted: exact ones, then globs.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.names.iter()
    }

    /// Upstreams that are called as tools, and the tools of each as they are named or as globs.
    pub fn upstreams(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.upstreams.iter().map(|(name, tools)| (name.as_str(), tools))
    }
}

/// A name that matches both globs and, where it can be, nothing that either of them does not ask for.
fn common(a: &str, b: &str) -> Option<String> {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let width = right.len() + 1;
    // What is left of each -> what begins a common name there: nothing, or a character and where to go on.
    let mut steps: Vec<Option<Step>> = vec![None; (left.len() + 1) * width];
    for i in (0..=left.len()).rev() {
        for j in (0..=right.len()).rev() {
            let goes_on = |i: usize, j: usize| steps.get(i * width + j).is_some_and(Option::is_some);
            let step = step((left.get(i).copied(), i), (right.get(j).copied(), j), goes_on);
            if let Some(place) = steps.get_mut(i * width + j) {
                *place = step;
            }
        }
    }
    let (mut i, mut j, mut name) = (0, 0, String::new());
    loop {
        match steps.get(i * width + j).copied().flatten()? {
            Step::End => break,
            Step::To(c, to_i, to_j) => {
                name.extend(c);
                (i, j) = (to_i, to_j);
            }
        }
    }
    (Glob::new(a).matches(&name) && Glob::new(b).matches(&name)).then_some(name)
}

#[derive(Debug, Clone, Copy)]
enum Step {
    End,
    To(Option<char>, usize, usize),
}

fn step(
    (a, i): (Option<char>, usize),
    (b, j): (Option<char>, usize),
    goes_on: impl Fn(usize, usize) -> bool,
) -> Option<Step> {
    let to = |c: Option<char>, i: usize, j: usize| goes_on(i, j).then_some(Step::To(c, i, j));
    let literal = |c: char| Some(if c == '?' { ANY } else { c });
    match (a, b) {
        (None, None) => Some(Step::End),
        // Something where both allow anything, so that it is a name like no other.
        (Some('*'), Some('*')) => to(Some(ANY), i + 1, j).or_else(|| to(Some(ANY), i, j + 1)),
        (Some('*'), Some(c)) => to(literal(c), i, j + 1).or_else(|| to(None, i + 1, j)),
        (Some(c), Some('*')) => to(literal(c), i + 1, j).or_else(|| to(None, i, j + 1)),
        (Some('*'), None) => to(None, i + 1, j),
        (None, Some('*')) => to(None, i, j + 1),
        (Some('?'), Some(c)) | (Some(c), Some('?')) => to(literal(c), i + 1, j + 1),
        (Some(a), Some(b)) if a == b => to(Some(a), i + 1, j + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_two_globs_share() {
        let check = |a: &str, b: &str, expected: Option<&str>| {
            let found = common(a, b).map(|name| name.replace(ANY, "~"));
            assert_eq!(found.as_deref(), expected, "{a} {b}");
            assert_eq!(common(b, a).is_some(), expected.is_some(), "{b} {a}");
        };
        check("crm__*", "*__delete_*", Some("crm__~__delete_~"));
        check("crm__*", "kb__*", None);
        check("a", "a", Some("a"));
        check("a", "b", None);
        check("a*", "*a", Some("a~a"));
        check("a?", "?b", Some("ab"));
        check("*", "x*", Some("x~"));
        check("a*b", "a*c", None);
    }

    proptest! {
        #[test]
        fn a_common_name_is_found_wherever_there_is_one(a in "[ab*?]{0,5}", b in "[ab*?]{0,5}", name in "[ab]{0,6}") {
            let (left, right) = (Glob::new(&a), Glob::new(&b));
            let found = common(&a, &b);
            if let Some(found) = &found {
                prop_assert!(left.matches(found) && right.matches(found));
            }
            prop_assert!(found.is_some() || !(left.matches(&name) && right.matches(&name)));
        }

        #[test]
        fn a_glob_matches_its_sample(glob in "[ab*?]{1,6}") {
            let sample = Name::written(&glob).sample().unwrap();
            prop_assert!(Glob::new(&glob).matches(&sample));
        }
    }
}

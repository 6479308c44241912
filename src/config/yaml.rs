//! YAML text into a tree in which every node knows its place. Refuses what hides meaning or can be blown up:
//! aliases, anchors, merge keys, tags, directives, several documents, duplicate keys, deep nesting, huge files.
//! Apart because it is the only file that knows the parser.

use std::{borrow::Cow, collections::HashMap};

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Tag, options};

use super::{
    files::{FileId, Mark, Span},
    mask,
    problem::Problem,
};

/// Largest file, in bytes.
pub(crate) const FILE_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting of maps and lists.
const DEPTH_MAX: usize = 64;
/// Most nodes in a file.
const NODES_MAX: usize = 500_000;

/// A part of a document and its place. The mark of a quoted scalar is that of the text between the quotes.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) value: Value<'a>,
    pub(crate) at: Mark,
    pub(crate) span: Span,
}

#[derive(Debug)]
pub(crate) enum Value<'a> {
    /// Was refused already; nothing more is to be said about it.
    Broken,
    List(Vec<Node<'a>>),
    Map(Vec<(Node<'a>, Node<'a>)>),
    Scalar(Scalar<'a>),
}

/// The text of a scalar. A plain one may mean a number, true, false or nothing; a quoted one is always text.
#[derive(Debug)]
pub(crate) struct Scalar<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Quoted,
}

impl<'a> Node<'a> {
    pub(crate) fn scalar(&self) -> Option<&Scalar<'a>> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Broken | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar().map(|scalar| scalar.text.as_ref())
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            Value::Broken | Value::Map(_) | Value::Scalar(_) => None,
        }
    }

    pub(crate) fn map(&self) -> Option<&[(Self, Self)]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Broken | Value::List(_) | Value::Scalar(_) => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }
}

/// Reads one document. Without a tree the problems say why.
pub(crate) fn parse(file: FileId, text: &str) -> (Option<Node<'_>>, Vec<Problem>) {
    let options = options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut builder =
        Builder { file, open: Vec::new(), root: None, documents: 0, nodes: 0, problems: Vec::new() };
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => Err(syntax(file, &error)),
        };
        if let Err(problem) = step {
            builder.problems.push(problem);
            return (None, builder.problems);
        }
    }
    if builder.root.is_none() && builder.problems.is_empty() {
        let start = Mark { file, line: 1, col: 1, len: 1 };
        builder.problems.push(Problem::error("empty-file", start, "the file is empty"));
    }
    (builder.root, builder.problems)
}

enum Open<'a> {
    List { at: Mark, span: Span, items: Vec<Node<'a>> },
    Map { at: Mark, span: Span, entries: Vec<(Node<'a>, Node<'a>)>, key: Option<Node<'a>> },
}

struct Builder<'a> {
    file: FileId,
    open: Vec<Open<'a>>,
    root: Option<Node<'a>>,
    documents: usize,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn event(&mut self, event: Event<'a>, span: &granit_parser::Span) -> Result<(), Problem> {
        let at = mark(self.file, span);
        let bytes = bytes(span);
        match event {
            Event::DocumentStart(..) => return self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_only(at, anchor, tag.as_deref());
                let empty = bytes.start == bytes.end && style == ScalarStyle::Plain;
                return self.scalar(if empty { Cow::Borrowed("") } else { text }, style, (at, bytes));
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.plain_only(at, anchor, tag.as_deref());
                return self.push_open(Open::List { at: first_char(at), span: bytes, items: Vec::new() }, at);
            }
            Event::MappingStart(_, anchor, tag) => {
                self.plain_only(at, anchor, tag.as_deref());
                let open = Open::Map { at: first_char(at), span: bytes, entries: Vec::new(), key: None };
                return self.push_open(open, at);
            }
            Event::SequenceEnd | Event::MappingEnd => return self.close(bytes.end),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.problems.push(
                    Problem::error("alias", at, "YAML aliases are not supported here")
                        .hint("write the value out, or quote it if the `*` is meant: \"*\""),
                );
                return self.add(Node { value: Value::Broken, at, span: bytes });
            }
            _ => {}
        }
        Ok(())
    }

    fn document(&mut self, at: Mark) -> Result<(), Problem> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(Problem::error("several-documents", at, "a second document begins here")
                .hint("a file holds one document: remove the `---`"));
        }
        Ok(())
    }

    fn plain_only(&mut self, at: Mark, anchor: usize, tag: Option<&Tag>) {
        if anchor != 0 {
            self.problems.push(Problem::error("anchor", at, "YAML anchors (`&name`) are not supported here"));
        }
        if tag.is_some() {
            self.problems.push(
                Problem::error("tag", at, "YAML tags (`!name`) are not supported here")
                    .hint("quote the value if it is text that begins with `!`"),
            );
        }
    }

    fn scalar(&mut self, text: Cow<'a, str>, style: ScalarStyle, place: (Mark, Span)) -> Result<(), Problem> {
        let (at, span) = place;
        let (at, style) = match style {
            ScalarStyle::Plain => (at, Style::Plain),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let inner = Mark { col: at.col + 1, len: at.len.saturating_sub(2).max(1), ..at };
                (inner, Style::Quoted)
            }
            ScalarStyle::Literal | ScalarStyle::Folded => (at, Style::Quoted),
        };
        self.add(Node { value: Value::Scalar(Scalar { text, style }), at, span })
    }

    fn push_open(&mut self, open: Open<'a>, at: Mark) -> Result<(), Problem> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(at));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, end: u32) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let node = match open {
            Open::List { at, span, items } => {
                Node { value: Value::List(items), at, span: Span { end, ..span } }
            }
            Open::Map { at, span, entries, key: _ } => {
                duplicates(&entries, &mut self.problems);
                Node { value: Value::Map(entries), at, span: Span { end, ..span } }
            }
        };
        self.add(node)
    }

    fn add(&mut self, node: Node<'a>) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("the file holds more than {NODES_MAX} values");
            return Err(Problem::error("too-large", node.at, message));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match key.take() {
                Some(name) => entries.push((name, node)),
                None => *key = Some(checked_key(node, &mut self.problems)),
            },
        }
        Ok(())
    }
}

fn checked_key<'a>(node: Node<'a>, problems: &mut Vec<Problem>) -> Node<'a> {
    match &node.value {
        Value::Scalar(Scalar { text, style: Style::Plain }) if text == "<<" => {
            problems.push(
                Problem::error("merge-key", node.at, "YAML merge keys (`<<`) are not supported here")
                    .hint("write the keys out, or put what tenants share under `defaults`"),
            );
            Node { value: Value::Broken, ..node }
        }
        Value::Map(_) | Value::List(_) => {
            problems.push(Problem::error("bad-key", node.at, "a key must be text"));
            Node { value: Value::Broken, ..node }
        }
        Value::Broken | Value::Scalar(_) => node,
    }
}

fn duplicates(entries: &[(Node<'_>, Node<'_>)], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<&str, Mark> = HashMap::with_capacity(entries.len());
    for (key, _) in entries {
        let Some(name) = key.text() else { continue };
        if let Some(first) = seen.get(name) {
            problems.push(
                Problem::error("duplicate-key", key.at, format!("duplicate key {}", mask::quoted_key(name)))
                    .see("first here", *first),
            );
        } else {
            seen.insert(name, key.at);
        }
    }
}

fn mark(file: FileId, span: &granit_parser::Span) -> Mark {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let len = number(span.end.index().saturating_sub(span.start.index())).max(1);
    Mark { file, line: number(span.start.line()), col: number(span.start.col()).saturating_add(1), len }
}

fn first_char(at: Mark) -> Mark {
    Mark { len: 1, ..at }
}

fn bytes(span: &granit_parser::Span) -> Span {
    let range = span.byte_range().unwrap_or(0..0);
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span { start: number(range.start), end: number(range.end) }
}

fn too_deep(at: Mark) -> Problem {
    Problem::error("too-deep", at, format!("nested deeper than {DEPTH_MAX} levels"))
}

fn syntax(file: FileId, error: &ScanError) -> Problem {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let place = error.marker();
    let at = Mark { file, line: number(place.line()), col: number(place.col()).saturating_add(1), len: 1 };
    let say = |text: &str| Problem::error("bad-yaml", at, text);
    match error.kind() {
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed => {
            say("a tab where YAML allows only spaces").hint("indent with spaces")
        }
        ErrorKind::UnclosedQuotedScalar => say("this quote is never closed"),
        ErrorKind::UnclosedFlowCollection { open } => say(&format!("this `{open}` is never closed")),
        ErrorKind::MappingValueNotAllowed => say("a second `:` on this line")
            .hint("quote the value if the `: ` is part of it, or begin a new line"),
        ErrorKind::MissingAnchorOrAliasName => {
            say("a value cannot begin with `*` or `&`").hint("quote the value: \"*\"")
        }
        ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedDocumentStart
        | ErrorKind::InvalidIndentation => {
            say("this line does not fit the ones above it").hint("check how far it is indented")
        }
        ErrorKind::UnexpectedCharacter { character: '@' | '`' } => {
            say("a value cannot begin with this character").hint("quote the value")
        }
        ErrorKind::RecursionLimitExceeded => too_deep(at),
        ErrorKind::DirectiveDisallowed => say("YAML directives (`%…`) are not supported here"),
        ErrorKind::BomInsideDocument => say("a byte order mark inside the file"),
        kind => say(&kind.to_string()),
    }
}

//! What is wrong with a configuration, and how it is shown: as text with the line and a caret, or as JSON.
//! Apart because loading, compiling and linting all add to one list, and only this file turns it into words.

use serde_json::{Value, json};

use super::files::{Files, Mark};

/// Whether the configuration can be used in spite of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

impl Severity {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong. The texts never hold a value of the configuration that could be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// Stable, kebab-case: `unknown-key`, `wrong-type`, `bad-rate`, …
    pub code: &'static str,
    pub message: String,
    pub at: Option<Mark>,
    /// What helps: without a mark a hint, with one another place that has to do with it.
    pub notes: Vec<(String, Option<Mark>)>,
}

impl Problem {
    /// An error at a place.
    pub fn error(code: &'static str, at: impl Into<Option<Mark>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), at: at.into(), notes: Vec::new() }
    }

    /// A warning at a place.
    pub fn warning(code: &'static str, at: impl Into<Option<Mark>>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, at, message) }
    }

    /// With advice on what to do.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.notes.push((text.into(), None));
        self
    }

    /// With another place that has to do with it.
    #[must_use]
    pub fn see(mut self, text: impl Into<String>, at: Mark) -> Self {
        self.notes.push((text.into(), Some(at)));
        self
    }
}

/// Whether the text is for a terminal that shows colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Ansi,
    Plain,
}

impl Colour {
    /// A text in the colours of an ANSI code such as `1;31`.
    pub fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}

const BOLD: &str = "1";
const BLUE: &str = "1;34";
const RED: &str = "1;31";
const YELLOW: &str = "1;33";

/// All problems as text, in order of their places, a blank line between two.
pub fn to_text(problems: &[Problem], files: &Files, colour: Colour) -> String {
    let blocks: Vec<String> =
        sorted(problems).into_iter().map(|problem| block(problem, files, colour)).collect();
    blocks.join("\n")
}

/// All problems as an array of `{severity, code, message, file, line, col, hint}`; what does not apply is null.
pub fn to_json(problems: &[Problem], files: &Files) -> Value {
    sorted(problems).into_iter().map(|problem| object(problem, files)).collect()
}

pub(super) fn sorted(problems: &[Problem]) -> Vec<&Problem> {
    let mut all: Vec<&Problem> = problems.iter().collect();
    all.sort_by_key(|problem| problem.at);
    all
}

fn object(problem: &Problem, files: &Files) -> Value {
    let hints = hints(problem, files);
    json!({
        "severity": problem.severity.as_str(),
        "code": problem.code,
        "message": problem.message,
        "file": problem.at.map(|at| files.path(at.file)),
        "line": problem.at.map(|at| at.line),
        "col": problem.at.map(|at| at.col),
        "hint": (!hints.is_empty()).then(|| hints.join("; ")),
    })
}

/// What helps, each with its place where it has one.
pub(super) fn hints(problem: &Problem, files: &Files) -> Vec<String> {
    let hint = |(text, at): &(String, Option<Mark>)| {
        at.map_or_else(|| text.clone(), |at| format!("{text} ({})", spot(at, files)))
    };
    problem.notes.iter().map(hint).collect()
}

fn spot(at: Mark, files: &Files) -> String {
    format!("{}:{}:{}", files.path(at.file), at.line, at.col)
}

fn block(problem: &Problem, files: &Files, colour: Colour) -> String {
    let tone = match problem.severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
    };
    let widest = problem.notes.iter().filter_map(|(_, at)| *at).chain(problem.at).map(|at| at.line).max();
    let margin = widest.unwrap_or(0).to_string().len();
    let mut out = format!(
        "{}{}\n",
        colour.paint(tone, &format!("{}[{}]", problem.severity.as_str(), problem.code)),
        colour.paint(BOLD, &format!(": {}", problem.message))
    );
    let page = Page { files, colour, margin };
    if let Some(at) = problem.at {
        page.excerpt(&mut out, at, "-->", (tone, '^', ""));
    }
    for (text, at) in &problem.notes {
        match at {
            Some(at) => page.excerpt(&mut out, *at, ":::", (BLUE, '-', text)),
            None => page.row(&mut out, "", &format!("{} {text}", colour.paint(BLUE, "= help:"))),
        }
    }
    out
}

struct Page<'a> {
    files: &'a Files,
    colour: Colour,
    margin: usize,
}

impl Page<'_> {
    fn row(&self, out: &mut String, number: &str, text: &str) {
        let gutter = self.colour.paint(BLUE, &format!("{number:>width$}", width = self.margin));
        let row = format!("{gutter} {text}");
        out.push_str(row.trim_end());
        out.push('\n');
    }

    fn excerpt(&self, out: &mut String, at: Mark, arrow: &str, (tone, caret, label): (&str, char, &str)) {
        let arrow = self.colour.paint(BLUE, arrow);
        let pad = " ".repeat(self.margin);
        out.push_str(&format!("{pad}{arrow} {}\n", spot(at, self.files)));
        let bar = self.colour.paint(BLUE, "|");
        let Some(line) = self.files.line(at) else { return self.label(out, label) };
        self.row(out, "", &bar);
        self.row(out, &at.line.to_string(), &format!("{bar} {}", line.text));
        let under = format!("{} {label}", caret.to_string().repeat(line.carets));
        let under = self.colour.paint(tone, under.trim_end());
        self.row(out, "", &format!("{bar} {}{under}", " ".repeat(line.caret)));
    }

    fn label(&self, out: &mut String, label: &str) {
        if !label.is_empty() {
            self.row(out, "", &format!("{} {label}", self.colour.paint(BLUE, "= note:")));
        }
    }
}

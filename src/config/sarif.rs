//! Problems as SARIF 2.1.0, which code scanning services read. What a rule means is taken from `docs/lints.md`.

use super::{
    files::{Files, Mark},
    lint::LINTS,
    problem::{Problem, Severity, hints, sorted},
};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/lints.md");
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// All problems as one run, in order of their places.
pub fn to_sarif(problems: &[Problem], files: &Files) -> Value {
    let problems = sorted(problems);
    let mut codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let results: Vec<Value> = problems.into_iter().map(|problem| result(problem, files, &codes)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "tollgate",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Value {
    let about = LINTS.iter().find(|lint| lint.code == code).map(|lint| lint.about);
    let about = about
        .map_or_else(|| format!("The configuration is wrong: {}.", code.replace('-', " ")), str::to_owned);
    let help = section(code).unwrap_or(&about);
    json!({
        "id": code,
        "shortDescription": { "text": about },
        "help": { "text": help, "markdown": help },
    })
}

/// What the page says under the heading of a code.
pub(super) fn section(code: &str) -> Option<&'static str> {
    let (_, after) = PAGE.split_once(&format!("\n## {code}\n"))?;
    Some(after.split("\n## ").next().unwrap_or(after).trim())
}

fn result(problem: &Problem, files: &Files, codes: &[&str]) -> Value {
    let message: Vec<String> =
        std::iter::once(problem.message.clone()).chain(hints(problem, files)).collect();
    let related: Vec<Value> = (1..)
        .zip(problem.notes.iter().filter_map(|(text, at)| Some((text, (*at)?))))
        .map(|(id, (text, at))| {
            json!({ "id": id, "message": { "text": text }, "physicalLocation": physical(at, files) })
        })
        .collect();
    let mut result = json!({
        "ruleId": problem.code,
        "ruleIndex": codes.iter().position(|code| *code == problem.code),
        "level": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": { "text": message.join("\n") },
        "locations": problem.at.map(|at| json!({ "physicalLocation": physical(at, files) })).into_iter().collect::<Vec<_>>(),
    });
    if let (Some(members), false) = (result.as_object_mut(), related.is_empty()) {
        members.insert("relatedLocations".to_owned(), related.into());
    }
    result
}

fn physical(at: Mark, files: &Files) -> Value {
    json!({
        "artifactLocation": { "uri": uri(files.path(at.file)) },
        "region": { "startLine": at.line, "startColumn": at.col, "endColumn": at.col.saturating_add(at.len) },
    })
}

/// A path as an URI: relative to where the command runs, as the path is; an absolute one as a file.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let path = path.strip_prefix("./").unwrap_or(path);
    let escaped: String = path
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    if path.starts_with('/') { format!("file://{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_an_uri() {
        let check = |path: &str, expected: &str| assert_eq!(uri(path), expected, "{path}");
        check("config/tenants/acme.yaml", "config/tenants/acme.yaml");
        check("./a b/ä.yaml", "a%20b/%C3%A4.yaml");
        check("/srv/100%/x:y.yaml", "file:///srv/100%25/x%3Ay.yaml");
    }

    #[test]
    fn every_lint_has_its_section() {
        let headings: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let codes: Vec<&str> = LINTS.iter().map(|lint| lint.code).collect();
        assert_eq!(headings, codes, "docs/lints.md and the registry differ");
        for code in codes {
            let text = section(code).unwrap();
            assert!(text.contains("```yaml") || code == "not-enforced-yet", "{code} has no example");
            assert!(text.len() > 100, "{code} says too little");
        }
    }
}

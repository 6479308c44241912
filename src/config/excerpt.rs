//! The files of a configuration that runs, kept so that a rule can be shown in its own words. What is secret in them
//! stays hidden, as in every message (`mask`).

use super::{
    Files, Loaded,
    compile::{inner_path, shown_dir},
    files::Source,
    mask,
};
use std::sync::Arc;

/// More text than this is not kept: rules are then named by their place alone.
const TEXTS_BYTES_MAX: usize = 64 << 20;
/// No more lines of a rule are shown.
const LINES_MAX: usize = 60;

/// The texts of a configuration's files.
#[derive(Debug)]
pub struct Texts {
    hash: Arc<str>,
    shown_dir: String,
    files: Files,
}

/// Some lines of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The number of the first line.
    pub first: u32,
    pub lines: Vec<String>,
}

impl Texts {
    /// The texts of what was loaded.
    pub fn of(loaded: &Loaded) -> Self {
        let bytes: usize = loaded.files.texts().map(str::len).sum();
        let files = if bytes <= TEXTS_BYTES_MAX { loaded.files.clone() } else { Files::default() };
        Self { hash: loaded.hash.as_str().into(), shown_dir: shown_dir(loaded), files }
    }

    /// The hash of the configuration that these are of.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The lines of the rule at a place, such as `tenants/acme.yaml:14`.
    pub fn rule(&self, place: &str) -> Option<Excerpt> {
        let (path, line) = place.rsplit_once(':')?;
        let line: usize = line.parse().ok()?;
        let source =
            self.files.sources().find(|source| inner_path(&source.shown, &self.shown_dir) == path)?;
        excerpt(source, line.checked_sub(1)?)
    }
}

/// The item of a list that stands on a line, counted from 0.
fn excerpt(source: &Source, line: usize) -> Option<Excerpt> {
    let text = source.text.as_deref()?;
    let lines: Vec<&str> = mask::lines(text).map(|(_, line)| line).collect();
    let above = line.checked_sub(1).and_then(|above| lines.get(above));
    let first = if above.is_some_and(|above| above.trim() == "-") { line - 1 } else { line };
    let base = indent(lines.get(first)?);
    let rest = lines.iter().skip(first + 1);
    let more = rest.take_while(|line| line.trim().is_empty() || indent(line) > base).count();
    let last = lines.iter().take(first + 1 + more).rposition(|line| !line.trim().is_empty())?;
    let end = last.max(first).saturating_add(1).min(first + LINES_MAX);
    let lines = mask::concealed(text, source, first..end);
    Some(Excerpt { first: u32::try_from(first).ok()?.checked_add(1)?, lines })
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;
    use std::fs;

    const TENANT: &str = "tenant: acme
keys:
  - { id: prod, sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1 }
models: [\"gpt-*\"]
tools:
  # What everybody may do.
  - allow: [\"get_*\"]
  - allow: transfer
    args:
      amount: { max: 100 }

    set: { api_key: hunter2, note: plain }
    when: >
      args.token == 'x'

  -
    deny: shell
    reason: No.
  - { allow: open, set: { password: 'hunter2', a: b } }
  - allow: nested
    set:
      secret:
        deep: hunter2
      other: shown
budget: 50 USD/day
";

    fn texts() -> (tempfile::TempDir, Texts) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("tenants")).unwrap();
        fs::write(dir.path().join("tollgate.yaml"), "tenants: tenants/\nadmin_token: hunter2\n").unwrap();
        fs::write(dir.path().join("tenants/acme.yaml"), TENANT).unwrap();
        let texts = Texts::of(&load(&dir.path().join("tollgate.yaml")));
        (dir, texts)
    }

    #[test]
    fn a_rule_is_shown_from_its_first_to_its_last_line() {
        let (_dir, texts) = texts();
        let check = |line: u32, first: u32, lines: &[&str]| {
            let found = texts.rule(&format!("tenants/acme.yaml:{line}"));
            let lines = lines.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(found, Some(Excerpt { first, lines }), "{line}");
        };
        check(7, 7, &["  - allow: [\"get_*\"]"]);
        check(
            8,
            8,
            &[
                "  - allow: transfer",
                "    args:",
                "      amount: { max: 100 }",
                "",
                "    set: { api_key: …, note: plain }",
                "    when: >",
                "      args.token == 'x'",
            ],
        );
        check(17, 16, &["  -", "    deny: shell", "    reason: No."]);
        check(19, 19, &["  - { allow: open, set: { password: …, a: b } }"]);
        check(20, 20, &["  - allow: nested", "    set:", "      secret:", "        …", "      other: shown"]);
        for place in [
            "tenants/acme.yaml:0",
            "tenants/acme.yaml:99",
            "tenants/acme.yaml",
            "acme.yaml:7",
            "",
            ":",
            "x:y",
        ] {
            assert_eq!(texts.rule(place), None, "{place}");
        }
    }

    #[test]
    fn no_line_of_any_file_shows_a_secret() {
        let (_dir, texts) = texts();
        for (path, lines) in [("tenants/acme.yaml", TENANT.lines().count()), ("tollgate.yaml", 2)] {
            for line in 1..=lines {
                let shown = texts.rule(&format!("{path}:{line}")).map(|found| found.lines.join("\n"));
                let shown = shown.unwrap_or_default();
                assert!(!shown.contains("hunter2") && !shown.contains("aaaaaaaa"), "{path}:{line}: {shown}");
            }
        }
    }
}

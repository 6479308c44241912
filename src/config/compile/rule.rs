//! A rule as it was written to a rule that decides.

use super::Compiler;
use crate::{
    config::{At, Mark, raw},
    json::{self, Value},
    policy::{
        Effect, Mode, Rule, Source,
        condition::Condition,
        glob::{Glob, Globs},
        matcher::{Matcher, Test},
        path::Path,
    },
};

impl Compiler<'_> {
    pub(super) fn rule(&mut self, rule: &raw::Rule) -> Rule {
        let (effect, globs) = match &rule.effect {
            raw::Effect::Allow(globs) => (Effect::Allow, globs),
            raw::Effect::Ask(globs) => (Effect::Ask, globs),
            raw::Effect::Deny(globs) => (Effect::Deny, globs),
        };
        if effect != Effect::Allow
            && let Some((path, _)) = rule.set.0.first()
        {
            self.error(
                "set-without-allow",
                path.at,
                "`set` belongs to `allow`: nothing else lets a call through",
            );
        }
        if let Some(limit) = &rule.limit {
            self.warn("not-enforced-yet", limit.at, "a rule's `limit` is not enforced by this version yet");
        }
        if effect == Effect::Ask {
            self.warn(
                "not-enforced-yet",
                rule.at,
                "`ask` denies for now: this version cannot ask a person yet",
            );
        }
        let args = rule.args.0.iter().filter_map(|(path, matcher)| self.matcher(path, matcher)).collect();
        let set = rule.set.0.iter().filter_map(|(path, value)| self.set(path, &value.value)).collect();
        Rule {
            effect,
            tools: names(globs),
            args,
            when: rule.when.as_ref().and_then(|when| self.condition(when)),
            set,
            reason: rule.reason.as_ref().map(|reason| reason.value.as_str().into()),
            mode: match rule.mode.as_ref().map(|mode| mode.value) {
                Some(raw::Mode::Shadow) => Mode::Shadow,
                Some(raw::Mode::Enforce) | None => Mode::Enforce,
            },
            source: self.source(rule.at),
        }
    }

    /// The place of a rule as records name it: relative to the directory of `tollgate.yaml`.
    pub(super) fn source(&self, at: Mark) -> Source {
        super::place_in(self.loaded, &self.shown_dir, at)
    }

    fn condition(&mut self, when: &At<String>) -> Option<Condition> {
        Condition::compile(&when.value)
            .map_err(|bad| {
                let offset = u32::try_from(bad.column.saturating_sub(1)).unwrap_or(0);
                let at = if bad.line == 1 { when.at.within(offset, 1) } else { when.at };
                self.error("bad-condition", at, format!("not a condition: {}", bad.message));
            })
            .ok()
    }

    fn path(&mut self, path: &At<String>) -> Option<Path> {
        let found = Path::new(&path.value);
        if found.is_none() {
            self.error(
                "bad-path",
                path.at,
                "not a path; write names joined by dots, such as `filter.tenant`",
            );
        }
        found
    }

    fn set(&mut self, path: &At<String>, value: &serde_json::Value) -> Option<(Path, Value<'static>)> {
        Some((self.path(path)?, value_of(value)))
    }

    fn matcher(&mut self, path: &At<String>, matcher: &raw::Matcher) -> Option<Matcher> {
        let mut tests = Vec::new();
        if let Some(value) = &matcher.is {
            tests.push(Test::Is(value_of(&value.value)));
        }
        if let Some(values) = &matcher.any_of {
            tests.push(Test::In(values.iter().map(|value| value_of(&value.value)).collect()));
        }
        if let Some(glob) = &matcher.like {
            tests.push(Test::Like(Glob::new(&glob.value)));
        }
        if let Some(regex) = &matcher.regex {
            match Test::regex(&regex.value) {
                Ok(test) => tests.push(test),
                Err(error) => {
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or("cannot be compiled").trim();
                    self.error("bad-regex", regex.at, format!("not a regular expression: {last}"));
                }
            }
        }
        if let Some(min) = &matcher.min {
            tests.push(Test::Min(min.value.0.clone()));
        }
        if let Some(max) = &matcher.max {
            tests.push(Test::Max(max.value.0.clone()));
        }
        if let Some(absent) = &matcher.absent {
            tests.push(Test::Absent(absent.value));
        }
        if tests.is_empty() {
            self.error("empty-matcher", path.at, "nothing is asked of this argument; give `is`, `in`, `like`, `regex`, `min`, `max` or `absent`");
        }
        Some(Matcher { path: self.path(path)?, tests })
    }
}

/// The globs of a list.
pub(super) fn names(globs: &[At<String>]) -> Globs {
    globs.iter().map(|glob| Glob::new(&glob.value)).collect()
}

/// A value of the configuration as a value of ours.
pub fn value_of(value: &serde_json::Value) -> Value<'static> {
    json::parse(value.to_string().as_bytes(), json::NESTING_MAX).map_or(Value::Null, Value::into_owned)
}

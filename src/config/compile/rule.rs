//! A rule as it was written to a rule that decides.

use super::Compiler;
use crate::{
    config::{At, Mark, Problem, forms, inside::inside, raw},
    json::{self, Value},
    policy::{
        Effect, Mode, Rule, Source,
        condition::Condition,
        glob::{Glob, Globs},
        matcher::{Matcher, Test},
        path::Path,
    },
    quota::CallLimit,
};
use std::collections::HashMap;

impl Compiler<'_> {
    pub(super) fn rule(&mut self, rule: &raw::Rule, layer: u8) -> Rule {
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
        if let (Effect::Deny, Some(limit)) = (effect, &rule.limit) {
            let message = "`limit` belongs to `allow` or `ask`: a deny lets no call through";
            self.error("limit-on-deny", limit.at, message);
        }
        let args = rule.args.0.iter().filter_map(|(path, matcher)| self.matcher(path, matcher)).collect();
        self.set_inside(rule);
        let set = rule.set.0.iter().filter_map(|(path, value)| self.set(path, &value.value)).collect();
        let rate = rule.limit.as_ref().and_then(|limit| self.rate(limit));
        let plain = Rule::plain(effect, names(globs), self.source(rule.at));
        let mut compiled = Rule {
            args,
            when: rule.when.as_ref().and_then(|when| self.condition(when)),
            set,
            reason: rule.reason.as_ref().map(|reason| reason.value.as_str().into()),
            mode: match rule.mode.as_ref().map(|mode| mode.value) {
                Some(raw::Mode::Shadow) => Mode::Shadow,
                Some(raw::Mode::Enforce) | None => Mode::Enforce,
            },
            within: rule.within.as_ref().map_or(plain.within, |within| within.value),
            layer,
            ..plain
        };
        let names = || compiled.tools.iter().map(|glob| glob.as_str().into()).collect();
        compiled.limit =
            rate.map(|rate| CallLimit { rate, rule: compiled.to_string().into(), names: names() });
        compiled
    }

    /// The place of a rule as records name it: relative to the directory of `tollgate.yaml`.
    pub(super) fn source(&self, at: Mark) -> Source {
        super::place_in(self.loaded, &self.shown_dir, at)
    }

    fn condition(&mut self, when: &At<String>) -> Option<Condition> {
        Condition::compile(&when.value)
            .map_err(|bad| {
                // The line's first byte, then the column in it.
                let lines = when.value.split_inclusive('\n').take(bad.line.saturating_sub(1));
                let offset = lines.map(str::len).sum::<usize>() + bad.column.saturating_sub(1);
                let part = (offset.min(when.value.len()), bad.len);
                let at = inside(&self.loaded.files, when.at, &when.value, part);
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

    /// Of two values that are forced, none may lie in the other: it would be gone, or not what is written.
    fn set_inside(&mut self, rule: &raw::Rule) {
        let paths: HashMap<&str, Mark> =
            rule.set.0.iter().map(|(path, _)| (path.value.as_str(), path.at)).collect();
        for (path, _) in &rule.set.0 {
            let dots = path.value.match_indices('.');
            let mut above = dots.filter_map(|(dot, _)| path.value.get(..dot));
            if let Some((outer, at)) = above.find_map(|outer| Some((outer, *paths.get(outer)?))) {
                let message = format!("`{}` lies inside of `{outer}`, which is set as a whole", path.value);
                let problem =
                    Problem::error("conflicting-set", path.at, message).see("the other is here", at);
                self.say(
                    problem.hint(format!("write it into the value of `{outer}`, or remove one of both")),
                );
            }
        }
    }

    fn matcher(&mut self, path: &At<String>, matcher: &raw::Matcher) -> Option<Matcher> {
        let (mut tests, made) = (Vec::new(), test_of(matcher));
        let is_empty = made.is_empty();
        for test in made {
            match test {
                Ok(test) => tests.push(test),
                Err((code, at, message)) => self.error(code, at, message),
            }
        }
        if is_empty {
            self.error("empty-matcher", path.at, "nothing is asked of this argument; give `is`, `in`, `like`, `regex`, `min`, `max` or `absent`");
        }
        Some(Matcher { path: self.path(path)?, tests })
    }
}

/// The globs of a list.
pub(super) fn names(globs: &[At<String>]) -> Globs {
    globs.iter().map(|glob| Glob::new(&glob.value)).collect()
}

/// Longest text and most stars of a glob over an argument, which may be long itself.
const LIKE_CHARS_MAX: usize = 256;

/// Why a test cannot be made: a code, a place, a message.
type BadTest = (&'static str, Mark, String);

/// The tests of a matcher, in a fixed order.
pub(in crate::config) fn test_of(matcher: &raw::Matcher) -> Vec<Result<Test, BadTest>> {
    let mut tests = Vec::new();
    if let Some(value) = &matcher.is {
        tests.push(Ok(Test::Is(value_of(&value.value))));
    }
    if let Some(values) = &matcher.any_of {
        tests.push(Ok(Test::In(values.iter().map(|value| value_of(&value.value)).collect())));
    }
    if let Some(glob) = &matcher.like {
        tests.push(like(glob));
    }
    if let Some(regex) = &matcher.regex {
        tests.push(Test::regex(&regex.value).map_err(|error| {
            let text = error.to_string();
            let last =
                text.lines().last().unwrap_or("cannot be compiled").trim().trim_start_matches("error: ");
            ("bad-regex", regex.at, format!("not a regular expression: {last}"))
        }));
    }
    if let Some(min) = &matcher.min {
        tests.push(Ok(Test::Min(min.value.0.clone())));
    }
    if let Some(max) = &matcher.max {
        tests.push(Ok(Test::Max(max.value.0.clone())));
    }
    if let Some(absent) = &matcher.absent {
        tests.push(Ok(Test::Absent(absent.value)));
    }
    tests
}

fn like(glob: &At<String>) -> Result<Test, BadTest> {
    let bad = |message: String| Err(("bad-glob", glob.at, message));
    if glob.value.chars().count() > LIKE_CHARS_MAX {
        return bad(format!("a pattern has at most {LIKE_CHARS_MAX} characters"));
    }
    if glob.value.matches('*').count() > forms::STARS_MAX {
        return bad(format!("a pattern has at most {} stars", forms::STARS_MAX));
    }
    Ok(Test::Like(Glob::new(&glob.value)))
}

/// A value of the configuration as a value of ours.
pub fn value_of(value: &serde_json::Value) -> Value<'static> {
    json::parse(value.to_string().as_bytes(), json::NESTING_MAX).map_or(Value::Null, Value::into_owned)
}

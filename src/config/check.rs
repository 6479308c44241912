//! Holds a document against its description: every unknown key, wrong type, missing key and bad scalar in one walk.
//! Apart from reading so that everything is reported, not the first. On the way it notes which parts are secrets.

use super::{
    files::{Mark, Span},
    mask,
    problem::Problem,
    read,
    scalar::{self, Scalar},
    shape::{Hush, Key, MapShape, Need, SECRET, Shape, Together},
    yaml::{Node, Style, Value},
};

/// Most problems of one file.
const PROBLEMS_MAX: usize = 1_000;

/// What a walk found out about a file.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<Problem>,
    /// What must not be shown.
    pub(crate) hidden: Vec<Span>,
}

/// Holds a whole file against what it should be.
pub(crate) fn check(root: &Node<'_>, shape: &'static MapShape) -> Findings {
    let mut findings = Findings::default();
    let place = Place { name: shape.title, part: Part::File, at: root.at, hush: Hush::Shown };
    findings.node(root, Shape::Map(shape), place);
    if findings.problems.len() > PROBLEMS_MAX {
        findings.problems.truncate(PROBLEMS_MAX);
        findings.problems.push(Problem::error(
            "too-many-problems",
            root.at,
            "this file has more problems than are shown",
        ));
    }
    findings
}

/// Where a node stands: the name and place of what holds it, and whether it is near a secret.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'a str,
    part: Part,
    at: Mark,
    hush: Hush,
}

/// Which part a node is of what the place names.
#[derive(Clone, Copy)]
enum Part {
    File,
    Item,
    Whole,
}

impl Place<'_> {
    fn subject(&self) -> String {
        match self.part {
            Part::File => format!("a {}", self.name),
            Part::Item => format!("an item of {}", mask::quoted_key(self.name)),
            Part::Whole => mask::quoted_key(self.name),
        }
    }
}

impl Findings {
    fn node(&mut self, node: &Node<'_>, shape: Shape, place: Place<'_>) {
        match (shape, &node.value) {
            (_, Value::Broken) => self.hide_all(node),
            (Shape::Any, _) => self.json(node),
            (Shape::Either(shapes), _) => match shapes.iter().find(|shape| fits(**shape, node)) {
                Some(shape) => self.node(node, *shape, place),
                None => self.wrong_type(node, shape, place),
            },
            (Shape::Some(_), Value::List(items)) if items.is_empty() => {
                let message = format!("{} is an empty list", place.subject());
                let problem = Problem::error("empty-list", node.at, message);
                self.problems
                    .push(problem.hint("write at least one, or leave the key away where it is not needed"));
            }
            (Shape::List(each) | Shape::Some(each), Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let before = index.checked_sub(1).and_then(|before| items.get(before)?.text());
                    if before.is_some_and(|text| text.starts_with('-') && mask::is_secretive(text)) {
                        // `--token`, and here is what follows it.
                        self.hide_all(item);
                    }
                    self.node(item, *each, Place { part: Part::Item, at: item.at, ..place });
                }
            }
            (Shape::Map(map), Value::Map(entries)) => self.map(node, entries, map, place),
            (Shape::Names { name, each }, Value::Map(entries)) => self.names(entries, name, *each, place),
            (Shape::Scalar(kind), Value::Scalar(_)) => self.scalar(node, kind, place),
            (Shape::Secret, _) => self.secret(node, place),
            _ => self.wrong_type(node, shape, place),
        }
    }

    fn map(
        &mut self,
        node: &Node<'_>,
        entries: &[(Node<'_>, Node<'_>)],
        map: &'static MapShape,
        place: Place<'_>,
    ) {
        let hush = if place.hush == Hush::Hidden { place.hush } else { map.hush };
        // What an unknown key was meant to be is not reported as missing as well.
        let mut meant = Vec::new();
        for (name, value) in entries {
            let Some(text) = name.text() else {
                self.hide_all(name);
                self.hide_all(value);
                continue;
            };
            match map.keys.iter().find(|key| key.name == text) {
                Some(key) => self.node(
                    value,
                    key.shape,
                    Place { name: key.name, part: Part::Whole, at: name.at, hush },
                ),
                None => meant.extend(self.unknown_key(name, value, map, hush)),
            }
        }
        for key in map.keys.iter().filter(|key| key.need == Need::Required && node.get(key.name).is_none()) {
            if !meant.contains(&key.name) {
                self.missing(key, map, place.at);
            }
        }
        for rule in map.rules {
            self.together(node, *rule, map, (place.at, &meant));
        }
    }

    /// Returns what the key was probably meant to be.
    fn unknown_key(
        &mut self,
        name: &Node<'_>,
        value: &Node<'_>,
        map: &MapShape,
        hush: Hush,
    ) -> Option<&'static str> {
        let text = name.text().unwrap_or_default();
        let valid = map.keys.iter().map(|key| key.name);
        let nearest = nearest(text, valid.clone());
        let shown = if hush == Hush::Hidden && nearest.is_none() {
            "`…`".to_owned()
        } else {
            mask::quoted_key(text)
        };
        if hush == Hush::Hidden
            || mask::is_secretive(text)
            || nearest.is_some_and(mask::is_secretive)
            || shown == "`…`"
        {
            self.hide_all(value);
        } else {
            self.hide_secretive(value);
        }
        if shown == "`…`" {
            self.hidden.push(name.span);
        }
        let problem = match nearest {
            Some(near) => {
                Problem::error("unknown-key", name.at, format!("unknown key {shown}; did you mean `{near}`?"))
            }
            None => Problem::error("unknown-key", name.at, format!("unknown key {shown}"))
                .hint(format!("the keys here are {}", listed(valid))),
        };
        self.problems.push(problem);
        nearest
    }

    fn missing(&mut self, key: &Key, map: &MapShape, at: Mark) {
        let problem = Problem::error(
            "missing-key",
            at,
            format!("the key `{}` is missing in this {}", key.name, map.title),
        );
        let example = key.example.or_else(|| match key.shape {
            Shape::Scalar(kind) => Some(kind.about().example),
            _ => None,
        });
        self.problems.push(match example.filter(|example| !example.is_empty()) {
            Some(example) => problem.hint(format!("for example `{}: {example}`", key.name)),
            None => problem,
        });
    }

    fn names(&mut self, entries: &[(Node<'_>, Node<'_>)], kind: Scalar, each: Shape, place: Place<'_>) {
        for (name, value) in entries {
            let text = name.text().unwrap_or_default();
            self.scalar(name, kind, Place { name: text, part: Part::Whole, at: name.at, hush: Hush::Shown });
            self.node(value, each, Place { name: text, part: Part::Whole, at: name.at, hush: place.hush });
        }
    }

    fn scalar(&mut self, node: &Node<'_>, kind: Scalar, place: Place<'_>) {
        let Some(scalar) = node.scalar() else { return };
        let harmless = match kind {
            Scalar::HeaderName => true,
            Scalar::Path => scalar.text.contains(['/', '.']),
            Scalar::Variable => !scalar.text.contains(|c: char| c.is_ascii_lowercase()),
            _ => false,
        };
        if !kind.takes(&scalar.text, scalar.style) {
            return self.wrong_type(node, Shape::Scalar(kind), place);
        }
        let verdict = kind.check(&scalar.text);
        if matches!(kind, Scalar::Sha256) || (place.hush == Hush::Hidden && !(harmless && verdict.is_ok())) {
            self.hidden.push(node.span);
        }
        let Err(reason) = verdict else { return };
        let about = kind.about();
        let subject = place.subject();
        let problem = match kind {
            Scalar::Word(words) => {
                let near = nearest(&scalar.text, words.iter().map(|(word, _)| *word));
                let more = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                Problem::error(about.code, node.at, format!("{subject} cannot be this{more}")).hint(reason)
            }
            _ => {
                let problem =
                    Problem::error(about.code, node.at, format!("{subject} is not {}: {reason}", about.what));
                if about.example.is_empty() {
                    problem
                } else {
                    problem.hint(format!("write it like `{}`", about.example))
                }
            }
        };
        self.problems.push(problem);
    }

    fn secret(&mut self, node: &Node<'_>, place: Place<'_>) {
        let place = Place { hush: Hush::Hidden, ..place };
        match &node.value {
            Value::Map(_) => self.node(node, Shape::Map(&SECRET), place),
            Value::Scalar(_) => self.scalar(node, Scalar::Text, place),
            Value::Broken | Value::List(_) => self.wrong_type(node, Shape::Secret, place),
        }
    }

    fn json(&mut self, node: &Node<'_>) {
        if let Err(bad) = read::json(node) {
            self.problems.push(Problem::error("bad-value", bad.at, bad.reason));
        }
    }

    fn wrong_type(&mut self, node: &Node<'_>, shape: Shape, place: Place<'_>) {
        if place.hush == Hush::Hidden || holds_secrets(shape) || mask::is_secretive(place.name) {
            self.hide_all(node);
        } else {
            self.hide_secretive(node);
        }
        let found = kind_of(node);
        let message = format!("{} must be {}, not {found}", place.subject(), expected(shape));
        let problem = Problem::error("wrong-type", node.at, message);
        self.problems.push(match (shape, &node.value) {
            (
                Shape::Scalar(Scalar::Count { .. } | Scalar::Dollars | Scalar::Number | Scalar::Bool),
                Value::Scalar(scalar),
            ) if scalar.style == Style::Quoted => problem.hint("remove the quotes"),
            (_, Value::Scalar(scalar)) if scalar.style == Style::Plain && scalar::is_null(&scalar.text) => {
                problem.hint("write a value, or remove the key")
            }
            (Shape::Scalar(kind), Value::Scalar(_)) if kind.takes("x", Style::Plain) => {
                problem.hint("quote it if text is meant")
            }
            _ => problem,
        });
    }

    fn together(&mut self, node: &Node<'_>, rule: Together, map: &MapShape, (at, meant): (Mark, &[&str])) {
        let key_at =
            |name: &str| node.map()?.iter().find(|(key, _)| key.text() == Some(name)).map(|(key, _)| key.at);
        let holds = |by: &str, words: &[&str]| {
            node.get(by).and_then(Node::text).is_some_and(|word| words.contains(&word))
        };
        match rule {
            Together::ExactlyOne(keys) if keys.iter().any(|key| meant.contains(key)) => {}
            Together::ExactlyOne(keys) => self.exactly_one(node, keys, map, at),
            Together::Needs { key, other } => {
                if let (Some(place), None) = (key_at(key), key_at(other)) {
                    let message = format!("`{key}` only goes with `{other}`");
                    self.problems.push(Problem::error("misplaced-key", place, message));
                }
            }
            Together::NotWith { .. } => {}
            Together::OnlyFor { key, by, words } => {
                if let Some(place) = key_at(key).filter(|_| node.get(by).is_some() && !holds(by, words)) {
                    let message = format!("`{key}` only goes with `{by}: {}`", words.join("` or `"));
                    self.problems.push(Problem::error("misplaced-key", place, message));
                }
            }
            Together::RequiredFor { key, by, words } => {
                if key_at(key).is_none() && holds(by, words) && !meant.contains(&key) {
                    let message = format!("the key `{key}` is missing in this {}", map.title);
                    self.problems.push(Problem::error("missing-key", at, message));
                }
            }
        }
    }

    fn exactly_one(&mut self, node: &Node<'_>, keys: &[&'static str], map: &MapShape, at: Mark) {
        let present: Vec<Mark> = node
            .map()
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.text().is_some_and(|text| keys.contains(&text)))
            .map(|(key, _)| key.at)
            .collect();
        let choice = listed(keys.iter().copied());
        match present.as_slice() {
            [] => {
                let message = format!("this {} needs one of {choice}", map.title);
                self.problems.push(Problem::error("missing-key", at, message));
            }
            [_] => {}
            [first, .., last] => {
                let message = format!("this {} may have only one of {choice}", map.title);
                self.problems.push(
                    Problem::error("conflicting-keys", *last, message).see("the other is here", *first),
                );
            }
        }
    }

    /// Hides what stands under the name of a secret in a part that has no description.
    fn hide_secretive(&mut self, node: &Node<'_>) {
        match &node.value {
            Value::Broken | Value::Scalar(_) => {}
            Value::List(items) => items.iter().for_each(|item| self.hide_secretive(item)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    match key.text() {
                        Some(text) if !mask::is_secretive(text) => self.hide_secretive(value),
                        _ => self.hide_all(value),
                    }
                }
            }
        }
    }

    fn hide_all(&mut self, node: &Node<'_>) {
        match &node.value {
            Value::Broken | Value::Scalar(_) => self.hidden.push(node.span),
            Value::List(items) => items.iter().for_each(|item| self.hide_all(item)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    // A known word is no secret; it keeps the line readable.
                    let known = SECRET.keys.iter().any(|known| key.text() == Some(known.name));
                    if !known {
                        self.hide_all(key);
                    }
                    self.hide_all(value);
                }
            }
        }
    }
}

/// Whether a node is of the kind that a shape takes.
fn fits(shape: Shape, node: &Node<'_>) -> bool {
    match (shape, &node.value) {
        (Shape::Any, _)
        | (Shape::List(_) | Shape::Some(_), Value::List(_))
        | (Shape::Map(_) | Shape::Names { .. } | Shape::Secret, Value::Map(_))
        | (Shape::Secret, Value::Scalar(_)) => true,
        (Shape::Scalar(kind), Value::Scalar(scalar)) => kind.takes(&scalar.text, scalar.style),
        (Shape::Either(shapes), _) => shapes.iter().any(|shape| fits(*shape, node)),
        _ => false,
    }
}

fn holds_secrets(shape: Shape) -> bool {
    match shape {
        Shape::Any => false,
        Shape::Either(shapes) => shapes.iter().any(|shape| holds_secrets(*shape)),
        Shape::List(each) | Shape::Some(each) | Shape::Names { each, .. } => holds_secrets(*each),
        Shape::Map(map) => map.hush == Hush::Hidden,
        Shape::Scalar(kind) => matches!(kind, Scalar::Sha256),
        Shape::Secret => true,
    }
}

fn expected(shape: Shape) -> String {
    match shape {
        Shape::Any => "a value".to_owned(),
        Shape::Either(shapes) => shapes.iter().map(|shape| expected(*shape)).collect::<Vec<_>>().join(" or "),
        Shape::List(_) | Shape::Some(_) => "a list".to_owned(),
        Shape::Map(_) | Shape::Names { .. } => "a map".to_owned(),
        Shape::Scalar(kind) => kind.about().what.to_owned(),
        Shape::Secret => "a secret (`{ env: NAME }` or `{ file: PATH }`)".to_owned(),
    }
}

fn kind_of(node: &Node<'_>) -> &'static str {
    match &node.value {
        Value::Broken => "this",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Scalar(scalar) if scalar.style == Style::Quoted => "text",
        Value::Scalar(scalar) if scalar::is_null(&scalar.text) => "nothing",
        Value::Scalar(scalar) if scalar::boolean(&scalar.text).is_ok() => "true or false",
        Value::Scalar(_) if read::json(node).is_ok_and(|value| value.is_number()) => "a number",
        Value::Scalar(_) => "text",
    }
}

fn listed(names: impl Iterator<Item = &'static str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The valid name that `wrong` was most likely meant to be: near in letters, or the beginning or extension of it.
pub fn nearest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.get(..wrong.len().min(64))?.to_ascii_lowercase();
    let allowed = (wrong.chars().count() / 3).max(1);
    let scored = valid.into_iter().map(|name| {
        let extends =
            name.len() > 2 && wrong.len() > 2 && (name.starts_with(&wrong) || wrong.starts_with(name));
        let distance = strsim::damerau_levenshtein(&wrong, &name.to_ascii_lowercase());
        // Of two as near, people got the first letter right.
        let begins = wrong.chars().next() != name.chars().next().map(|first| first.to_ascii_lowercase());
        (if extends { distance.min(allowed) } else { distance }, distance, begins, name)
    });
    scored.min().filter(|(distance, ..)| *distance <= allowed).map(|(.., name)| name)
}

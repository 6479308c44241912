//! Evaluation within a budget: every node, item, comparison and run of text is paid for before it is done, so that
//! no condition on no arguments can take longer than the budget allows.

use super::{
    Facts,
    datum::{Datum, Items, Members},
    library,
    node::{Calculation, Fact, Node, TextTest, Walk, WalkKind},
};
use crate::{
    json::Value,
    policy::budget::{Budget, Stop},
};
use std::sync::Arc;

/// One evaluation.
pub(super) struct Run<'v> {
    /// None while a constant is computed.
    facts: Option<&'v Facts<'v>>,
    args: Option<&'v Value<'v>>,
    budget: Budget,
    /// The variables of the walks that are under way, outermost first.
    locals: Vec<Datum<'v>>,
    explains: bool,
    /// The first of what failed and was not made up for, where it is to be explained.
    why: Option<String>,
}

type Answer<'v> = Result<Datum<'v>, Stop>;

impl<'v> Run<'v> {
    pub(super) fn new(facts: &'v Facts<'v>, args: Option<&'v Value<'v>>, budget: Budget) -> Self {
        Self { facts: Some(facts), args, ..Self::constant(budget) }
    }

    pub(super) fn constant(budget: Budget) -> Self {
        Self { facts: None, args: None, budget, locals: Vec::new(), explains: false, why: None }
    }

    /// Keeps why something failed: for people, since it costs the text.
    pub(super) fn explaining(self) -> Self {
        Self { explains: true, ..self }
    }

    pub(super) fn why(self) -> String {
        self.why.unwrap_or_else(|| "it has no answer".to_owned())
    }

    fn fails<T>(&mut self, say: impl FnOnce() -> String) -> Result<T, Stop> {
        if self.explains && self.why.is_none() {
            self.why = Some(say());
        }
        Err(Stop::Fails)
    }

    /// `what` does not work on these.
    fn unfit<T>(&mut self, what: &str, on: &[&Datum<'_>]) -> Result<T, Stop> {
        self.fails(|| {
            let kind = |datum: &&Datum<'_>| match datum {
                Datum::Unheld(_) => "a number that no double holds",
                datum => datum.kind(),
            };
            let kinds: Vec<&str> = on.iter().map(kind).collect();
            format!("`{what}` does not work on {}", kinds.join(" and "))
        })
    }

    pub(super) fn left(&self) -> usize {
        self.budget.left()
    }

    pub(super) fn truth(&mut self, node: &'v Node) -> Result<bool, Stop> {
        match self.value(node)? {
            Datum::Bool(truth) => Ok(truth),
            other => self.fails(|| format!("`{}` stands where `bool` is needed", other.kind())),
        }
    }

    pub(super) fn value(&mut self, node: &'v Node) -> Answer<'v> {
        self.budget.spend(1)?;
        match node {
            Node::All(parts) => self.first(false, parts.iter()),
            Node::Any(parts) => self.first(true, parts.iter()),
            Node::Calculate(calculation, sides) => self.calculate(*calculation, sides),
            Node::Choose(parts) => self.choose(parts),
            Node::Compare(comparison, sides) => {
                let (a, b) = self.both(sides)?;
                match a.compare(&b, &mut self.budget)? {
                    Some(order) => Ok(Datum::Bool(comparison.holds(order))),
                    None => self.unfit(comparison.as_str(), &[&a, &b]),
                }
            }
            Node::Constant(datum) => Ok(datum.share()),
            Node::Equal(truth, sides) => {
                let (a, b) = self.both(sides)?;
                if !a.is_like(&b) {
                    return self.unfit(if *truth { "==" } else { "!=" }, &[&a, &b]);
                }
                Ok(Datum::Bool(a.equals(&b, &mut self.budget)? == *truth))
            }
            Node::Fact(fact) => self.fact(*fact),
            Node::Field(of, name) => match self.field(of, name)? {
                Some(found) => Ok(found),
                None => self.fails(|| format!("`{name}` is missing")),
            },
            Node::Has(of, name) => Ok(Datum::Bool(self.field(of, name)?.is_some())),
            Node::In(sides) => self.within(sides),
            Node::Index(sides) => self.index(sides),
            Node::Library(call, arguments) => self.library(call, arguments),
            Node::Kind(of) => self.value(of).map(|of| Datum::Kind(of.kind())),
            Node::List(items) => self.list(items),
            Node::Local(at) => self.locals.get(*at).cloned().ok_or(Stop::Fails),
            Node::Map(members) => self.map(members),
            Node::Matches(of, expression) => {
                let of = self.value(of)?;
                let Some(text) = of.text() else { return self.unfit("matches", &[&of]) };
                expression.matches(text, &mut self.budget).map(Datum::Bool)
            }
            Node::Negate(of) => {
                let of = self.value(of)?;
                negate(&of).or_else(|_| self.unfit("-", &[&of]))
            }
            Node::Not(of) => self.truth(of).map(|truth| Datum::Bool(!truth)),
            Node::Size(of) => self.size(of),
            Node::Text(test, sides) => self.text(*test, sides),
            Node::Walk(walk) => self.walk(walk),
        }
    }

    /// The first of these truths decides; without one, what cannot be evaluated makes the whole so.
    fn first(&mut self, decides: bool, parts: impl Iterator<Item = &'v Node>) -> Answer<'v> {
        let (mut failed, before) = (false, self.why.is_some());
        for part in parts {
            match self.truth(part) {
                Ok(truth) if truth == decides => return self.decided(decides, before),
                Ok(_) => {}
                Err(Stop::Fails) => failed = true,
                Err(Stop::Spent) => return Err(Stop::Spent),
            }
        }
        if failed { Err(Stop::Fails) } else { Ok(Datum::Bool(!decides)) }
    }

    /// A truth that holds whatever failed beside it.
    fn decided(&mut self, truth: bool, failed_before: bool) -> Answer<'v> {
        self.why = self.why.take().filter(|_| failed_before);
        Ok(Datum::Bool(truth))
    }

    fn both(&mut self, sides: &'v [Node; 2]) -> Result<(Datum<'v>, Datum<'v>), Stop> {
        let [a, b] = sides;
        Ok((self.value(a)?, self.value(b)?))
    }

    fn choose(&mut self, [condition, then, otherwise]: &'v [Node; 3]) -> Answer<'v> {
        let chosen = if self.truth(condition)? { then } else { otherwise };
        self.value(chosen)
    }

    fn fact(&self, fact: Fact) -> Answer<'v> {
        let facts = self.facts.ok_or(Stop::Fails)?;
        Ok(match fact {
            Fact::Args => Datum::of(self.args.ok_or(Stop::Fails)?),
            Fact::Key => Datum::of(facts.caller.key()),
            Fact::Now => {
                let now = chrono::DateTime::from_timestamp(facts.now, 0).ok_or(Stop::Fails)?;
                Datum::Time(now.fixed_offset())
            }
            Fact::Place => Datum::Text(facts.place.as_str()),
            Fact::Tenant => Datum::of(facts.caller.tenant()),
            Fact::Tool => Datum::Text(facts.tool),
        })
    }

    /// The member of a map; `None` where it has none of this name.
    pub(super) fn field(&mut self, of: &'v Node, name: &'v str) -> Result<Option<Datum<'v>>, Stop> {
        let of = self.value(of)?;
        let Some(members) = of.members() else { return self.unfit(name, &[&of]) };
        members.find(&Datum::Text(name), &mut self.budget)
    }

    fn within(&mut self, sides: &'v [Node; 2]) -> Answer<'v> {
        let (item, of) = self.both(sides)?;
        if let Some(members) = of.members() {
            let found = members.find(looked_up(&item)?, &mut self.budget)?.is_some();
            let mut keys = (0..members.len()).filter_map(|at| members.at(at));
            return match keys.find(|(key, _)| !found && !key.is_like(&item)) {
                Some((key, _)) => self.unfit("in", &[&item, &key]),
                None => Ok(Datum::Bool(found)),
            };
        }
        let Some(items) = of.items() else { return self.unfit("in", &[&item, &of]) };
        let mut unlike = None;
        for at in 0..items.len() {
            let Some(other) = items.at(at) else { continue };
            if !other.is_like(&item) {
                unlike.get_or_insert(other);
            } else if other.equals(&item, &mut self.budget)? {
                return Ok(Datum::Bool(true));
            }
        }
        match unlike {
            Some(other) => self.unfit("in", &[&item, &other]),
            None => Ok(Datum::Bool(false)),
        }
    }

    fn index(&mut self, sides: &'v [Node; 2]) -> Answer<'v> {
        let (of, at) = self.both(sides)?;
        if let Some(members) = of.members() {
            return match members.find(looked_up(&at)?, &mut self.budget)? {
                Some(found) => Ok(found),
                None => self.fails(|| format!("{} is missing", at.shown())),
            };
        }
        let Some(items) = of.items() else { return self.unfit("[]", &[&of, &at]) };
        let number = match at {
            Datum::Int(at) => usize::try_from(at).ok(),
            Datum::Uint(at) => usize::try_from(at).ok(),
            Datum::Double(at) => whole(at),
            _ => None,
        };
        match number.and_then(|number| items.at(number)) {
            Some(found) => Ok(found),
            None => self.fails(|| format!("the list has no item {}", at.shown())),
        }
    }

    fn list(&mut self, nodes: &'v [Node]) -> Answer<'v> {
        let items: Result<Vec<Datum<'v>>, Stop> = nodes.iter().map(|node| self.value(node)).collect();
        Ok(Datum::List(items?.into()))
    }

    fn map(&mut self, nodes: &'v [[Node; 2]]) -> Answer<'v> {
        let mut members: Vec<(Datum<'v>, Datum<'v>)> = Vec::with_capacity(nodes.len());
        for sides in nodes {
            let (name, value) = self.both(sides)?;
            key(&name)?;
            for (other, _) in &members {
                if other.equals(&name, &mut self.budget)? {
                    return Err(Stop::Fails);
                }
            }
            members.push((name, value));
        }
        Ok(Datum::Map(members.into()))
    }

    fn size(&mut self, of: &'v Node) -> Answer<'v> {
        let of = self.value(of)?;
        let size = match (of.text(), of.items(), of.members()) {
            (Some(text), _, _) => {
                self.budget.spend_bytes(text.len())?;
                text.chars().count()
            }
            (None, Some(items), _) => items.len(),
            (None, None, Some(members)) => members.len(),
            (None, None, None) => return self.unfit("size", &[&of]),
        };
        i64::try_from(size).map(Datum::Int).map_err(|_| Stop::Fails)
    }

    fn text(&mut self, test: TextTest, sides: &'v [Node; 2]) -> Answer<'v> {
        let (text, part) = self.both(sides)?;
        let (Some(text), Some(part)) = (text.text(), part.text()) else {
            return self.unfit(test.as_str(), &[&text, &part]);
        };
        Ok(Datum::Bool(match test {
            TextTest::Contains => {
                // The search prepares itself with the part, and walks over the text.
                self.budget.spend_bytes(text.len().saturating_add(part.len()).saturating_mul(4))?;
                text.contains(part)
            }
            TextTest::EndsWith => {
                self.budget.spend_bytes(part.len())?;
                text.ends_with(part)
            }
            TextTest::StartsWith => {
                self.budget.spend_bytes(part.len())?;
                text.starts_with(part)
            }
        }))
    }

    fn calculate(&mut self, calculation: Calculation, sides: &'v [Node; 2]) -> Answer<'v> {
        let (a, b) = self.both(sides)?;
        if let (Calculation::Add, Some(a), Some(b)) = (calculation, a.text(), b.text()) {
            self.budget.spend_bytes(a.len().saturating_add(b.len()))?;
            return Ok(Datum::Words([a, b].concat().into()));
        }
        if let (Calculation::Add, Some(a), Some(b)) = (calculation, a.items(), b.items()) {
            return self.joined(&a, &b);
        }
        number(calculation, &a, &b).or_else(|_| self.unfit(calculation.as_str(), &[&a, &b]))
    }

    fn joined(&mut self, a: &Items<'v>, b: &Items<'v>) -> Answer<'v> {
        self.budget.spend(a.len().saturating_add(b.len()))?;
        let all = |items: &Items<'v>| (0..items.len()).filter_map(|at| items.at(at)).collect::<Vec<_>>();
        Ok(Datum::List([all(a), all(b)].concat().into()))
    }

    fn library(&mut self, call: &'v cel::parser::Expression, nodes: &'v [Node]) -> Answer<'v> {
        let mut arguments = Vec::with_capacity(nodes.len());
        for node in nodes {
            let argument = self.value(node)?;
            self.budget.spend(library::STEPS)?;
            self.budget.spend(argument.text().map_or(0, str::len) / 8)?;
            match argument.to_cel() {
                Some(argument) => arguments.push(argument),
                None => return self.unfit(library::name(call), &[&argument]),
            }
        }
        match library::call(call, arguments) {
            Some(answer) => Ok(answer),
            None => self.fails(|| format!("`{}` has no result for this", library::name(call))),
        }
    }

    fn walk(&mut self, walk: &'v Walk) -> Answer<'v> {
        let over = self.value(&walk.over)?;
        let range = match (over.items(), over.members()) {
            (Some(items), _) => Range::Items(items),
            (None, Some(members)) => Range::Keys(members),
            (None, None) => {
                return self
                    .fails(|| format!("a loop goes over a list or a map, not over `{}`", over.kind()));
            }
        };
        let depth = self.locals.len();
        let answer = match walk.kind {
            WalkKind::Any => self.until(true, walk, &range),
            WalkKind::Every => self.until(false, walk, &range),
            WalkKind::Collect | WalkKind::One => self.collect(walk, &range),
        };
        self.locals.truncate(depth);
        answer
    }

    /// The next item becomes the walk's variable.
    fn step(&mut self, depth: usize, range: &Range<'v>, at: usize) -> Result<(), Stop> {
        self.budget.spend(1)?;
        self.locals.truncate(depth);
        self.locals.push(range.at(at).ok_or(Stop::Fails)?);
        Ok(())
    }

    fn until(&mut self, decides: bool, walk: &'v Walk, range: &Range<'v>) -> Answer<'v> {
        let (depth, mut failed, before) = (self.locals.len(), false, self.why.is_some());
        for at in 0..range.len() {
            self.step(depth, range, at)?;
            match self.truth(&walk.body) {
                Ok(truth) if truth == decides => return self.decided(decides, before),
                Ok(_) => {}
                Err(Stop::Fails) => failed = true,
                Err(Stop::Spent) => return Err(Stop::Spent),
            }
        }
        if failed { Err(Stop::Fails) } else { Ok(Datum::Bool(!decides)) }
    }

    fn collect(&mut self, walk: &'v Walk, range: &Range<'v>) -> Answer<'v> {
        let depth = self.locals.len();
        let (mut found, mut count) = (Vec::new(), 0_usize);
        for at in 0..range.len() {
            self.step(depth, range, at)?;
            let wanted = match &walk.only {
                Some(only) => self.truth(only)?,
                None => true,
            };
            match walk.kind {
                WalkKind::One => count += usize::from(self.truth(&walk.body)?),
                WalkKind::Any | WalkKind::Collect | WalkKind::Every if wanted => {
                    found.push(self.value(&walk.body)?);
                }
                WalkKind::Any | WalkKind::Collect | WalkKind::Every => {}
            }
        }
        Ok(if walk.kind == WalkKind::One { Datum::Bool(count == 1) } else { Datum::List(found.into()) })
    }
}

/// What a walk goes over.
enum Range<'v> {
    Items(Items<'v>),
    Keys(Members<'v>),
}

impl<'v> Range<'v> {
    fn len(&self) -> usize {
        match self {
            Self::Items(items) => items.len(),
            Self::Keys(members) => members.len(),
        }
    }

    fn at(&self, at: usize) -> Option<Datum<'v>> {
        match self {
            Self::Items(items) => items.at(at),
            Self::Keys(members) => members.at(at).map(|(key, _)| key),
        }
    }
}

/// What may be the key of a map.
fn key<'k, 'v>(datum: &'k Datum<'v>) -> Result<&'k Datum<'v>, Stop> {
    match datum {
        Datum::Bool(_) | Datum::Int(_) | Datum::Text(_) | Datum::Uint(_) | Datum::Words(_) => Ok(datum),
        Datum::Double(_)
        | Datum::Json(_)
        | Datum::Kind(_)
        | Datum::List(_)
        | Datum::Map(_)
        | Datum::Null
        | Datum::Span(_)
        | Datum::Time(_)
        | Datum::Unheld(_) => Err(Stop::Fails),
    }
}

/// What may be asked of a map: a double is looked up by its value, though it is no key.
fn looked_up<'k, 'v>(datum: &'k Datum<'v>) -> Result<&'k Datum<'v>, Stop> {
    if matches!(datum, Datum::Double(_)) { Ok(datum) } else { key(datum) }
}

/// A double that is a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn whole(number: f64) -> Option<usize> {
    ((0.0..=9e15).contains(&number) && number.fract() == 0.0).then_some(number as usize)
}

fn negate<'v>(of: &Datum<'v>) -> Answer<'v> {
    match of {
        Datum::Int(number) => number.checked_neg().map(Datum::Int).ok_or(Stop::Fails),
        Datum::Double(number) => Ok(Datum::Double(-number)),
        _ => Err(Stop::Fails),
    }
}

/// Numbers of one type, and times; an overflow cannot be evaluated.
fn number<'v>(calculation: Calculation, a: &Datum<'v>, b: &Datum<'v>) -> Answer<'v> {
    let found = match (calculation, a, b) {
        (Calculation::Add, Datum::Int(a), Datum::Int(b)) => a.checked_add(*b).map(Datum::Int),
        (Calculation::Divide, Datum::Int(a), Datum::Int(b)) => a.checked_div(*b).map(Datum::Int),
        (Calculation::Multiply, Datum::Int(a), Datum::Int(b)) => a.checked_mul(*b).map(Datum::Int),
        (Calculation::Remainder, Datum::Int(a), Datum::Int(b)) => a.checked_rem(*b).map(Datum::Int),
        (Calculation::Subtract, Datum::Int(a), Datum::Int(b)) => a.checked_sub(*b).map(Datum::Int),
        (Calculation::Add, Datum::Uint(a), Datum::Uint(b)) => a.checked_add(*b).map(Datum::Uint),
        (Calculation::Divide, Datum::Uint(a), Datum::Uint(b)) => a.checked_div(*b).map(Datum::Uint),
        (Calculation::Multiply, Datum::Uint(a), Datum::Uint(b)) => a.checked_mul(*b).map(Datum::Uint),
        (Calculation::Remainder, Datum::Uint(a), Datum::Uint(b)) => a.checked_rem(*b).map(Datum::Uint),
        (Calculation::Subtract, Datum::Uint(a), Datum::Uint(b)) => a.checked_sub(*b).map(Datum::Uint),
        (Calculation::Add, Datum::Double(a), Datum::Double(b)) => Some(Datum::Double(a + b)),
        (Calculation::Divide, Datum::Double(a), Datum::Double(b)) => Some(Datum::Double(a / b)),
        (Calculation::Multiply, Datum::Double(a), Datum::Double(b)) => Some(Datum::Double(a * b)),
        (Calculation::Subtract, Datum::Double(a), Datum::Double(b)) => Some(Datum::Double(a - b)),
        (Calculation::Add, Datum::Time(_) | Datum::Span(_), Datum::Time(_) | Datum::Span(_)) => {
            a.to_cel().zip(b.to_cel()).and_then(|(a, b)| (a + b).ok()).and_then(Datum::from_cel)
        }
        (Calculation::Subtract, Datum::Time(_) | Datum::Span(_), Datum::Time(_) | Datum::Span(_)) => {
            a.to_cel().zip(b.to_cel()).and_then(|(a, b)| (a - b).ok()).and_then(Datum::from_cel)
        }
        _ => None,
    };
    found.ok_or(Stop::Fails)
}

/// What a constant is, where all of it is constant.
pub(super) fn constant(node: &Node, steps: usize) -> Option<Datum<'static>> {
    let found = Run::constant(Budget::new(steps)).value(node).ok()?;
    own(&found)
}

fn own(datum: &Datum<'_>) -> Option<Datum<'static>> {
    Some(match datum {
        Datum::Bool(truth) => Datum::Bool(*truth),
        Datum::Double(number) => Datum::Double(*number),
        Datum::Int(number) => Datum::Int(*number),
        Datum::Json(_) | Datum::Unheld(_) => return None,
        Datum::Kind(name) => Datum::Kind(name),
        Datum::List(items) => Datum::List(items.iter().map(own).collect::<Option<Arc<[_]>>>()?),
        Datum::Map(members) => {
            let member = |(key, value): &(Datum<'_>, Datum<'_>)| own(key).zip(own(value));
            Datum::Map(members.iter().map(member).collect::<Option<Arc<[_]>>>()?)
        }
        Datum::Null => Datum::Null,
        Datum::Span(span) => Datum::Span(*span),
        Datum::Text(text) => Datum::Words((*text).into()),
        Datum::Time(time) => Datum::Time(*time),
        Datum::Uint(number) => Datum::Uint(*number),
        Datum::Words(text) => Datum::Words(Arc::clone(text)),
    })
}

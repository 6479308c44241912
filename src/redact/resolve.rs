//! From findings to replacements: overlaps are settled, values normalised, replacements counted.

use std::borrow::Cow;
use std::sync::Arc;

use super::entity::{Form, Rank};
use super::scan::{Finding, What};

/// A stretch to be replaced: all findings that overlap in it, under the name of the best.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) best: Finding,
}

/// Joins findings that overlap, so that no remainder of a value stays. The best is the one of the highest rank,
/// then the longest, then the first.
pub(super) fn merge(mut findings: Vec<Finding>) -> Vec<Piece> {
    findings.sort_by_key(|f| (f.start, f.end));
    let mut pieces: Vec<Piece> = Vec::with_capacity(findings.len());
    for finding in findings {
        match pieces.last_mut() {
            Some(last) if finding.start < last.end => {
                last.end = last.end.max(finding.end);
                if weight(&finding) > weight(&last.best) {
                    last.best = finding;
                }
            }
            _ => pieces.push(Piece { start: finding.start, end: finding.end, best: finding }),
        }
    }
    pieces
}

fn weight(finding: &Finding) -> (Rank, usize) {
    let rank = match finding.what {
        What::Entity(entity) => entity.rank(),
        What::Own(_) => Rank::Own,
        What::Data { .. } => Rank::Personal,
    };
    (rank, finding.end - finding.start)
}

/// The form of a value that its token is made from.
pub(super) fn normalised(form: Form, value: &[u8]) -> Cow<'_, [u8]> {
    match form {
        Form::Exact => Cow::Borrowed(value),
        Form::Lower => Cow::Owned(value.to_ascii_lowercase()),
        Form::Compact => Cow::Owned(
            value
                .iter()
                .filter(|b| b.is_ascii_alphanumeric() || **b == b'+')
                .map(u8::to_ascii_uppercase)
                .collect(),
        ),
    }
}

/// The name of an entity, ours or a tenant's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Ours(&'static str),
    Own(Arc<str>),
}

impl From<&'static str> for Name {
    fn from(name: &'static str) -> Self {
        Self::Ours(name)
    }
}

impl From<Arc<str>> for Name {
    fn from(name: Arc<str>) -> Self {
        Self::Own(name)
    }
}

/// Replacements by entity, in the order of their first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally(Vec<(Name, u32)>);

impl Tally {
    pub(super) fn count(&mut self, name: Name) {
        self.increase(name, 1);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (name, by) in other.0 {
            self.increase(name, by);
        }
    }

    fn increase(&mut self, name: Name, by: u32) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, count)) => *count = count.saturating_add(by),
            None => self.0.push((name, by)),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.0.iter().map(|(name, count)| match name {
            Name::Ours(name) => (*name, *count),
            Name::Own(name) => (&**name, *count),
        })
    }
}

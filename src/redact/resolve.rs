//! From findings to replacements: overlaps are settled, values normalised, replacements counted.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::detect;
use super::entity::{Entity, Form, Rank};
use super::mask::Masks;
use super::reading::Reading;
use super::scan::{Finding, What};

/// A finding, where it stands in the text, and what it reads as there or in another reading.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) what: What,
    pub(super) value: Box<str>,
}

impl Located {
    pub(super) fn here(finding: Finding, view: &str) -> Self {
        let Finding { start, end, what, .. } = finding;
        let range = view.floor_char_boundary(start)..view.ceil_char_boundary(end);
        let value = match what {
            What::Data { .. } => "",
            _ => view.get(range).unwrap_or_default(),
        };
        Self { start, end, what, value: value.into() }
    }

    /// In the text that `reading` was made from; None if the text itself shows it as it is.
    pub(super) fn read_in(self, reading: &Reading) -> Option<Self> {
        let source = reading.changed(self.start..self.end)?;
        (!self.is_data()).then(|| self.moved(&source))
    }

    /// The same, where what stands around a value may show it too.
    pub(super) fn shown_by(self, reading: &Reading) -> Option<Self> {
        let source = reading.changed_near(self.start..self.end)?;
        (!self.is_data()).then(|| self.moved(&source))
    }

    pub(super) fn is_data(&self) -> bool {
        matches!(self.what, What::Data { .. })
    }

    pub(super) fn moved(self, to: &Range<usize>) -> Self {
        Self { start: to.start, end: to.end, ..self }
    }

    /// What does not come about by chance when two lines, or characters that stand alone, are read as one.
    pub(super) fn is_certain(&self) -> bool {
        use Entity::{
            ChAhv, CreditCard, Crypto, EmailAddress, FrNir, IbanCode, Password, PhoneNumber, UrlPassword,
        };
        match self.what {
            What::Entity(CreditCard | IbanCode | ChAhv | FrNir | Crypto | EmailAddress) => true,
            What::Entity(PhoneNumber) => self.value.starts_with(['+', '(']),
            What::Entity(Password | UrlPassword) => false,
            What::Entity(entity) => entity.rank() != Rank::Personal,
            What::Own(_) | What::Data { .. } => false,
        }
    }

    /// The same, and national and telephone numbers whose word stands right before them.
    pub(super) fn is_certain_or_named(&self, text: &str) -> bool {
        self.is_certain()
            || (self.needs_word() && detect::is_labelled(self.what, text.as_bytes(), self.start))
    }

    /// Of those that a word has to tell when lines are read as one.
    pub(super) fn needs_word(&self) -> bool {
        matches!(self.what, What::Entity(entity) if detect::label_of(entity).is_some()) && !self.is_certain()
    }

    /// What has a shape of its own: no password of a sentence.
    pub(super) fn is_shaped(&self, _: &str) -> bool {
        !matches!(
            self.what,
            What::Entity(Entity::Password | Entity::UrlPassword) | What::Own(_) | What::Data { .. }
        )
    }

    pub(super) fn is_address(&self, _: &str) -> bool {
        matches!(self.what, What::Entity(Entity::EmailAddress))
    }

    /// What decides when findings overlap.
    pub(super) fn weight(&self) -> (Rank, usize) {
        let rank = match self.what {
            What::Entity(entity) => entity.rank(),
            What::Own(_) => Rank::Own,
            What::Data { .. } => Rank::Personal,
        };
        (rank, self.end - self.start)
    }
}

/// A stretch to be replaced: all findings that overlap in it, under the name of the best.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) best: Located,
}

/// Joins findings that overlap, so that no remainder of a value stays. The best is the one of the highest rank,
/// then the longest, then the first.
pub(super) fn merge(mut findings: Vec<Located>) -> Vec<Piece> {
    findings.sort_by_key(|f| (f.start, f.end));
    let mut pieces: Vec<Piece> = Vec::with_capacity(findings.len());
    for finding in findings {
        match pieces.last_mut() {
            Some(last) if finding.start < last.end => {
                last.end = last.end.max(finding.end);
                if finding.weight() > last.best.weight() {
                    last.best = finding;
                }
            }
            _ => pieces.push(Piece { start: finding.start, end: finding.end, best: finding }),
        }
    }
    pieces
}

/// The form of a value that its token is made from.
pub(super) fn normalised(form: Form, value: &[u8]) -> Cow<'_, [u8]> {
    match form {
        Form::Exact => Cow::Borrowed(value),
        Form::Lower => Cow::Owned(value.to_ascii_lowercase()),
        Form::Compact => Cow::Owned(compact(value)),
    }
}

/// Letters, digits and `+` alone, upper case. Which bytes those are nobody foretells: each is written where the next one goes.
fn compact(value: &[u8]) -> Vec<u8> {
    let mut out = vec![0; value.len()];
    let mut length = 0;
    for b in value {
        if let Some(to) = out.get_mut(length) {
            *to = b.to_ascii_uppercase();
        }
        length += usize::from(b.is_ascii_alphanumeric() | (*b == b'+'));
    }
    out.truncate(length);
    out
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

/// Replacements by entity, in the order of their first; with the way back, where there is to be one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counts: Vec<(Name, u32)>,
    masks: Option<Box<Masks>>,
}

impl Tally {
    /// Keeps the way back, beside what is known of it.
    pub(super) fn masking(masks: Masks) -> Self {
        Self { counts: Vec::new(), masks: Some(Box::new(masks)) }
    }

    /// An empty one of the same kind.
    pub(super) fn fresh(&self) -> Self {
        Self { counts: Vec::new(), masks: self.masks.is_some().then(Box::default) }
    }

    /// Whether the way back is kept.
    pub(super) fn masks(&self) -> bool {
        self.masks.is_some()
    }

    /// Keeps what a placeholder stands for.
    pub(super) fn mask(&mut self, placeholder: &str, value: &str) {
        if let Some(masks) = &mut self.masks {
            masks.keep(placeholder, value);
        }
    }

    pub(super) fn into_masks(self) -> Masks {
        self.masks.map(|masks| *masks).unwrap_or_default()
    }

    pub(super) fn count(&mut self, name: Name) {
        self.increase(name, 1);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (name, by) in other.counts {
            self.increase(name, by);
        }
        if let (Some(masks), Some(others)) = (&mut self.masks, other.masks) {
            masks.add(*others);
        }
    }

    fn increase(&mut self, name: Name, by: u32) {
        match self.counts.iter_mut().find(|(n, _)| *n == name) {
            Some((_, count)) => *count = count.saturating_add(by),
            None => self.counts.push((name, by)),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.counts.iter().map(|(name, count)| match name {
            Name::Ours(name) => (*name, *count),
            Name::Own(name) => (&**name, *count),
        })
    }
}

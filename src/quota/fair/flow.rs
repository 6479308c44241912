//! One tenant's requests that wait, interactive ones before batch, each in the order in which it came.

use super::Priority;
use std::collections::BTreeMap;

/// Where a tenant stands among those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// What it was given so far, divided by its weight.
    pub(super) start: u128,
    pub(super) class: Class,
    /// Who came first, where all else is the same.
    turn: u64,
}

/// Of tenants that were given the same, those go first that came anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    New,
    Known,
}

#[derive(Debug)]
pub(super) struct Flow<T> {
    /// What it was given so far, divided by its weight: where its next request begins.
    pub(super) start: u128,
    class: Class,
    /// Where it stands; `None` while it has no request.
    key: Option<Key>,
    interactive: BTreeMap<u64, (u128, T)>,
    batch: BTreeMap<u64, (u128, T)>,
}

impl<T> Flow<T> {
    pub(super) fn new(start: u128) -> Self {
        let (interactive, batch) = (BTreeMap::new(), BTreeMap::new());
        Self { start, class: Class::New, key: None, interactive, batch }
    }

    /// Requests that wait.
    pub(super) fn len(&self) -> usize {
        self.interactive.len() + self.batch.len()
    }

    pub(super) fn key(&self) -> Option<Key> {
        self.key
    }

    /// Stands among the others from now on.
    pub(super) fn enter(&mut self, turn: u64) -> Key {
        *self.key.insert(Key { start: self.start, class: self.class, turn })
    }

    /// Stands again, after one of its requests went.
    pub(super) fn go_on(&mut self, turn: u64) -> Key {
        self.class = Class::Known;
        self.enter(turn)
    }

    /// Stands no longer.
    pub(super) fn rest(&mut self) -> Option<Key> {
        self.class = Class::Known;
        self.key.take()
    }

    pub(super) fn push(&mut self, number: u64, priority: Priority, step: u128, request: T) {
        self.of(priority).insert(number, (step, request));
    }

    pub(super) fn remove(&mut self, number: u64, priority: Priority) -> Option<T> {
        self.of(priority).remove(&number).map(|(_, request)| request)
    }

    /// The request that goes next.
    pub(super) fn pop(&mut self) -> Option<(u128, T)> {
        let next = self.interactive.pop_first().or_else(|| self.batch.pop_first());
        next.map(|(_, next)| next)
    }

    /// Takes out the youngest batch request.
    pub(super) fn displace(&mut self) -> Option<T> {
        self.batch.pop_last().map(|(_, (_, request))| request)
    }

    fn of(&mut self, priority: Priority) -> &mut BTreeMap<u64, (u128, T)> {
        match priority {
            Priority::Batch => &mut self.batch,
            Priority::Interactive => &mut self.interactive,
        }
    }
}

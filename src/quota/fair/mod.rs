//! Who is next at an upstream that takes so many requests at a time. Pure: requests come, leave and end; out come those
//! that may go. There is no clock here, and no socket.
//!
//! It is start-time fair queueing: deficit round robin with a quantum as small as a token, so that nobody waits for a
//! whole round. A tenant's turn comes where what it was given, divided by its weight, is least. A tenant that had less than
//! its share meanwhile may make up for a little of it, [`SAVED`], so that one that asks for its share in uneven steps does
//! not wait; one that comes anew begins with as much. What a tenant was given counts from the request on that took the last
//! place, until one is free again: whoever comes meanwhile goes before it. Memory is kept only of tenants that wait or that
//! had less than so much less than their share, and of none while a place is free.

mod flow;

use flow::{Class, Flow, Key};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

/// A request costs as much as so many tokens by the place that it takes.
pub const PLACE_COST: u64 = 500;
/// No request costs more, whatever it says that it may use.
const COST_MAX: u64 = 1 << 20;
/// Room for so many tenants is kept while nobody waits.
const FLOWS_KEPT: usize = 64;
/// One token of a tenant of weight 1, as it is counted.
const TOKEN: u128 = 1 << 32;
/// Tokens, of weight 1, that a tenant which had less than its share may make up for: a few questions.
pub const SAVED: u64 = 4000;
const CREDIT: u128 = SAVED as u128 * TOKEN;
/// Where counting begins: whoever comes then has its credit.
const BEGIN: u128 = CREDIT;

/// How many requests an upstream takes at a time, and how many may wait for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FairQueue {
    pub max_in_flight: u32,
    /// Requests of one tenant that may wait.
    pub per_tenant: usize,
    pub wait: Duration,
}

/// Which of a tenant's requests go first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// Goes while none of the tenant's other requests wait.
    Batch,
    #[default]
    Interactive,
}

/// A request that wants a place.
#[derive(Debug, Clone)]
pub struct Claim {
    pub tenant: Arc<str>,
    /// The tenant's share beside the others'.
    pub weight: u32,
    pub priority: Priority,
    /// The tokens that it may use, and its place.
    pub cost: u64,
}

impl Claim {
    /// A claim of a request that may use so many tokens.
    pub fn new(tenant: Arc<str>, weight: u32, priority: Priority, tokens: u64) -> Self {
        Self { tenant, weight, priority, cost: tokens.saturating_add(PLACE_COST) }
    }

    /// What it moves its tenant back by.
    fn step(&self) -> u128 {
        let cost = u128::from(self.cost.clamp(1, COST_MAX)) * TOKEN;
        (cost / u128::from(self.weight.max(1))).max(1)
    }
}

/// Where a request waits, for taking it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    tenant: Arc<str>,
    number: u64,
    priority: Priority,
}

/// What becomes of a request for which no place is free.
#[derive(Debug)]
pub enum Queued<T> {
    Waits {
        ticket: Ticket,
        /// The tenant's youngest batch request, which had to leave for it.
        displaced: Option<T>,
    },
    /// As many of the tenant's wait as may.
    Full(T),
}

/// Places at an upstream, and who waits for one. `T` is what stands for a request that waits.
#[derive(Debug)]
pub struct Scheduler<T> {
    /// `None` where all may go at once.
    max: Option<u32>,
    per_tenant: usize,
    in_flight: u32,
    waiting: usize,
    /// The most that a tenant had when it went: what is a tenant's share by now.
    now: u128,
    /// Counts tickets and entries of tenants.
    count: u64,
    /// Counts tenants that came with much at once.
    spread: u32,
    /// Tenants that wait, and those without a request that are remembered.
    flows: HashMap<Arc<str>, Flow<T>>,
    /// Those that wait, the next first.
    order: BTreeMap<Key, Arc<str>>,
    /// Those that do not wait, and have not saved up all that they may.
    resting: BTreeSet<(u128, Arc<str>)>,
}

impl<T> Scheduler<T> {
    /// All places free.
    pub fn new(queue: Option<&FairQueue>) -> Self {
        let mut scheduler = Self {
            max: None,
            per_tenant: 0,
            in_flight: 0,
            waiting: 0,
            now: BEGIN,
            count: 0,
            spread: 0,
            flows: HashMap::new(),
            order: BTreeMap::new(),
            resting: BTreeSet::new(),
        };
        scheduler.set(queue);
        scheduler
    }

    fn set(&mut self, queue: Option<&FairQueue>) {
        self.max = queue.map(|queue| queue.max_in_flight);
        self.per_tenant = queue.map_or(0, |queue| queue.per_tenant);
    }

    /// Changes how many may go at a time. Those who wait go on waiting, those in flight stay in flight; who may go now is
    /// returned.
    pub fn configure(&mut self, queue: Option<&FairQueue>) -> Vec<T> {
        self.set(queue);
        let go = std::iter::from_fn(|| self.next()).collect();
        self.forget();
        go
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Requests that wait, by tenant.
    pub fn waiting(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.order.values().filter_map(|tenant| Some((tenant, self.flows.get(tenant)?.len())))
    }

    /// Takes a place if one is free. While anybody waits none is.
    pub fn try_take(&mut self, claim: &Claim) -> bool {
        if !self.has_room() {
            return false;
        }
        self.in_flight = self.in_flight.saturating_add(1);
        if !self.has_room() {
            // From here on others wait for its tenant: it counts as one of those that waited.
            let mut flow = Flow::new(self.now.saturating_sub(CREDIT));
            flow.start = flow.start.saturating_add(claim.step());
            flow.rest();
            self.flows.insert(Arc::clone(&claim.tenant), flow);
            self.retire(&claim.tenant);
        }
        true
    }

    fn has_room(&self) -> bool {
        self.max.is_none_or(|max| self.in_flight < max)
    }

    /// Waits for a place, none being free.
    pub fn wait(&mut self, claim: &Claim, request: T) -> Queued<T> {
        let mut displaced = None;
        if self.flows.get(&claim.tenant).map_or(0, Flow::len) >= self.per_tenant.max(1) {
            let room = match claim.priority {
                Priority::Interactive => self.flows.get_mut(&claim.tenant).and_then(Flow::displace),
                Priority::Batch => None,
            };
            let Some(youngest) = room else { return Queued::Full(request) };
            displaced = Some(youngest);
            self.waiting = self.waiting.saturating_sub(1);
        }
        self.count += 1;
        let number = self.count;
        let begin = self.now.saturating_sub(CREDIT);
        let flow = self.flows.entry(Arc::clone(&claim.tenant)).or_insert_with(|| Flow::new(begin));
        if flow.key().is_none() {
            self.resting.remove(&(flow.start, Arc::clone(&claim.tenant)));
            let key = flow.enter(number);
            self.order.insert(key, Arc::clone(&claim.tenant));
        }
        flow.push(number, claim.priority, claim.step(), request);
        self.waiting += 1;
        let ticket = Ticket { tenant: Arc::clone(&claim.tenant), number, priority: claim.priority };
        Queued::Waits { ticket, displaced }
    }

    /// Takes a request out that waits no longer. One that got its place, or left before, is not there any more.
    pub fn leave(&mut self, ticket: &Ticket) -> Option<T> {
        let flow = self.flows.get_mut(&ticket.tenant)?;
        let request = flow.remove(ticket.number, ticket.priority)?;
        self.waiting = self.waiting.saturating_sub(1);
        if flow.len() == 0 {
            if let Some(key) = flow.rest() {
                self.order.remove(&key);
            }
            self.retire(&ticket.tenant);
        }
        Some(request)
    }

    /// A place is given back; who has it now, if anybody waits.
    pub fn release(&mut self) -> Option<T> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let next = self.next();
        self.forget();
        next
    }

    /// The next request, if there is room for it: it has its place now.
    fn next(&mut self) -> Option<T> {
        if !self.has_room() {
            return None;
        }
        let (key, tenant) = self.order.pop_first()?;
        let flow = self.flows.get_mut(&tenant)?;
        self.now = self.now.max(key.start);
        let (step, request) = flow.pop()?;
        self.waiting = self.waiting.saturating_sub(1);
        self.in_flight = self.in_flight.saturating_add(1);
        flow.start = key.start.saturating_add(step);
        if flow.len() > 0 {
            if key.class == Class::New {
                // Tenants that begin together would stay in step, and whoever comes meanwhile would wait for all of
                // them: each is put back once by another part of a request.
                self.spread = self.spread.wrapping_add(0x9E37_79B9);
                flow.start = flow.start.saturating_add(step.saturating_mul(u128::from(self.spread)) >> 32);
            }
            self.count += 1;
            let key = flow.go_on(self.count);
            self.order.insert(key, tenant);
        } else {
            flow.rest();
            self.retire(&tenant);
        }
        while let Some((start, tenant)) = self.resting.pop_first() {
            if start.saturating_add(CREDIT) > self.now {
                self.resting.insert((start, tenant));
                break;
            }
            self.flows.remove(&tenant);
        }
        Some(request)
    }

    /// A tenant without a request is remembered while it has not saved up all that it may.
    fn retire(&mut self, tenant: &Arc<str>) {
        let Some(flow) = self.flows.get(tenant) else { return };
        if flow.start.saturating_add(CREDIT) > self.now {
            self.resting.insert((flow.start, Arc::clone(tenant)));
        } else {
            self.flows.remove(tenant);
        }
    }

    /// While a place is free there is nothing to share. While none is, who had the last ones is remembered though nobody
    /// waits: it would be first again otherwise, before whoever comes next.
    fn forget(&mut self) {
        let knows = self.now != BEGIN || !self.flows.is_empty() || self.flows.capacity() > FLOWS_KEPT;
        if !knows || !self.has_room() {
            return;
        }
        if self.flows.capacity() > FLOWS_KEPT {
            self.flows = HashMap::new();
        }
        self.flows.clear();
        self.order.clear();
        self.resting.clear();
        self.now = BEGIN;
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

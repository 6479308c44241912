//! Laws of who waits for whom, over any order of what comes, leaves and ends.

use super::{
    tests::{claim, is_empty, queue, waits},
    *,
};
use proptest::prelude::*;

/// What a law looks at: who was given what while whom waited.
struct Watched {
    scheduler: Scheduler<(usize, u64)>,
    weights: Vec<u32>,
    /// Tickets of those that wait, by tenant.
    tickets: Vec<Vec<Ticket>>,
    /// What each was given since a place was free last, its last place included: nothing, for one that comes anew.
    given: Vec<u64>,
    /// Of one that came anew and waits: the requests of others that went before it.
    before: Vec<Option<Vec<u32>>>,
    /// Who has the only place.
    inside: Option<usize>,
    /// Of each that waits: what all were given meanwhile, in tokens.
    meanwhile: Vec<Option<Vec<u64>>>,
    max: u32,
}

const COST_OF_ALL: u64 = 5000;

impl Watched {
    fn new(max: u32, weights: Vec<u32>) -> Self {
        let (scheduler, count) = (Scheduler::new(Some(&queue(max, 1000))), weights.len());
        Self {
            scheduler,
            weights,
            tickets: vec![Vec::new(); count],
            given: vec![0; count],
            before: vec![None; count],
            inside: None,
            meanwhile: vec![None; count],
            max,
        }
    }

    fn come(&mut self, tenant: usize, cost: u64) {
        let claim = claim(tenant, self.weights[tenant], Priority::Interactive, cost);
        if self.scheduler.try_take(&claim) {
            self.given[tenant] += u64::from(self.scheduler.in_flight() == self.max);
            self.inside = Some(tenant);
            return;
        }
        let count = self.weights.len();
        if self.tickets[tenant].is_empty() {
            self.meanwhile[tenant] = Some(vec![0; count]);
            self.before[tenant] = (self.given[tenant] == 0).then(|| {
                let mut before = vec![0; count];
                if let (1, Some(inside)) = (self.max, self.inside) {
                    before[inside] = 1;
                }
                before
            });
        }
        let ticket = waits(&mut self.scheduler, &claim, (tenant, cost));
        self.tickets[tenant].push(ticket);
    }

    fn leave(&mut self, tenant: usize) {
        let Some(ticket) = self.tickets[tenant].pop() else { return };
        assert!(self.scheduler.leave(&ticket).is_some());
        if self.tickets[tenant].is_empty() {
            (self.before[tenant], self.meanwhile[tenant]) = (None, None);
        }
    }

    fn end(&mut self) {
        if self.scheduler.in_flight() == 0 {
            return;
        }
        self.inside = None;
        if let Some((tenant, cost)) = self.scheduler.release() {
            self.granted(tenant, cost);
        }
        if self.scheduler.in_flight() < self.max {
            self.given.fill(0);
        }
    }

    fn granted(&mut self, tenant: usize, cost: u64) {
        self.inside = Some(tenant);
        self.given[tenant] += 1;
        self.tickets[tenant].remove(0);
        self.before[tenant] = None;
        for before in self.before.iter_mut().flatten() {
            before[tenant] += 1;
            assert!(before[tenant] <= 1, "one that comes anew waits for {tenant} again: {before:?}");
        }
        for meanwhile in self.meanwhile.iter_mut().flatten() {
            meanwhile[tenant] += cost;
        }
        self.shares();
        if self.tickets[tenant].is_empty() {
            self.meanwhile[tenant] = None;
        }
    }

    /// While one waits, no other gets more for its weight but for what is saved up, and requests of theirs.
    fn shares(&self) {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let share = |cost: u64, tenant: usize| cost as f64 / f64::from(self.weights[tenant]);
        for (waiting, meanwhile) in self.meanwhile.iter().enumerate() {
            let Some(meanwhile) = meanwhile else { continue };
            for (other, cost) in meanwhile.iter().enumerate() {
                let more = share(*cost, other) - share(meanwhile[waiting], waiting);
                let requests = share(COST_OF_ALL, other) + 2.0 * share(COST_OF_ALL, waiting);
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let most = SAVED as f64 + requests + 1e-6;
                assert!(more <= most, "{other} got {more} more than {waiting}: {meanwhile:?}");
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Come(usize, u64),
    Leave(usize),
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..5_usize, 1..=COST_OF_ALL).prop_map(|(tenant, cost)| Step::Come(tenant, cost)),
        2 => (0..5_usize).prop_map(Step::Leave),
        4 => Just(Step::End),
    ]
}

proptest! {
    /// Whatever comes, leaves and ends in whatever order. Whoever comes anew waits for one request of each other tenant at
    /// most, and at an upstream that takes one at a time the one that is there is among them. And while a tenant waits, no
    /// other gets more than its share, but for what may be saved up and a request.
    #[test]
    fn nobody_waits_for_more_than_its_share_of_others(
        steps in prop::collection::vec(step(), 0..400),
        weights in prop::collection::vec(1..9_u32, 5),
        max in 1..4_u32,
    ) {
        let mut watched = Watched::new(max, weights);
        for step in steps {
            match step {
                Step::Come(tenant, cost) => watched.come(tenant, cost),
                Step::Leave(tenant) => watched.leave(tenant),
                Step::End => watched.end(),
            }
        }
        while watched.scheduler.in_flight() > 0 {
            watched.end();
        }
        prop_assert!(watched.tickets.iter().all(Vec::is_empty));
        is_empty(&watched.scheduler);
    }
}

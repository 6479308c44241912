//! Laws of the fair queue, over any order of events.

use super::*;
use proptest::prelude::*;

pub(super) fn queue(max_in_flight: u32, per_tenant: usize) -> FairQueue {
    FairQueue { max_in_flight, per_tenant, wait: Duration::from_secs(30) }
}

pub(super) fn claim(tenant: usize, weight: u32, priority: Priority, cost: u64) -> Claim {
    Claim { tenant: format!("t{tenant}").into(), weight, priority, cost }
}

fn plain(tenant: usize) -> Claim {
    claim(tenant, 1, Priority::Interactive, 100)
}

/// Who has the places before anybody waits.
fn somebody() -> Claim {
    plain(usize::MAX - 1)
}

#[track_caller]
pub(super) fn waits<T: std::fmt::Debug>(scheduler: &mut Scheduler<T>, claim: &Claim, request: T) -> Ticket {
    assert!(!scheduler.try_take(claim), "a place was free");
    match scheduler.wait(claim, request) {
        Queued::Waits { ticket, displaced: None } => ticket,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(super) fn is_empty<T>(scheduler: &Scheduler<T>) {
    assert_eq!((scheduler.waiting, scheduler.now), (0, BEGIN));
    assert!(scheduler.flows.is_empty() && scheduler.order.is_empty() && scheduler.resting.is_empty());
    assert!(scheduler.flows.capacity() <= FLOWS_KEPT, "room is kept for {}", scheduler.flows.capacity());
}

#[derive(Debug, Clone)]
enum Op {
    Come { tenant: usize, batch: bool, cost: u64, weight: u32 },
    Leave(prop::sample::Index),
    End,
    Configure { max: Option<u32>, per_tenant: usize },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..6_usize, any::<bool>(), 0..5000_u64, 1..5_u32)
            .prop_map(|(tenant, batch, cost, weight)| Op::Come { tenant, batch, cost, weight }),
        2 => any::<prop::sample::Index>().prop_map(Op::Leave),
        4 => Just(Op::End),
        1 => (prop::option::weighted(0.9, 1..5_u32), 1..6_usize)
            .prop_map(|(max, per_tenant)| Op::Configure { max, per_tenant }),
    ]
}

/// What has to be true of a scheduler, kept beside it in the plainest way.
#[derive(Debug)]
struct Model {
    scheduler: Scheduler<usize>,
    max: Option<u32>,
    per_tenant: usize,
    in_flight: u32,
    /// Request, tenant, whether batch, ticket; in the order in which they came.
    waiting: Vec<(usize, usize, bool, Ticket)>,
    came: usize,
}

impl Model {
    fn run(&mut self, op: &Op) {
        match *op {
            Op::Come { tenant, batch, cost, weight } => self.come(tenant, batch, cost, weight),
            Op::Leave(ref which) => {
                if self.waiting.is_empty() {
                    return;
                }
                let (request, _, _, ticket) = self.waiting.remove(which.index(self.waiting.len()));
                assert_eq!(self.scheduler.leave(&ticket), Some(request));
                assert_eq!(self.scheduler.leave(&ticket), None, "left twice");
            }
            Op::End => {
                if self.in_flight > 0 {
                    self.in_flight -= 1;
                    let next = self.scheduler.release();
                    next.into_iter().for_each(|request| self.granted(request));
                }
            }
            Op::Configure { max, per_tenant } => {
                (self.max, self.per_tenant) = (max, per_tenant);
                let queue = max.map(|max| queue(max, per_tenant));
                let all = self.scheduler.configure(queue.as_ref());
                all.into_iter().for_each(|request| self.granted(request));
            }
        }
        let has_room = self.max.is_none_or(|max| self.in_flight < max);
        assert!(self.waiting.is_empty() || !has_room, "a place is free, and somebody waits");
        assert_eq!(self.scheduler.in_flight(), self.in_flight);
        let told: usize = self.scheduler.waiting().map(|(_, count)| count).sum();
        assert_eq!((self.scheduler.waiting, told), (self.waiting.len(), self.waiting.len()));
        if has_room {
            is_empty(&self.scheduler);
        }
    }

    fn come(&mut self, tenant: usize, batch: bool, cost: u64, weight: u32) {
        self.came += 1;
        let priority = if batch { Priority::Batch } else { Priority::Interactive };
        let claim = claim(tenant, weight, priority, cost);
        if self.scheduler.try_take(&claim) {
            assert!(self.max.is_none_or(|max| self.in_flight < max), "more than may go");
            self.in_flight += 1;
            return;
        }
        let own = self.waiting.iter().filter(|(_, of, ..)| *of == tenant);
        let (own, own_batch) = (own.clone().count(), own.filter(|(_, _, batch, _)| *batch).count());
        match self.scheduler.wait(&claim, self.came) {
            Queued::Full(request) => {
                assert_eq!(request, self.came);
                assert!(own >= self.per_tenant && (batch || own_batch == 0), "its own queue has room");
            }
            Queued::Waits { ticket, displaced } => {
                assert_eq!(displaced.is_some(), own >= self.per_tenant);
                if let Some(displaced) = displaced {
                    let youngest = self.waiting.iter().rposition(|(_, of, batch, _)| *of == tenant && *batch);
                    assert_eq!(self.waiting.remove(youngest.unwrap()).0, displaced);
                }
                self.waiting.push((self.came, tenant, batch, ticket));
            }
        }
    }

    fn granted(&mut self, request: usize) {
        let at = self.waiting.iter().position(|(waiting, ..)| *waiting == request);
        let (_, tenant, batch, _) = self.waiting.remove(at.expect("it waits, and goes once"));
        let before = self.waiting.iter().filter(|(_, of, ..)| *of == tenant);
        for (other, _, other_is_batch, _) in before {
            assert!(*other > request || (*other_is_batch && !batch), "{other} was before {request}");
            assert!(!batch || *other_is_batch, "{other} is interactive");
        }
        assert!(self.max.is_none_or(|max| self.in_flight < max), "more than may go");
        self.in_flight += 1;
    }
}

proptest! {
    #[test]
    fn places_are_neither_lost_nor_made_and_whoever_leaves_leaves_no_trace(
        ops in prop::collection::vec(op(), 0..300),
        max in 1..5_u32,
    ) {
        let scheduler = Scheduler::new(Some(&queue(max, 4)));
        let mut model = Model { scheduler, max: Some(max), per_tenant: 4, in_flight: 0, waiting: Vec::new(), came: 0 };
        for op in ops {
            model.run(&op);
        }
        while model.in_flight > 0 {
            model.run(&Op::End);
        }
        prop_assert!(model.waiting.is_empty(), "{model:?}");
        is_empty(&model.scheduler);
    }

    /// Of any two tenants that have requests waiting all the time, each has what its weight says, but for one of its
    /// largest requests, and for part of one by which it was put back when it came; whatever others do meanwhile.
    #[test]
    fn shares_are_as_the_weights_but_for_a_request(
        tenants in prop::collection::vec((1..20_u32, prop::collection::vec(1..4000_u64, 1..6)), 2..6),
        others in prop::collection::vec((0..4_usize, 1..4000_u64, any::<bool>()), 0..120),
        from in 0..100_usize,
        grants in 100..300_usize,
    ) {
        let mut scheduler = Scheduler::new(Some(&queue(1, 1000)));
        prop_assert!(scheduler.try_take(&somebody()));
        let mut next = vec![0_usize; tenants.len()];
        let mut enter = |scheduler: &mut Scheduler<Option<(usize, u64)>>, tenant: usize| {
            let (weight, costs) = &tenants[tenant];
            let cost = costs[next[tenant] % costs.len()];
            next[tenant] += 1;
            waits(scheduler, &claim(tenant, *weight, Priority::Interactive, cost), Some((tenant, cost)));
        };
        for tenant in 0..tenants.len() {
            enter(&mut scheduler, tenant);
            enter(&mut scheduler, tenant);
        }
        let mut others = others.into_iter();
        let mut left = Vec::new();
        let mut given = vec![0_u64; tenants.len()];
        for grant in 0..grants {
            if grant == from {
                given.fill(0);
            }
            if let Some((other, cost, stays)) = others.next() {
                let ticket = waits(&mut scheduler, &claim(100 + other, 3, Priority::Interactive, cost), None);
                if !stays {
                    left.push(ticket);
                }
            }
            if grant % 7 == 0 {
                for ticket in left.drain(..) {
                    scheduler.leave(&ticket);
                }
            }
            if let Some((tenant, cost)) = scheduler.release().expect("many wait") {
                given[tenant] += cost;
                enter(&mut scheduler, tenant);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let share = |cost: u64, tenant: usize| cost as f64 / f64::from(tenants[tenant].0);
        for one in 0..tenants.len() {
            for other in 0..tenants.len() {
                let most = |tenant: usize| share(*tenants[tenant].1.iter().max().unwrap(), tenant);
                let between = share(given[one], one) - share(given[other], other);
                prop_assert!(between <= most(one) + 2.0 * most(other) + 1e-6, "{between}: {given:?}");
            }
        }
    }

    /// A tenant whose requests waited for is next, as long as it had no more than its share: however many others wait
    /// with however much.
    #[test]
    fn who_has_less_than_its_share_is_next(
        flooding in 1..60_usize,
        costs in prop::collection::vec(500..4000_u64, 1..7),
        own in 1..2000_u64,
        rounds in 1..6_usize,
    ) {
        let mut scheduler = Scheduler::new(Some(&queue(1, 1000)));
        prop_assert!(scheduler.try_take(&somebody()));
        let cost = |at: usize| costs[at % costs.len()];
        for tenant in 0..flooding {
            for _ in 0..2 {
                waits(&mut scheduler, &claim(tenant, 1, Priority::Interactive, cost(tenant)), tenant);
            }
        }
        let give = |scheduler: &mut Scheduler<usize>, times: usize| {
            for _ in 0..times {
                let tenant = scheduler.release().unwrap();
                prop_assert!(tenant < flooding);
                waits(scheduler, &claim(tenant, 1, Priority::Interactive, cost(tenant)), tenant);
            }
            Ok(())
        };
        give(&mut scheduler, 2 * flooding)?;
        for _ in 0..rounds {
            waits(&mut scheduler, &claim(usize::MAX, 1, Priority::Interactive, own), usize::MAX);
            prop_assert_eq!(scheduler.release(), Some(usize::MAX));
            // In this time everybody has what it had, and the largest request more.
            let all = 4000 + own;
            give(&mut scheduler, flooding * usize::try_from(all / costs.iter().min().unwrap() + 2).unwrap())?;
        }
    }

    #[test]
    fn nobody_starves(weights in prop::collection::vec(1..10_u32, 2..8)) {
        let mut scheduler = Scheduler::new(Some(&queue(1, 10)));
        prop_assert!(scheduler.try_take(&somebody()));
        let one = |tenant: usize| claim(tenant, weights[tenant], Priority::Interactive, 100);
        for tenant in 0..weights.len() {
            waits(&mut scheduler, &one(tenant), tenant);
            waits(&mut scheduler, &one(tenant), tenant);
        }
        let mut last = vec![0_u32; weights.len()];
        // Between two of a tenant, any other gets what its weight says, and one more; twice that at the beginning.
        let within = |tenant: usize| weights.iter().map(|weight| 2 * weight.div_ceil(weights[tenant]) + 2).sum::<u32>();
        for grant in 1..500 {
            let tenant = scheduler.release().unwrap();
            waits(&mut scheduler, &one(tenant), tenant);
            last[tenant] = grant;
            for (tenant, last) in last.iter().enumerate() {
                prop_assert!(grant - last <= within(tenant), "{tenant} waits since {last}, now {grant}");
            }
        }
    }
}

#[test]
fn a_tenant_alone_uses_all_places_and_has_no_debt_from_it_but_the_last() {
    let mut scheduler = Scheduler::new(Some(&queue(3, 2)));
    assert!((0..3).all(|_| scheduler.try_take(&plain(0))));
    let flood = |scheduler: &mut Scheduler<&'static str>| drop(waits(scheduler, &plain(0), "flood"));
    flood(&mut scheduler);
    flood(&mut scheduler);
    assert!(matches!(scheduler.wait(&plain(0), "flood"), Queued::Full("flood")));
    // Another tenant's queue is another one.
    waits(&mut scheduler, &plain(1), "other");
    assert_eq!(scheduler.release(), Some("other"));
    assert_eq!(scheduler.release(), Some("flood"));
    assert_eq!(scheduler.release(), Some("flood"));
}

#[test]
fn whose_last_request_stopped_waiting_is_not_first_again() {
    let mut scheduler = Scheduler::new(Some(&queue(1, 9)));
    assert!(scheduler.try_take(&plain(0)));
    // It goes on and on, one by one, and once it leaves; each time nobody waits for a moment.
    for leaves in [false, true] {
        for _ in 0..3 {
            let ticket = waits(&mut scheduler, &plain(0), "again");
            let gone = if leaves { scheduler.leave(&ticket) } else { scheduler.release() };
            assert_eq!(gone, Some("again"));
        }
        waits(&mut scheduler, &plain(0), "again");
        let other = waits(&mut scheduler, &plain(1), "other");
        assert_eq!(scheduler.release(), Some("other"), "it waits for the one that is there, and no other");
        assert_eq!((scheduler.release(), scheduler.leave(&other)), (Some("again"), None));
    }
    assert_eq!(scheduler.release(), None);
    is_empty(&scheduler);
}

#[test]
fn who_idles_saves_up_a_little_and_no_more() {
    let large = |tenant| claim(tenant, 1, Priority::Interactive, SAVED);
    let mut scheduler = Scheduler::new(Some(&queue(1, 100)));
    assert!(scheduler.try_take(&somebody()));
    for _ in 0..60 {
        waits(&mut scheduler, &large(0), 0);
    }
    waits(&mut scheduler, &large(1), 1);
    // While tenant 0 has 40 requests, tenant 1 has one, and then comes with many.
    (0..41).for_each(|_| assert!(scheduler.release().is_some()));
    (0..30).for_each(|_| drop(waits(&mut scheduler, &large(1), 1)));
    let next: Vec<i32> = (0..13).map(|_| scheduler.release().unwrap()).collect();
    let ones = next.iter().filter(|tenant| **tenant == 1).count();
    assert!((6..=8).contains(&ones), "{next:?}");
}

proptest! {
    /// A tenant that asks for less than its share, in uneven steps that come to no more than it may save up, is always
    /// next: none of its requests waits for one that came before it.
    #[test]
    fn uneven_steps_within_the_share_do_not_wait(
        flooding in 2..40_usize,
        cost in 500..4000_u64,
        own in 500..1000_u64,
        late in prop::collection::vec(0..3_u64, 1..60),
    ) {
        let mut scheduler = Scheduler::new(Some(&queue(1, 1000)));
        prop_assert!(scheduler.try_take(&somebody()));
        let flood = |tenant: usize| claim(tenant, 1, Priority::Interactive, cost);
        for tenant in 0..flooding {
            waits(&mut scheduler, &flood(tenant), tenant);
            waits(&mut scheduler, &flood(tenant), tenant);
        }
        // All have used what they began with.
        for _ in 0..flooding * usize::try_from(2 * SAVED / cost + 3).unwrap() {
            let tenant = scheduler.release().unwrap();
            waits(&mut scheduler, &flood(tenant), tenant);
        }
        // In so many turns everybody else is given what a request costs, and one more in ten.
        let share = usize::try_from((own * 11).div_ceil(cost * 10)).unwrap() * flooding;
        let mut owed = 0;
        for late in late {
            // One comes late, the next one early.
            let late = usize::try_from(late).unwrap() * share / 2;
            for _ in 0..(share + late).saturating_sub(owed) {
                let tenant = scheduler.release().unwrap();
                prop_assert!(tenant < flooding);
                waits(&mut scheduler, &flood(tenant), tenant);
            }
            owed = late;
            waits(&mut scheduler, &claim(usize::MAX, 1, Priority::Interactive, own), usize::MAX);
            prop_assert_eq!(scheduler.release(), Some(usize::MAX));
        }
    }
}

#[test]
fn coming_again_and_again_is_no_way_to_the_front() {
    let plain = |tenant| claim(tenant, 1, Priority::Interactive, 3 * SAVED);
    let mut scheduler = Scheduler::new(Some(&queue(1, 100)));
    assert!(scheduler.try_take(&somebody()));
    for _ in 0..60 {
        waits(&mut scheduler, &plain(0), 0);
    }
    // Tenant 1 has one request at a time, and always the next one. It leaves and comes, too.
    let mut ticket = waits(&mut scheduler, &plain(1), 1);
    let mut ones = 0;
    for _ in 0..40 {
        match scheduler.release().unwrap() {
            1 => {
                ones += 1;
                ticket = waits(&mut scheduler, &plain(1), 1);
            }
            _ => {
                assert!(scheduler.leave(&ticket).is_some());
                ticket = waits(&mut scheduler, &plain(1), 1);
            }
        }
    }
    assert!((19..=21).contains(&ones), "{ones}");
}

#[test]
fn batch_gives_way_to_its_own_tenant_only() {
    let mut scheduler = Scheduler::new(Some(&queue(1, 2)));
    assert!(scheduler.try_take(&somebody()));
    let batch = claim(0, 1, Priority::Batch, 100);
    waits(&mut scheduler, &batch, "first batch");
    waits(&mut scheduler, &batch, "second batch");
    assert!(matches!(scheduler.wait(&batch, "third"), Queued::Full("third")));
    waits(&mut scheduler, &plain(1), "other");
    let Queued::Waits { displaced, .. } = scheduler.wait(&plain(0), "urgent") else { panic!("refused") };
    assert_eq!(displaced, Some("second batch"));
    let order: Vec<&str> = std::iter::from_fn(|| scheduler.release()).collect();
    assert_eq!(order, ["urgent", "other", "first batch"]);
}

#[test]
fn a_request_that_says_it_may_use_everything_puts_its_tenant_back_by_no_more_than_the_largest() {
    let mut scheduler = Scheduler::new(Some(&queue(1, 10)));
    assert!(scheduler.try_take(&somebody()));
    waits(&mut scheduler, &Claim::new("t0".into(), 1, Priority::Interactive, u64::MAX), 0);
    waits(&mut scheduler, &plain(0), 0);
    let one = claim(1, 1, Priority::Interactive, COST_MAX / 4);
    let mut order = Vec::new();
    for _ in 0..12 {
        waits(&mut scheduler, &one, 1);
        order.push(scheduler.release().unwrap());
    }
    assert_eq!(order.iter().filter(|tenant| **tenant == 0).count(), 2, "{order:?}");
}

//! Laws of what is held and settled, over any order of calls, ends and reloads.

use super::*;
use crate::{clock, quota::Per};
use chrono_tz::Tz;
use proptest::prelude::*;
use std::num::NonZeroU32;

fn rate(count: u32, seconds: u64, burst: u32) -> Rate {
    Rate {
        count: NonZeroU32::new(count).unwrap(),
        per: Duration::from_secs(seconds),
        burst: NonZeroU32::new(burst).unwrap(),
    }
}

fn day(limit: u64) -> Budget {
    Budget { limit: MicroUsd(limit), calendar: Calendar { per: Per::Day, zone: Tz::UTC } }
}

fn reserve(limits: Limits) -> Reserve {
    Reserve::new(limits, Arc::default())
}

fn amount(tokens: u64, cost: u64) -> Amount {
    Amount { tokens, cost: MicroUsd(cost) }
}

#[derive(Debug, Clone)]
enum Step {
    Admit { tokens: u64, cost: u64, model: bool },
    GiveBack(usize),
    Settle { which: usize, tokens: u64, cost: u64 },
    Reload { tokens: u32, budget: u64 },
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..500_u64, 0..500_u64, any::<bool>()).prop_map(|(tokens, cost, model)| Step::Admit { tokens, cost, model }),
        1 => any::<usize>().prop_map(Step::GiveBack),
        3 => (any::<usize>(), 0..900_u64, 0..900_u64).prop_map(|(which, tokens, cost)| Step::Settle { which, tokens, cost }),
        1 => (1..1000_u32, 1..2000_u64).prop_map(|(tokens, budget)| Step::Reload { tokens, budget }),
        2 => (0..40_000_u64).prop_map(Step::Wait),
    ]
}

fn limits(tokens: u32, budget: u64) -> Limits {
    let model = ModelLimit {
        name: "gpt-5".into(),
        requests: Some(rate(60, 60, 5)),
        tokens: Some(rate(tokens.div_ceil(2), 60, tokens.div_ceil(2))),
        concurrency: Some(4),
    };
    Limits {
        tokens: Some(rate(tokens, 60, tokens)),
        models: vec![model],
        budgets: vec![day(budget)],
        ..Limits::default()
    }
}

proptest! {
    #[test]
    fn no_limit_is_exceeded_by_more_than_a_call_and_nothing_stays_held(steps in proptest::collection::vec(step(), 1..120)) {
        let start = clock::now();
        let mut now = Now { instant: start, unix_s: 1_000_000 };
        let mut quota = Arc::new(reserve(limits(1000, 2000)));
        let (mut holds, mut spent) = (Vec::new(), 0);
        for step in steps {
            match step {
                Step::Admit { tokens, cost, model } => {
                    let held: u64 = holds.iter().map(|(_, amount): &(Hold, Amount)| amount.tokens).sum();
                    let money: u64 = holds.iter().map(|(_, amount)| amount.cost.0).sum();
                    let (budget, burst) = (quota.limits.budgets[0].limit.0, quota.limits.tokens.unwrap().burst.get());
                    let models = usize::from(!model)..1;
                    match quota.hold(models, amount(tokens, cost), (None, now)) {
                        Ok(hold) => {
                            // Before this call, something was left.
                            prop_assert!(held < u64::from(burst), "{held} of {burst}");
                            prop_assert!(spent + money < budget, "{spent} + {money} of {budget}");
                            prop_assert!(hold.left().is_some());
                            holds.push((hold, amount(tokens, cost)));
                        }
                        Err(Shortage::Spent { .. }) => prop_assert!(spent >= budget),
                        Err(Shortage::MoneyHeld) => prop_assert!(spent < budget && spent + money >= budget),
                        Err(Shortage::Tokens { retry_after } | Shortage::Requests { retry_after }) => {
                            prop_assert!(retry_after > Duration::ZERO);
                        }
                        Err(Shortage::Concurrency { limit }) => prop_assert!(model && holds.len() >= limit as usize),
                    }
                }
                Step::GiveBack(which) if !holds.is_empty() => drop(holds.swap_remove(which % holds.len())),
                Step::Settle { which, tokens, cost } if !holds.is_empty() => {
                    let (hold, _) = holds.swap_remove(which % holds.len());
                    hold.settle(amount(tokens, cost), now);
                    spent += cost;
                }
                Step::GiveBack(_) | Step::Settle { .. } => {}
                Step::Reload { tokens, budget } => {
                    quota = Arc::new(reserve(limits(tokens, budget)).after(&quota));
                }
                // Within the day.
                Step::Wait(millis) => {
                    now.instant += Duration::from_millis(millis);
                    now.unix_s += 1;
                }
            }
            prop_assert_eq!(quota.spending(None, now)[0].1, MicroUsd(spent));
        }
        drop(holds);
        prop_assert!(quota.held().iter().all(|held| *held == 0), "{:?}", quota.held());
    }

    #[test]
    fn who_waits_as_told_gets_through(uses in proptest::collection::vec((0..3000_u64, 0..5000_u64), 1..40), count in 1..100_000_u32, seconds in 1..86_400_u64) {
        let mut now = Now { instant: clock::now(), unix_s: 0 };
        let quota = Arc::new(reserve(Limits { tokens: Some(rate(count, seconds, count)), ..Limits::default() }));
        let began = now.instant;
        let (mut used, mut largest) = (0_u128, 0);
        for (held, tokens) in uses {
            let hold = match quota.hold(0..0, amount(held, 0), (None, now)) {
                Ok(hold) => hold,
                Err(Shortage::Tokens { retry_after }) => {
                    // Not noticeably longer than needed.
                    let nearly = retry_after.saturating_sub(Duration::from_nanos(200));
                    if nearly > Duration::ZERO {
                        let early = Now { instant: now.instant + nearly, ..now };
                        prop_assert!(quota.hold(0..0, amount(held, 0), (None, early)).is_err(), "told to wait too long");
                    }
                    now.instant += retry_after;
                    quota.hold(0..0, amount(held, 0), (None, now)).unwrap()
                }
                Err(other) => panic!("{other:?}"),
            };
            hold.settle(amount(tokens, 0), now);
            used += u128::from(tokens);
            largest = largest.max(u128::from(tokens));
        }
        // Never more than the rate and the burst, but for one call.
        let elapsed = now.instant.duration_since(began).as_nanos();
        let allowed = u128::from(count) + elapsed * u128::from(count) / (u128::from(seconds) * 1_000_000_000);
        prop_assert!(used <= allowed + largest + 1, "{used} of {allowed}");
    }
}

#[test]
fn an_overrun_delays_the_next_call() {
    let mut now = Now { instant: clock::now(), unix_s: 0 };
    let quota = Arc::new(reserve(Limits { tokens: Some(rate(100, 100, 100)), ..Limits::default() }));
    quota.hold(0..0, amount(10, 0), (None, now)).unwrap().settle(amount(250, 0), now);
    let Err(Shortage::Tokens { retry_after }) = quota.hold(0..0, amount(1, 0), (None, now)) else {
        panic!("let in")
    };
    assert_eq!(retry_after, Duration::from_secs(151));
    now.instant += retry_after;
    drop(quota.hold(0..0, amount(1, 0), (None, now)).unwrap());
    let left = quota.tokens_left(std::iter::empty(), (None, now)).unwrap();
    assert_eq!((left.limit, left.remaining, left.reset), (100, 1, Duration::from_secs(99)));
}

#[test]
fn what_is_held_by_others_is_waited_for() {
    let now = Now { instant: clock::now(), unix_s: 0 };
    let limits = Limits { tokens: Some(rate(100, 1, 100)), budgets: vec![day(100)], ..Limits::default() };
    let quota = Arc::new(reserve(limits));
    let hold = quota.hold(0..0, amount(5000, 10), (None, now)).unwrap();
    let refused = quota.hold(0..0, amount(1, 1), (None, now)).unwrap_err();
    assert_eq!(refused, Shortage::Tokens { retry_after: HELD });
    drop(hold);
    let hold = quota.hold(0..0, amount(1, 100), (None, now)).unwrap();
    assert_eq!(quota.check_money(None, now), Err(Shortage::MoneyHeld));
    hold.settle(amount(1, 100), now);
    let renews_in = Duration::from_secs(86_400);
    assert_eq!(quota.check_money(None, now), Err(Shortage::Spent { budget: day(100), renews_in }));
    assert_eq!(quota.check_money(None, Now { unix_s: 86_400, ..now }), Ok(()));
}

const HELD: Duration = Duration::from_secs(1);

#[test]
fn a_budget_is_warned_of_once_a_day() {
    let now = Now { instant: clock::now(), unix_s: 0 };
    let limits = Limits { budgets: vec![day(100)], warn: Some(80), ..Limits::default() };
    let quota = Arc::new(reserve(limits));
    quota.hold(0..0, amount(1, 79), (None, now)).unwrap().settle(amount(1, 79), now);
    assert!(quota.warning(None, now).is_none() && quota.warned_now(None, now).is_empty());
    quota.hold(0..0, amount(1, 1), (None, now)).unwrap().settle(amount(1, 1), now);
    let warned = Warned { budget: day(100), percent: 80 };
    assert_eq!((quota.warning(None, now), quota.warned_now(None, now)), (Some(warned), vec![warned]));
    assert!(quota.warned_now(None, now).is_empty());
    assert!(quota.warning(None, Now { unix_s: 86_400, ..now }).is_none());
}

#[test]
fn what_was_spent_before_a_start_is_remembered() {
    let now = Now { instant: clock::now(), unix_s: 50_000 };
    let quota = Arc::new(reserve(Limits { budgets: vec![day(100)], ..Limits::default() }));
    assert_eq!(quota.spending(None, now), [(day(100), MicroUsd(0), 0)]);
    quota.remember(day(100).calendar, MicroUsd(100), now);
    quota.remember(day(100).calendar, MicroUsd(30), now);
    assert!(matches!(quota.check_money(None, now), Err(Shortage::Spent { .. })));
}

#[test]
fn models_have_limits_of_their_own() {
    let now = Now { instant: clock::now(), unix_s: 0 };
    let quota = Arc::new(reserve(limits(1000, 1_000_000)));
    let first: Vec<_> = (0..4).map(|_| quota.hold(0..1, amount(1, 1), (None, now)).unwrap()).collect();
    assert_eq!(quota.hold(0..1, amount(1, 1), (None, now)).unwrap_err(), Shortage::Concurrency { limit: 4 });
    // Others are not held up.
    drop(quota.hold(0..0, amount(1, 1), (None, now)).unwrap());
    drop(first);
    drop(quota.hold(0..1, amount(1, 1), (None, now)).unwrap());
    let refused = quota.hold(0..1, amount(1, 1), (None, now)).unwrap_err();
    assert_eq!(refused, Shortage::Requests { retry_after: Duration::from_secs(1) });
    let reloaded = Arc::new(reserve(limits(500, 1_000_000)).after(&quota));
    assert!(reloaded.hold(0..1, amount(1, 1), (None, now)).is_err());
}

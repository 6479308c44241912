//! Laws of the circuits and of retries, over any order of calls.

use super::*;
use proptest::prelude::*;

const UNANSWERED: Kind = Kind::Unanswered;

fn tenant(number: usize) -> Arc<str> {
    format!("tenant-{number}").into()
}

#[test]
fn a_circuit_opens_after_five_failures_in_a_row_and_lets_one_call_try() {
    for kind in [Kind::Unreachable, UNANSWERED] {
        let (circuit, start, a) = (Circuit::default(), clock::now(), tenant(0));
        for _ in 0..FAILURES_MAX - 1 {
            circuit.fault().failed(&a, 0, kind, start);
        }
        circuit.fault().succeeded(&a);
        for _ in 0..FAILURES_MAX {
            assert!(circuit.admits(&a, start));
            circuit.fault().failed(&a, 0, kind, start);
        }
        assert!(!circuit.admits(&a, start) && !circuit.admits(&a, start + PAUSE - Duration::from_millis(1)));
        let later = start + PAUSE;
        assert!(circuit.admits(&a, later));
        let probe = circuit.begin(&a, later, "up".into());
        assert!(!circuit.admits(&a, later), "a second one does not try as well");
        assert_eq!(circuit.in_flight(), 1);
        // A probe that never ends, or whose client leaves, is followed by another.
        drop(probe);
        let later = later + 2 * PAUSE;
        assert!(circuit.admits(&a, later) && circuit.in_flight() == 0);
        let mut probe = circuit.begin(&a, later, "up".into());
        probe.answers();
        assert!(circuit.admits(&a, later));
        circuit.fault().failed(&a, probe.call, Kind::BrokenOff, later);
        assert!(!circuit.admits(&a, later), "it broke off: open again at once");
        circuit.begin(&a, later + 2 * PAUSE, "up".into()).succeeded();
        assert!(circuit.admits(&a, later + 2 * PAUSE));
    }
}

#[test]
fn where_there_is_no_connection_all_leave_it_alone() {
    let (circuit, start) = (Circuit::default(), clock::now());
    for _ in 0..FAILURES_MAX {
        circuit.fault().failed(&tenant(0), 0, Kind::Unreachable, start);
    }
    assert!(!circuit.admits(&tenant(1), start) && circuit.admits(&tenant(1), start + PAUSE));
    // Any one of them tries, and its success is everybody's but of who has failures of its own.
    circuit.begin(&tenant(0), start + PAUSE, "up".into()).unreachable(&"gone");
    assert!(circuit.admits(&tenant(0), clock::now() + 2 * PAUSE));
    circuit.begin(&tenant(1), start + 2 * PAUSE, "up".into()).succeeded();
    assert!(circuit.admits(&tenant(2), start + 2 * PAUSE));
}

#[test]
fn where_the_calls_of_three_tenants_fail_all_leave_it_alone() {
    let (mut fault, start) = (Fault::default(), clock::now());
    let opens: Vec<Opens> =
        [0, 0, 0, 1, 1, 2].map(|number| fault.failed(&tenant(number), 0, UNANSWERED, start).opens).into();
    assert_eq!(opens, [[Opens::None; 5].as_slice(), &[Opens::All]].concat());
    // One of them tries in vain: the next try is another's.
    let (first, second) = (start + PAUSE, start + 2 * PAUSE);
    fault.begin(&tenant(0), first);
    fault.failed(&tenant(0), 0, UNANSWERED, first);
    assert!(!fault.admits(&tenant(0), second) && fault.admits(&tenant(7), second));
    fault.begin(&tenant(7), second);
    fault.succeeded("tenant-7");
    assert!((1..9).all(|number| fault.admits(&tenant(number), second)));
}

#[test]
fn who_does_not_ask_any_more_is_forgotten() {
    let (mut fault, start) = (Fault::default(), clock::now());
    for number in 0..1000 {
        fault.failed(&tenant(number), 0, UNANSWERED, start);
    }
    fault.failed(&tenant(5), 0, UNANSWERED, start + KEPT);
    fault.sweep(start + KEPT);
    assert_eq!(fault.tenants.len(), 1);
}

/// What comes of a call.
#[derive(Debug, Clone, Copy)]
enum Way {
    Succeeds,
    Unanswered,
    /// Its answer breaks off.
    BreaksOff,
    /// Its client leaves before an answer, or amid one.
    Leaves(bool),
}

/// One call where it may go.
fn call(fault: &mut Fault, number: usize, way: Way, now: Instant) -> bool {
    let who = tenant(number);
    let admitted = fault.admits(&who, now);
    if admitted {
        let call = fault.begin(&who, now);
        match way {
            Way::Succeeds => fault.succeeded(&who),
            Way::Unanswered => drop(fault.failed(&who, call, UNANSWERED, now)),
            Way::BreaksOff => {
                fault.answers(&who, call, now);
                fault.failed(&who, call, Kind::BrokenOff, now);
            }
            Way::Leaves(amid) => {
                if amid {
                    fault.answers(&who, call, now);
                    fault.leaves(&who, call);
                }
            }
        }
    }
    admitted
}

/// What calls of some tenants do: who, what comes of it, and how long it is until the next.
fn calls(tenants: usize) -> impl Strategy<Value = Vec<(usize, Way, Duration)>> {
    let way = prop_oneof![
        1 => Just(Way::Succeeds),
        2 => Just(Way::Unanswered),
        2 => Just(Way::BreaksOff),
        1 => any::<bool>().prop_map(Way::Leaves),
    ];
    let wait = (0_u64..12_000).prop_map(Duration::from_millis);
    prop::collection::vec((0..tenants, way, wait), 0..200)
}

/// The circuit of all, open since `start` because the answers of three tenants broke off.
fn opened_by_what_broke_off(start: Instant) -> Fault {
    let mut fault = Fault::default();
    for number in [0, 0, 1, 1, 2] {
        assert!(call(&mut fault, number, Way::BreaksOff, start));
    }
    assert!(!fault.admits("tenant-9", start));
    fault
}

#[test]
fn where_answers_broke_off_a_head_lets_nobody_in() {
    let (start, who) = (clock::now(), tenant(3));
    let tries = start + PAUSE;
    let trying = || {
        let mut fault = opened_by_what_broke_off(start);
        let call = fault.begin(&who, tries);
        fault.answers(&who, call, tries);
        assert!(!fault.admits("tenant-1", tries), "a head lets nobody in");
        (fault, call)
    };
    // It breaks off, or nobody knows how it would have ended: another tries, one at a time.
    for breaks_off in [true, false] {
        let (mut fault, call) = trying();
        if breaks_off {
            fault.failed(&who, call, Kind::BrokenOff, tries);
        } else {
            fault.leaves(&who, call);
        }
        let later = tries + PAUSE;
        assert!(
            !fault.admits("tenant-1", later - Duration::from_millis(1)) && fault.admits("tenant-1", later)
        );
        fault.begin(&tenant(1), later);
        assert!(!fault.admits("tenant-2", later));
    }
    // It comes to its end, or goes on for long enough: all may go.
    let (mut fault, _) = trying();
    fault.succeeded(&who);
    assert!((1..9).all(|number| fault.admits(&tenant(number), tries)));
    let (mut fault, call) = trying();
    let later = tries + PAUSE;
    for number in 1..9 {
        assert!(fault.admits(&tenant(number), later), "{number}");
        fault.begin(&tenant(number), later);
    }
    // Should it break off after all, it is left alone again, whoever's it is.
    fault.failed(&who, call, Kind::BrokenOff, later);
    assert!(!fault.admits("tenant-2", later));
}

/// The tenant whose answer let others in has had its failures counted already: this one counts all the same.
#[test]
fn an_answer_on_which_others_were_let_in_counts_whosever_it_is() {
    let (mut fault, start) = (Fault::default(), clock::now());
    for number in [0, 0, 1, 1, 2] {
        call(&mut fault, number, Way::Unanswered, start);
    }
    let (who, tries) = (tenant(0), start + PAUSE);
    let trial = fault.begin(&who, tries);
    fault.answers(&who, trial, tries);
    assert!(fault.admits("tenant-1", tries), "nothing broke off yet: a head is enough");
    fault.failed(&who, trial, Kind::BrokenOff, tries);
    assert!(!fault.admits("tenant-1", tries));
}

proptest! {
    /// Whatever two tenants send, together or alone: as long as there are connections, no third is kept away.
    #[test]
    fn no_two_tenants_open_the_circuit_of_another(calls in calls(2)) {
        let (mut fault, mut now) = (Fault::default(), clock::now());
        for (number, way, wait) in calls {
            call(&mut fault, number, way, now);
            now += wait;
            prop_assert!(fault.admits("tenant-9", now));
        }
    }

    /// Whatever came before, nobody is kept away for more than 30 s by failures that are over.
    #[test]
    fn every_circuit_is_tried_again(calls in calls(5)) {
        let (mut fault, mut now) = (Fault::default(), clock::now());
        for (number, way, wait) in calls {
            call(&mut fault, number, way, now);
            now += wait;
            let later = now + 2 * PAUSE;
            prop_assert!((0..6).all(|number| fault.admits(&tenant(number), later)));
        }
    }

    /// An upstream whose answers all break off is asked by those, and then, by whom one would be asked that answers nobody.
    #[test]
    fn heads_of_answers_that_break_off_change_nothing(calls in prop::collection::vec((0_usize..12, 0_u64..4_000), 0..300)) {
        let (mut half, mut none, mut now) = (Fault::default(), Fault::default(), clock::now());
        for (number, wait) in calls {
            let admitted = call(&mut half, number, Way::BreaksOff, now);
            prop_assert_eq!(admitted, call(&mut none, number, Way::Unanswered, now));
            now += Duration::from_millis(wait);
        }
    }

    /// The same where they break off later, but within the time for which it is left alone: of tenants whose calls
    /// failed already, one at a time is let in, however many heads came.
    #[test]
    fn heads_let_nobody_in_behind_what_broke_off(calls in prop::collection::vec((0_usize..3, 0_u64..3_000, 1_u64..9_999), 0..300)) {
        let start = clock::now();
        let (mut fault, mut now) = (opened_by_what_broke_off(start), start);
        let mut dying: Vec<(Instant, usize, u64)> = Vec::new();
        let mut asked = Vec::new();
        for (number, wait, life) in calls {
            now += Duration::from_millis(wait);
            dying.sort_unstable();
            while let Some(&(end, number, call)) = dying.first().filter(|(end, ..)| *end <= now) {
                fault.failed(&tenant(number), call, Kind::BrokenOff, end);
                dying.remove(0);
            }
            let who = tenant(number);
            if fault.admits(&who, now) {
                let call = fault.begin(&who, now);
                fault.answers(&who, call, now);
                dying.push((now + Duration::from_millis(life), number, call));
                asked.push(now);
            }
        }
        prop_assert!(asked.windows(2).all(|pair| pair[1] >= pair[0] + PAUSE), "{asked:?}");
    }

    /// However many tenants ask, and in whatever order: an upstream that answers nobody is asked five times by each at
    /// most, and where three or more ask, by none of them for long.
    #[test]
    fn an_upstream_that_answers_nobody_is_left_alone(order in prop::collection::vec(0_usize..12, 60..400)) {
        let (mut fault, now) = (Fault::default(), clock::now());
        let mut asked = HashMap::<usize, u32>::new();
        for number in order {
            if fault.admits(&tenant(number), now) {
                call(&mut fault, number, Way::Unanswered, now);
                *asked.entry(number).or_default() += 1;
            }
        }
        prop_assert!(asked.values().all(|count| *count <= FAILURES_MAX));
        let counted: u32 = asked.values().map(|count| (*count).min(OF_ONE_TENANT_MAX)).sum();
        prop_assert!(counted <= FAILURES_MAX, "{asked:?}");
    }

    /// However calls and retries come, retries are a tenth of the calls, ten, and one every six seconds.
    #[test]
    fn retries_stay_within_their_budget(steps in prop::collection::vec((0_u8..4, 0_u64..2000), 0..400)) {
        let (budget, start) = (Budget::default(), clock::now());
        let (mut now, mut calls, mut retries) = (start, 0_u64, 0_u64);
        for (calls_now, milliseconds) in steps {
            now += Duration::from_millis(milliseconds);
            for _ in 0..calls_now {
                budget.earn();
                calls += 1;
            }
            retries += u64::from(budget.spend(now));
        }
        let timed = now.duration_since(start).as_secs() / RETRY_EVERY.as_secs();
        prop_assert!(retries <= 10 + calls.div_ceil(10) + timed + 1, "{retries} of {calls}");
    }
}

//! The bench `neighbours` in made-up time: what a tenant that chats waits beside many that flood.

use super::*;
use std::{cmp::Reverse, collections::BinaryHeap};

const PLACES: u32 = 16;
/// Milliseconds of a request.
const SERVICE: u64 = 50;
const CONNECTIONS: usize = 256;
const CHATTING: usize = 8;
const CHAT_COST: u64 = 740;
const EMBEDDING_COST: u64 = 2500;

/// Who asks: the connection of one that floods, or one that chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Flood(usize),
    Chat(usize),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Asks(Who),
    Ends(Who),
}

struct Run {
    scheduler: Scheduler<Who>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    now: u64,
    number: u64,
    flooding: usize,
    /// Of each connection, how many it had.
    floods: Vec<usize>,
    /// Of each that chats: how many it had, and since when it asks.
    chats: Vec<(usize, u64)>,
    latencies: Vec<u64>,
}

impl Run {
    fn at(&mut self, time: u64, event: Event) {
        self.number += 1;
        self.events.push(Reverse((time, self.number, event)));
    }

    fn goes(&mut self, who: Who) {
        self.at(self.now + SERVICE, Event::Ends(who));
    }

    fn asks(&mut self, who: Who) {
        let claim = match who {
            Who::Flood(connection) => {
                let own = self.flooding.div_ceil(CONNECTIONS).max(1);
                let tenant = connection + CONNECTIONS * (self.floods[connection] % own);
                let tenant = tenant % self.flooding;
                Claim {
                    tenant: format!("f{tenant}").into(),
                    weight: 1,
                    priority: Priority::Interactive,
                    cost: EMBEDDING_COST,
                }
            }
            Who::Chat(tenant) => {
                self.chats[tenant].1 = self.now;
                Claim {
                    tenant: format!("c{tenant}").into(),
                    weight: 1,
                    priority: Priority::Interactive,
                    cost: CHAT_COST,
                }
            }
        };
        if self.scheduler.try_take(&claim) {
            self.goes(who);
        } else {
            assert!(matches!(self.scheduler.wait(&claim, who), Queued::Waits { .. }));
        }
    }

    fn ends(&mut self, who: Who) {
        match who {
            Who::Flood(connection) => {
                self.floods[connection] += 1;
                self.at(self.now, Event::Asks(who));
            }
            Who::Chat(tenant) => {
                let (count, since) = self.chats[tenant];
                self.latencies.push(self.now - since);
                self.chats[tenant].0 = count + 1;
                let jitter = u64::try_from(count * 7919 % 1000).unwrap();
                self.at(self.now + 500 + jitter, Event::Asks(who));
            }
        }
        if let Some(next) = self.scheduler.release() {
            self.goes(next);
        }
    }
}

/// The latencies of those who chat, sorted, in milliseconds.
fn run(flooding: usize) -> Vec<u64> {
    let queue = FairQueue { max_in_flight: PLACES, per_tenant: 256, wait: Duration::from_secs(30) };
    let mut run = Run {
        scheduler: Scheduler::new(Some(&queue)),
        events: BinaryHeap::new(),
        now: 0,
        number: 0,
        flooding,
        floods: vec![0; CONNECTIONS],
        chats: vec![(0, 0); CHATTING],
        latencies: Vec::new(),
    };
    for connection in 0..CONNECTIONS {
        run.at(u64::try_from(connection).unwrap(), Event::Asks(Who::Flood(connection)));
    }
    for tenant in 0..CHATTING {
        run.at(4000 + 625 * u64::try_from(tenant).unwrap() / 5, Event::Asks(Who::Chat(tenant)));
    }
    while run.latencies.len() < 400 {
        let Some(Reverse((time, _, event))) = run.events.pop() else { break };
        run.now = time;
        match event {
            Event::Asks(who) => run.asks(who),
            Event::Ends(who) => run.ends(who),
        }
    }
    run.latencies.sort_unstable();
    run.latencies
}

/// A question a second is a little less than a tenant's share beside 1,000 others. Whoever asks for more than its share
/// waits, by as much as it asks for more.
#[test]
fn a_question_a_second_does_not_wait_for_a_flood() {
    for flooding in [1, 10, 100, 1000] {
        let latencies = run(flooding);
        let p99 = latencies[latencies.len() * 99 / 100];
        assert!(p99 <= 2 * SERVICE, "{flooding} flood: p99 is {p99} ms");
    }
}

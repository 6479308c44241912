//! Answers of models that are kept for a tenant that wants it (`cache: 5m`): what is asked once more, byte for byte, is
//! answered without the provider. What is kept is the provider's answer, before anything was decided on it: rules, limits
//! of tools and redaction work on it again each time. A key holds its tenant, so that no tenant finds another's.

use super::Gateway;
use crate::{asked::End, clock, dialect::Family, records::Entry, upstream::Parcels};
use bytes::Bytes;
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

/// A longer answer is not kept.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What is kept for a tenant, and for all. Beyond it, the oldest goes: of the tenant, or of whoever has most.
const TENANT_BYTES_MAX: usize = 16 << 20;
const BYTES_MAX: usize = 256 << 20;
/// What an entry costs beside its answer.
const ENTRY_BYTES: usize = 256;

/// What was asked by whom: the body as the provider gets it, with all that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    tenant: Arc<str>,
    digest: [u8; 32],
}

impl Key {
    /// The key of a call that may go to these upstreams; `config` is the hash of the configuration that they are of.
    pub(super) fn of(tenant: Arc<str>, config: &str, upstreams: &[&str], parcels: &Parcels<'_>) -> Self {
        let mut digest = Sha256::new();
        let mut add = |part: &[u8]| {
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        };
        add(config.as_bytes());
        upstreams.iter().for_each(|name| add(name.as_bytes()));
        for family in [Family::OpenAi, Family::Anthropic] {
            let Some(parcel) = parcels.of(family) else {
                add(b"");
                continue;
            };
            add(parcel.target.path.as_bytes());
            for (name, value) in &parcel.target.headers {
                // Who asks with which program does not change what is asked.
                if name != header::USER_AGENT {
                    add(name.as_str().as_bytes());
                    add(value.as_bytes());
                }
            }
            add(parcel.permit.body());
        }
        Self { tenant, digest: digest.finalize().into() }
    }
}

/// A provider's answer, whole.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) upstream: Arc<str>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Kept {
    fn size(&self) -> usize {
        self.body.len() + ENTRY_BYTES
    }
}

/// An answer on its way, to be kept once two have said so: whoever read its last byte, and whoever found it in order.
#[derive(Debug)]
pub(super) struct Pending {
    gateway: Weak<Gateway>,
    key: Key,
    upstream: Arc<str>,
    headers: HeaderMap,
    state: Mutex<(bool, Option<Bytes>)>,
}

impl Pending {
    pub(super) fn new(gateway: &Arc<Gateway>, key: Key, upstream: Arc<str>, headers: HeaderMap) -> Arc<Self> {
        let gateway = Arc::downgrade(gateway);
        Arc::new(Self { gateway, key, upstream, headers, state: Mutex::default() })
    }

    /// All of it was read.
    pub(super) fn read(&self, body: Bytes) {
        self.state().1 = Some(body);
        self.settle();
    }

    /// It was told: may it be told again? Only if it came to its end, and nothing is wrong with it.
    pub(super) fn ended(&self, end: &End, entry: &Entry) {
        let Entry::Request(line) = entry else { return };
        if *end == End::Complete && line.error.is_none() && line.status == 200 {
            self.state().0 = true;
            self.settle();
        }
    }

    fn settle(&self) {
        let body = match &mut *self.state() {
            (true, body) => body.take(),
            (false, _) => None,
        };
        if let (Some(body), Some(gateway)) = (body, self.gateway.upgrade()) {
            let kept = Kept { upstream: Arc::clone(&self.upstream), headers: self.headers.clone(), body };
            gateway.cache.keep(&self.key, kept, clock::now());
        }
    }

    fn state(&self) -> MutexGuard<'_, (bool, Option<Bytes>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that is kept, in memory.
#[derive(Debug, Default)]
pub struct Cache(Mutex<Shelves>);

#[derive(Debug, Default)]
struct Shelves {
    by_tenant: HashMap<Arc<str>, Shelf>,
    bytes: usize,
}

/// One tenant's.
#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<[u8; 32], (Instant, Kept)>,
    /// The oldest first. One that was replaced stands here twice: its first place counts for nothing.
    order: VecDeque<([u8; 32], Instant)>,
    bytes: usize,
}

impl Cache {
    /// What was answered to the same at most `ttl` ago.
    pub(super) fn find(&self, key: &Key, ttl: Duration, now: Instant) -> Option<Kept> {
        let shelves = self.shelves();
        let (made, kept) = shelves.by_tenant.get(&key.tenant)?.entries.get(&key.digest)?;
        (now.saturating_duration_since(*made) < ttl).then(|| kept.clone())
    }

    /// Keeps an answer.
    pub(super) fn keep(&self, key: &Key, kept: Kept, now: Instant) {
        if kept.body.len() > ANSWER_BYTES_MAX {
            return;
        }
        let mut shelves = self.shelves();
        let shelf = shelves.by_tenant.entry(Arc::clone(&key.tenant)).or_default();
        let before = shelf.bytes;
        shelf.put(key.digest, kept, now);
        while shelf.bytes > TENANT_BYTES_MAX {
            shelf.drop_oldest();
        }
        let after = shelf.bytes;
        shelves.bytes = (shelves.bytes + after).saturating_sub(before);
        while shelves.bytes > BYTES_MAX {
            let Some(largest) = shelves.by_tenant.values_mut().max_by_key(|shelf| shelf.bytes) else { break };
            let freed = largest.drop_oldest();
            shelves.bytes = shelves.bytes.saturating_sub(freed.max(1));
        }
    }

    /// Forgets what is older, and tenants of whom nothing is left.
    pub fn sweep(&self, ttl_of: impl Fn(&str) -> Option<Duration>, now: Instant) {
        let mut shelves = self.shelves();
        shelves.by_tenant.retain(|tenant, shelf| {
            let ttl = ttl_of(tenant).unwrap_or_default();
            while shelf.order.front().is_some_and(|(_, made)| now.saturating_duration_since(*made) >= ttl) {
                shelf.drop_oldest();
            }
            !shelf.order.is_empty()
        });
        shelves.bytes = shelves.by_tenant.values().map(|shelf| shelf.bytes).sum();
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn put(&mut self, digest: [u8; 32], kept: Kept, now: Instant) {
        self.bytes += kept.size();
        self.order.push_back((digest, now));
        if let Some((_, old)) = self.entries.insert(digest, (now, kept)) {
            self.bytes = self.bytes.saturating_sub(old.size());
        }
    }

    /// The bytes that are free now.
    fn drop_oldest(&mut self) -> usize {
        let Some((digest, made)) = self.order.pop_front() else { return 0 };
        if self.entries.get(&digest).is_none_or(|(at, _)| *at != made) {
            return 0;
        }
        let freed = self.entries.remove(&digest).map_or(0, |(_, kept)| kept.size());
        self.bytes = self.bytes.saturating_sub(freed);
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(size: usize) -> Kept {
        Kept { upstream: "u".into(), headers: HeaderMap::new(), body: vec![0; size].into() }
    }

    fn key(tenant: u8, what: u8) -> Key {
        Key { tenant: format!("t{tenant}").into(), digest: [what; 32] }
    }

    #[derive(Debug, Clone)]
    enum Op {
        Keep(u8, u8, usize),
        Find(u8, u8),
        Later(u64),
        Sweep,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..4_u8, 0..20_u8, 0..ANSWER_BYTES_MAX + 2).prop_map(|(t, w, size)| Op::Keep(t, w, size)),
            4 => (0..4_u8, 0..20_u8).prop_map(|(t, w)| Op::Find(t, w)),
            1 => (0..400_u64).prop_map(Op::Later),
            1 => Just(Op::Sweep),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A tenant finds what it was answered last to the same, not older than it wants, and nothing else; what is kept
        /// is bounded and counted right.
        #[test]
        fn a_tenant_finds_its_own_and_memory_is_bounded(ops in prop::collection::vec(op(), 0..120)) {
            let (cache, mut now, ttl) = (Cache::default(), clock::now(), Duration::from_secs(300));
            let mut last: HashMap<(u8, u8), (Instant, usize)> = HashMap::new();
            for op in ops {
                match op {
                    Op::Keep(tenant, what, size) => {
                        cache.keep(&key(tenant, what), kept(size), now);
                        if size <= ANSWER_BYTES_MAX {
                            last.insert((tenant, what), (now, size));
                        }
                    }
                    Op::Find(tenant, what) => {
                        if let Some(found) = cache.find(&key(tenant, what), ttl, now) {
                            let (made, size) = last[&(tenant, what)];
                            prop_assert_eq!(found.body.len(), size);
                            prop_assert!(now - made < ttl);
                        }
                    }
                    Op::Later(seconds) => now += Duration::from_secs(seconds),
                    Op::Sweep => cache.sweep(|tenant| (tenant != "t3").then_some(ttl), now),
                }
                let shelves = cache.shelves();
                for shelf in shelves.by_tenant.values() {
                    prop_assert_eq!(shelf.bytes, shelf.entries.values().map(|(_, kept)| kept.size()).sum::<usize>());
                    prop_assert!(shelf.bytes <= TENANT_BYTES_MAX);
                }
                prop_assert_eq!(shelves.bytes, shelves.by_tenant.values().map(|shelf| shelf.bytes).sum::<usize>());
            }
            now += ttl;
            cache.sweep(|_| Some(ttl), now);
            prop_assert!(cache.shelves().by_tenant.is_empty() && cache.shelves().bytes == 0);
        }
    }
}

//! Room for bodies: what all requests that are being read and forwarded may take at once, and all whole answers of
//! upstreams until they are sent; of either no tenant more than half. Beyond it a request is told to come again, instead
//! of the system ending the process. What a client announces is taken at once: many bodies that each came half would keep
//! each other out. What was read of a body takes room as well where it is kept for as long as the request runs: many small
//! values take a hundred times the bytes that they are written in.

pub mod memory;

use crate::{json::Value, refusal::Refusal};
use bytes::Bytes;
use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, time::sleep};

/// A client comes again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Where nothing is configured: of the memory that there is, so much, between these.
const MEMORY_SHARE: u64 = 16;
const BYTES_MIN: u64 = 32 << 20;
const BYTES_MAX: u64 = 1 << 30;
const ANSWERS_MIN: u64 = 64 << 20;
const ANSWERS_MAX: u64 = 4 << 30;

/// What bodies take at the moment.
#[derive(Debug, Default)]
pub struct Room {
    taken: Mutex<Taken>,
    /// Told when something is given back.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    tenants: HashMap<Arc<str>, u64>,
}

/// What one body takes, until it is dropped.
#[derive(Debug)]
pub struct Held {
    room: Arc<Room>,
    tenant: Arc<str>,
    bytes: u64,
    bytes_max: u64,
}

impl Room {
    /// Nothing yet, of a tenant's. `configured` is what all may take; a body of the largest size always finds room.
    pub fn held(self: &Arc<Self>, tenant: Arc<str>, configured: Option<u64>, body_max: u64) -> Held {
        let bytes_max = configured.unwrap_or_else(usual).max(body_max.saturating_mul(2));
        self.within(tenant, bytes_max)
    }

    /// Nothing yet, of answers to a tenant's requests. `configured` is what all may take.
    pub fn for_answers(self: &Arc<Self>, tenant: Arc<str>, configured: Option<u64>) -> Held {
        self.within(tenant, configured.unwrap_or_else(|| usual_for_answers(memory::bytes())))
    }

    /// Nothing yet, of a tenant's, where all may take so many bytes.
    fn within(self: &Arc<Self>, tenant: Arc<str>, bytes_max: u64) -> Held {
        Held { room: Arc::clone(self), tenant, bytes: 0, bytes_max }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn told(&self) -> (u64, usize) {
        let taken = self.taken();
        (taken.all, taken.tenants.len())
    }
}

impl Held {
    /// Takes more.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let mut taken = self.room.taken();
        let all = taken.all.saturating_add(bytes);
        let tenants = taken.tenants.get(&self.tenant).copied().unwrap_or(0).saturating_add(bytes);
        if all > self.bytes_max || tenants > self.bytes_max / 2 {
            return Err(Refusal::NoRoom { retry_after: RETRY_AFTER });
        }
        taken.all = all;
        taken.tenants.insert(Arc::clone(&self.tenant), tenants);
        self.bytes += bytes;
        Ok(())
    }

    /// Nothing yet, of the same tenant's.
    pub fn another(&self) -> Self {
        Self {
            room: Arc::clone(&self.room),
            tenant: Arc::clone(&self.tenant),
            bytes: 0,
            bytes_max: self.bytes_max,
        }
    }

    /// Takes so much in all, if there is room now.
    pub fn holds(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        self.shrink_to(bytes);
        more == 0 || self.grow(more).is_ok()
    }

    /// Takes so much in all, and waits so long for others to give some back: nothing meanwhile, so that nobody waits for
    /// somebody who waits.
    ///
    /// # Errors
    /// There is no room; `None` where it would be too much if nobody else had any.
    pub async fn wait_to_hold(&mut self, bytes: u64, patience: Duration) -> Result<(), Option<Refusal>> {
        if bytes > self.bytes_max / 2 {
            return Err(None);
        }
        if self.holds(bytes) {
            return Ok(());
        }
        self.shrink_to(0);
        let room = Arc::clone(&self.room);
        let mut late = pin!(sleep(patience));
        loop {
            let mut freed = pin!(room.freed.notified());
            freed.as_mut().enable();
            let Err(refusal) = self.grow(bytes) else { return Ok(()) };
            tokio::select! {
                () = freed => {}
                () = &mut late => return Err(Some(refusal)),
            }
        }
    }

    /// Gives back all but so many bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        let Some(less) = self.bytes.checked_sub(bytes).filter(|less| *less > 0) else { return };
        self.bytes = bytes;
        let mut taken = self.room.taken();
        taken.all = taken.all.saturating_sub(less);
        let left = taken.tenants.get(&self.tenant).copied().unwrap_or(0).saturating_sub(less);
        if left == 0 {
            taken.tenants.remove(&self.tenant);
        } else {
            taken.tenants.insert(Arc::clone(&self.tenant), left);
        }
        drop(taken);
        self.room.freed.notify_waiters();
    }

    /// Holds the room of these bytes until the last of them is dropped.
    pub fn until_sent(mut self, bytes: Bytes) -> Bytes {
        if self.bytes == 0 {
            return bytes;
        }
        self.shrink_to(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Bytes::from_owner(Sent { bytes, _held: self })
    }

    /// Takes what a value takes that was read and is kept. One that would never find room is told so.
    pub fn keep(&mut self, value: &Value<'_>) -> Result<(), Refusal> {
        let bytes = u64::try_from(value.weight()).unwrap_or(u64::MAX);
        let half = self.bytes_max / 2;
        if bytes > half {
            let message = "the body holds more JSON values than there is room for; send fewer, or let `limits.bodies` be larger";
            return Err(Refusal::invalid(message, None));
        }
        // A body of the largest size finds room, with what is read of it.
        self.grow(bytes.min(half.saturating_sub(self.bytes)))
    }
}

/// Bytes with their room.
struct Sent {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// What answers may take where there is so much memory: three eighths of it.
fn usual_for_answers(memory: Option<u64>) -> u64 {
    memory.map_or(ANSWERS_MAX, |bytes| bytes / 8 * 3).clamp(ANSWERS_MIN, ANSWERS_MAX)
}

/// What bodies may take on this machine, or in this container.
fn usual() -> u64 {
    memory::bytes().map_or(BYTES_MAX, |bytes| bytes / MEMORY_SHARE).clamp(BYTES_MIN, BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tenant_takes_more_than_half_and_all_of_it_comes_back() {
        let room = Arc::new(Room::default());
        let held = |tenant: &str| room.held(tenant.into(), Some(100), 10);
        let (mut a, mut b, mut c) = (held("a"), held("a"), held("c"));
        assert!(a.grow(30).is_ok() && b.grow(20).is_ok());
        assert!(a.grow(1).is_err(), "half of it is a's");
        assert!(c.grow(50).is_ok());
        assert!(held("d").grow(1).is_err(), "all of it is taken");
        drop(a);
        assert!(held("d").grow(30).is_ok());
        assert_eq!(room.told(), (70, 2));
        drop((b, c));
        assert_eq!(room.told(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_room_has_it_once_others_give_it_back_and_no_longer_than_its_patience() {
        let room = Arc::new(Room::default());
        let held = |tenant: &str| room.within(tenant.into(), 100);
        let (mut a, mut b, mut c) = (held("a"), held("a"), held("c"));
        a.grow(40).unwrap();
        c.grow(50).unwrap();
        let patience = Duration::from_secs(10);
        let began = tokio::time::Instant::now();
        assert!(
            b.wait_to_hold(20, patience).await.is_err_and(|refusal| refusal.is_some()),
            "half of it is a's"
        );
        assert_eq!(began.elapsed(), patience);
        let (waited, ()) = tokio::join!(b.wait_to_hold(20, patience), async {
            sleep(Duration::from_secs(3)).await;
            a.shrink_to(30);
        });
        assert!(waited.is_ok());
        assert_eq!(began.elapsed(), patience + Duration::from_secs(3));
        assert_eq!(room.told(), (100, 2));
        // What it has is given back while it waits for more; what never fits is told at once, and less is at once.
        assert!(b.wait_to_hold(21, patience).await.is_err_and(|refusal| refusal.is_some()));
        assert_eq!(room.told(), (80, 2));
        assert_eq!(b.wait_to_hold(51, Duration::MAX).await, Err(None));
        assert!(a.wait_to_hold(10, Duration::ZERO).await.is_ok());
        assert_eq!(room.told(), (60, 2));
        drop((a, b, c));
        assert_eq!(room.told(), (0, 0));
    }

    #[test]
    fn bytes_on_their_way_hold_their_room() {
        let room = Arc::new(Room::default());
        let mut held = room.within("a".into(), 1000);
        held.grow(300).unwrap();
        let bytes = held.until_sent(Bytes::from(vec![7; 100]));
        assert_eq!(room.told(), (100, 1));
        let (mut part, rest) = (bytes.slice(50..), bytes);
        drop(rest);
        assert_eq!((room.told(), part.len()), ((100, 1), 50));
        part.clear();
        drop(part);
        assert_eq!(room.told(), (0, 0));
    }

    #[test]
    fn answers_have_three_eighths_of_the_memory() {
        assert_eq!(usual_for_answers(Some(256 << 20)), 96 << 20);
        assert_eq!(usual_for_answers(Some(1 << 20)), ANSWERS_MIN);
        assert_eq!(usual_for_answers(Some(1 << 40)), ANSWERS_MAX);
        assert_eq!(usual_for_answers(None), ANSWERS_MAX);
    }

    #[test]
    fn the_largest_body_finds_room() {
        let room = Arc::new(Room::default());
        assert!(room.held("a".into(), Some(1), 10).grow(10).is_ok());
    }

    #[test]
    fn what_is_kept_of_a_body_takes_room() {
        let room = Arc::new(Room::default());
        let value = crate::json::parse(b"[1,[],{\"a\":[2]}]", 8).unwrap();
        let weight = u64::try_from(value.weight()).unwrap();
        let held = || room.held("a".into(), Some(weight * 2 + 10), 1);
        let mut first = held();
        assert!(first.grow(5).is_ok() && first.keep(&value).is_ok());
        assert_eq!(room.told(), (weight + 5, 1));
        let mut second = held();
        assert_eq!(second.keep(&value), Err(Refusal::NoRoom { retry_after: RETRY_AFTER }));
        drop((first, second));
        assert_eq!(room.told(), (0, 0));
        // A body of the largest size.
        let mut largest = room.held("a".into(), Some(1), weight);
        assert!(largest.grow(weight).is_ok() && largest.keep(&value).is_ok());
        drop(largest);
        // What never fits is not told to come again.
        let mut never = room.held("a".into(), Some(weight), 1);
        assert_eq!(never.keep(&value).unwrap_err().status(), 400);
        assert_eq!(room.told(), (0, 0));
    }
}

//! The deliveries that are open: received and not yet acknowledged. Knows which objects of each are still wanted, keeps
//! each one hidden from others until it is done with, and bounds how many there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::model::{Delivery, Receipt};
use crate::source::visibility::{Beat, Lease, Leases};

/// Names one open delivery within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryNumber(u64);

/// A delivery whose objects are all terminal. It stays hidden, and keeps its place, until this is dropped.
pub struct Finished {
    pub receipt: Receipt,
    _lease: Lease,
    _place: OwnedSemaphorePermit,
}

struct Open {
    finished: Finished,
    /// Objects that are not terminal yet.
    wanted: usize,
    since: Instant,
}

/// What is held at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// That are not done with.
    pub deliveries: usize,
    /// Of these, not terminal yet.
    pub objects: usize,
    /// For how long the oldest has been held.
    pub oldest: Duration,
}

#[derive(Default)]
struct Register {
    open: BTreeMap<DeliveryNumber, Open>,
    last: u64,
}

pub struct Deliveries {
    leases: Leases,
    places: Arc<Semaphore>,
    register: Mutex<Register>,
}

impl Deliveries {
    pub fn new(leases: Leases, deliveries_max: usize) -> Self {
        Self { leases, places: Arc::new(Semaphore::new(deliveries_max)), register: Mutex::default() }
    }

    /// What keeps the open ones hidden.
    pub fn heartbeat(&self) -> Beat {
        self.leases.beat()
    }

    pub fn in_flight(&self) -> InFlight {
        let register = self.lock();
        // Numbered in the order of their receipt.
        let oldest = register.open.first_key_value().map(|(_, open)| open.since.elapsed());
        InFlight {
            deliveries: register.open.len(),
            objects: register.open.values().map(|open| open.wanted).sum(),
            oldest: oldest.unwrap_or_default(),
        }
    }

    /// Waits for a place, then takes as many as are free, up to `max`.
    pub async fn places(&self, max: usize) -> Vec<OwnedSemaphorePermit> {
        let Ok(first) = self.places.clone().acquire_owned().await else { return Vec::new() };
        let more = std::iter::from_fn(|| self.places.clone().try_acquire_owned().ok());
        std::iter::once(first).chain(more.take(max - 1)).collect()
    }

    /// Opens a delivery that waits for `wanted` objects (at least 1) to become terminal, and begins to extend it.
    pub fn open(&self, delivery: &Delivery, wanted: usize, place: OwnedSemaphorePermit) -> DeliveryNumber {
        debug_assert!(wanted > 0);
        let lease = self.leases.hold(delivery);
        let mut register = self.lock();
        register.last += 1;
        let number = DeliveryNumber(register.last);
        let finished = Finished { receipt: delivery.receipt.clone(), _lease: lease, _place: place };
        register.open.insert(number, Open { finished, wanted, since: Instant::now() });
        number
    }

    /// One object of each of these is terminal. Returns the deliveries that wait for no other object.
    pub fn settle(&self, numbers: &[DeliveryNumber]) -> Vec<Finished> {
        let mut register = self.lock();
        let mut finished = Vec::new();
        for number in numbers {
            let Some(open) = register.open.get_mut(number) else { continue };
            open.wanted -= 1;
            if open.wanted == 0 {
                finished.extend(register.open.remove(number).map(|open| open.finished));
            }
        }
        finished
    }

    /// Closes what is still open, to be returned to the queue: the oldest first.
    pub fn close(&self) -> Vec<Finished> {
        std::mem::take(&mut self.lock().open).into_values().map(|open| open.finished).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Register> {
        self.register.lock().expect("no panic while this lock is held")
    }
}

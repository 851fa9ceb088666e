use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The first wait after a fault.
const BASE: Duration = Duration::from_millis(100);
/// The longest wait between two tries: a store that is back is found within it, and a fleet of a thousand workers asks a
/// store that is away some three hundred times a second at most.
const CAP: Duration = Duration::from_secs(5);

/// Waits between tries at a store that is away: doubling, and with jitter so that the workers do not come back as one.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: BASE }
    }

    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(CAP);
        at_least_of(0.5, wait)
    }
}

/// A time from `share` of the whole to the whole, drawn anew at each call.
pub(crate) fn at_least_of(share: f64, whole: Duration) -> Duration {
    let drawn = f64::from(random_bits()) / f64::from(u32::MAX);
    whole.mul_f64(share + (1.0 - share) * drawn)
}

/// Bits that differ from call to call and from process to process; for spreading load, not for secrets.
pub(crate) fn random_bits() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(0_u8).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::Rate;

/// Most callers that are remembered: some 6 MB.
const CALLERS_MAX: usize = 100_000;
/// Of so many, this part stays when there is no room: those that have used up the most.
const KEPT_PARTS: usize = 4;

/// A caller within its scope, as a digest: of equal length whatever its name is, and no secret.
pub(crate) type Caller = [u8; 16];

/// The rates of this process' callers.
#[derive(Debug)]
pub(crate) struct Memory {
    began: Instant,
    full_at_us: Mutex<HashMap<Caller, u64>>,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), full_at_us: Mutex::default() }
    }

    /// Takes one request of a caller's rate, or answers how long until there is one.
    pub(crate) fn take(&self, caller: Caller, rate: Rate) -> Result<(), Duration> {
        let now = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut known = self.full_at_us.lock().unwrap_or_else(PoisonError::into_inner);
        let decision = rate.decide(known.get(&caller).copied(), now);
        let Some(full_at) = decision.full_at else { return Err(decision.wait) };
        if known.len() >= CALLERS_MAX && !known.contains_key(&caller) {
            make_room(&mut known, now);
        }
        known.insert(caller, full_at);
        Ok(())
    }
}

/// Forgets callers that have all of their burst, and where that is too few, those that lack the least of it.
fn make_room(known: &mut HashMap<Caller, u64>, now: u64) {
    known.retain(|_, full_at| *full_at > now);
    if known.len() < CALLERS_MAX {
        return;
    }
    let mut times: Vec<u64> = known.values().copied().collect();
    let (_, limit, _) = times.select_nth_unstable(CALLERS_MAX / KEPT_PARTS);
    let limit = *limit;
    known.retain(|_, full_at| *full_at > limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callers_without_end_take_bounded_room_and_push_nobody_out_who_is_over_his_rate() {
        let memory = Memory::new();
        let rate = Rate::new(1, Duration::from_hours(1), 2);
        let caller = |number: u32| {
            let mut caller = [0; 16];
            caller[..4].copy_from_slice(&number.to_le_bytes());
            caller
        };
        memory.take(caller(0), rate).unwrap();
        memory.take(caller(0), rate).unwrap();
        for number in 1..150_000 {
            memory.take(caller(number), rate).unwrap();
        }
        assert!(memory.full_at_us.lock().unwrap().len() <= CALLERS_MAX);
        assert!(memory.take(caller(0), rate).is_err());
    }
}

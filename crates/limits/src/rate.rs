use std::time::Duration;

const MICROS_PER_SEC: u64 = 1_000_000;
/// Longest period, and most requests at once: with both, every time stays a whole number in Lua, whose numbers have 53 bits
/// (2^53 µs are 285 years).
const PERIOD_MAX_SECS: u64 = 24 * 60 * 60;
const BURST_MAX: u32 = 10_000;

/// So many requests in a period, evenly, of which so many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    requests: u32,
    period_secs: u32,
    burst: u32,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Until when all of the burst is there again, in microseconds of the clock that was asked; `None`: nothing changes.
    pub(crate) full_at: Option<u64>,
    /// How long until a request may come; zero where this one may.
    pub(crate) wait: Duration,
}

impl Rate {
    /// Requests in a period of whole seconds (a day at most), of which `burst` (10,000 at most) may come at once; each is at
    /// least 1, and cut to what it may be.
    pub fn new(requests: u32, period: Duration, burst: u32) -> Self {
        let secs = period.as_secs().clamp(1, PERIOD_MAX_SECS);
        let period_secs = u32::try_from(secs).unwrap_or(u32::MAX);
        Self { requests: requests.max(1), period_secs, burst: burst.clamp(1, BURST_MAX) }
    }

    /// Requests in a period.
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// The period.
    pub const fn period_secs(&self) -> u32 {
        self.period_secs
    }

    /// Requests that may come at once.
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// Microseconds between two requests that come evenly; rounded up, so that no rounding lets more through.
    pub(crate) fn interval_us(&self) -> u64 {
        (u64::from(self.period_secs) * MICROS_PER_SEC).div_ceil(u64::from(self.requests))
    }

    /// Decides on a request now, given when all of the burst would be there again. As `lua/gcra.lua` does.
    pub(crate) fn decide(&self, full_at: Option<u64>, now: u64) -> Decision {
        let interval = self.interval_us();
        let whole = interval.saturating_mul(u64::from(self.burst));
        let next = full_at.unwrap_or(now).clamp(now, now.saturating_add(whole)).saturating_add(interval);
        match next.saturating_sub(whole).checked_sub(now) {
            Some(wait) if wait > 0 => Decision { full_at: None, wait: Duration::from_micros(wait) },
            _ => Decision { full_at: Some(next), wait: Duration::ZERO },
        }
    }
}

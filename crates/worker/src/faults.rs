use std::{
    error::Error,
    sync::{Mutex, PoisonError},
};

use store::StoreError;
use tokio::time::Instant;

/// What a worker asks of its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Claim,
    Renew,
    Settle,
    Reap,
    Maintain,
}

impl Op {
    const COUNT: usize = 5;

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Settle => "settle",
            Self::Reap => "reap",
            Self::Maintain => "maintain",
        }
    }
}

/// Keeps account of the store's faults, so that an outage is two lines in the log, one where it starts and one where it
/// ends, however many tasks run into it and however often they try.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By operation: how its latest call failed.
    failing: [Option<Fault>; Op::COUNT],
    outage: Option<Outage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The store is away.
    Away,
    /// The store answers, and refuses: a fault of its content or of ours, which waiting does not mend.
    Refused,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    failed_calls: u64,
}

impl Faults {
    pub(crate) fn failed(&self, op: Op, error: &StoreError) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = if error.is_transient() { Fault::Away } else { Fault::Refused };
        let before = state.failing[op as usize].replace(fault);
        let starts = state.outage.is_none();
        state.outage.get_or_insert_with(|| Outage { since: Instant::now(), failed_calls: 0 }).failed_calls += 1;
        if fault == Fault::Refused && before != Some(Fault::Refused) {
            tracing::error!(op = op.name(), error = chain(error), "the store refuses what the worker asks");
        } else if starts {
            tracing::warn!(op = op.name(), error = chain(error), "the store is away: trying again until it answers");
        }
    }

    /// An operation has succeeded, or there is nothing left to try.
    pub(crate) fn clear(&self, op: Op) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.failing[op as usize] = None;
        if state.failing.iter().all(Option::is_none)
            && let Some(outage) = state.outage.take()
        {
            let seconds = outage.since.elapsed().as_secs_f64();
            tracing::info!(seconds, failed_calls = outage.failed_calls, "the store answers again");
        }
    }
}

/// An error with all its causes, for the one place that logs it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::StoreError;

/// Keeps account of the faults of a store, so that an outage is two lines in the log, one where it starts and one where it
/// ends, however many callers run into it and however often they try.
///
/// What is asked of the store has names, which the caller chooses and of which there are few: an outage is over once the
/// latest call of each name has succeeded.
#[derive(Debug)]
pub struct Faults {
    of: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By operation: how its latest call failed.
    failing: BTreeMap<&'static str, Fault>,
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
    /// Of a store that has this name in the log, such as `store`.
    pub fn new(of: &'static str) -> Self {
        Self { of, state: Mutex::default() }
    }

    /// A call to a queue's store has failed.
    pub fn failed(&self, op: &'static str, error: &StoreError) {
        match error {
            StoreError::Unavailable { .. } => self.note(op, Fault::Away, &chain(error)),
            // The source of this one may quote what is stored, which is never logged.
            StoreError::Corrupt { .. } => self.note(op, Fault::Refused, &error.to_string()),
            StoreError::Invalid(_) | StoreError::Schema(_) => self.note(op, Fault::Refused, &chain(error)),
        }
    }

    /// A call to another store has failed, in a way that may pass.
    pub fn away(&self, op: &'static str, error: &dyn Error) {
        self.note(op, Fault::Away, &chain(error));
    }

    /// An operation has succeeded, or there is nothing left to try.
    pub fn clear(&self, op: &'static str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.failing.remove(op);
        if state.failing.is_empty()
            && let Some(outage) = state.outage.take()
        {
            let seconds = outage.since.elapsed().as_secs_f64();
            tracing::info!(seconds, failed_calls = outage.failed_calls, "the {} answers again", self.of);
        }
    }

    fn note(&self, op: &'static str, fault: Fault, error: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.failing.insert(op, fault);
        let starts = state.outage.is_none();
        state.outage.get_or_insert_with(|| Outage { since: Instant::now(), failed_calls: 0 }).failed_calls += 1;
        if fault == Fault::Refused && before != Some(Fault::Refused) {
            tracing::error!(op, error, "the {} refuses what it is asked", self.of);
        } else if starts {
            tracing::warn!(op, error, "the {} is away or full: no further line until it answers again", self.of);
        }
    }
}

/// An error with all its causes in one line, for the one place that logs it.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

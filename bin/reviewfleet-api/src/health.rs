use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ledger::LedgerError;
use store::{Enqueued, Faults, QueueBackend, StoreError};
use tokio::time::{Instant, timeout};

use crate::problem::Problem;

/// How long a store may take to show that it answers; shorter than the probes' own customary limits.
pub(crate) const READY_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a write is proof that the next one would succeed. A disk that fills up meanwhile is noticed by the first post
/// that it refuses, which ends the proof.
const PROOF_HOLDS: Duration = Duration::from_secs(10);
/// How long a fault is answered without another look.
const FAULT_HOLDS: Duration = Duration::from_secs(1);

const READ: &str = "read";
const WRITE: &str = "write";

/// Whether the stores do what they are there for, as the requests find it.
///
/// A store that can be read may refuse every write, on a full disk say, so that readiness asks for a write. It costs a
/// wait for the disk, and `/readyz` is open to everyone: so posts serve as proof where there are any, and without them all
/// callers together bring about one write in [`PROOF_HOLDS`], and one in [`FAULT_HOLDS`] while it fails.
pub(crate) struct Health {
    queue: Faults,
    ledger: Faults,
    latest: Mutex<Latest>,
    /// Held by the one caller that looks; the others wait for what it finds.
    looking: tokio::sync::Mutex<()>,
}

/// A fault by its own words alone.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unquoted(String);

/// The queue's latest write.
#[derive(Debug, Clone, Copy)]
enum Latest {
    Unknown,
    Written(Instant),
    Refused(Instant),
}

impl Health {
    pub(crate) fn new() -> Self {
        Self {
            queue: Faults::new("store"),
            ledger: Faults::new("ledger"),
            latest: Mutex::new(Latest::Unknown),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// Takes note of what became of a post.
    pub(crate) fn posted(&self, answer: Result<Vec<Enqueued>, StoreError>) -> Result<Vec<Enqueued>, Problem> {
        let answers = self.changed(answer)?;
        // A duplicate is found by reading alone.
        if answers.contains(&Enqueued::Inserted) {
            self.written();
        }
        Ok(answers)
    }

    /// Takes note of a call to the queue's store that writes, unless it finds nothing to change.
    pub(crate) fn changed<T>(&self, answer: Result<T, StoreError>) -> Result<T, Problem> {
        answer.map_err(|error| self.refused(&error))
    }

    /// Takes note of a call to the queue's store that reads.
    pub(crate) fn asked<T>(&self, answer: Result<T, StoreError>) -> Result<T, Problem> {
        match answer {
            Ok(answer) => {
                self.queue.clear(READ);
                Ok(answer)
            }
            Err(error @ StoreError::Unavailable { .. }) => {
                self.queue.failed(READ, &error);
                Err(Problem::store_away())
            }
            // One job that cannot be read says nothing of the others. What is stored may stand in the source, and is never
            // logged.
            Err(error @ StoreError::Corrupt { .. }) => Err(Problem::internal(&Unquoted(error.to_string()))),
            Err(error @ (StoreError::Invalid(_) | StoreError::Schema(_))) => Err(Problem::internal(&error)),
        }
    }

    /// Takes note of a call to the ledger.
    pub(crate) fn recalled<T>(&self, answer: Result<T, LedgerError>) -> Result<T, Problem> {
        match answer {
            Ok(answer) => {
                self.ledger.clear(READ);
                Ok(answer)
            }
            Err(error @ LedgerError::Unavailable { .. }) => {
                self.ledger.away(READ, &error);
                Err(Problem::ledger_away())
            }
            Err(error) => Err(Problem::internal(&error)),
        }
    }

    /// Whether a job that is posted now would be stored.
    pub(crate) async fn can_store(&self, queue: &dyn QueueBackend) -> Result<(), Problem> {
        let found = timeout(READY_TIMEOUT, async {
            let _looking = self.looking.lock().await;
            match self.latest() {
                Latest::Written(at) if at.elapsed() < PROOF_HOLDS => return Ok(()),
                Latest::Refused(at) if at.elapsed() < FAULT_HOLDS => return Err(Problem::store_away()),
                _ => {}
            }
            self.changed(queue.probe().await)?;
            self.written();
            Ok(())
        });
        found.await.unwrap_or_else(|late| {
            Err(self.refused(&StoreError::Unavailable { what: "probe", source: Box::new(late) }))
        })
    }

    fn latest(&self) -> Latest {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Latest::Written(Instant::now());
        // What can be written can be read.
        self.queue.clear(READ);
        self.queue.clear(WRITE);
    }

    fn refused(&self, error: &StoreError) -> Problem {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Latest::Refused(Instant::now());
        self.queue.failed(WRITE, error);
        if error.is_transient() { Problem::store_away() } else { Problem::logged() }
    }
}

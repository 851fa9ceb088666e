//! What the service remembers beside the queue: the reviews, what they cost, and whose quota they take. One record per job, so
//! that a repeated attempt records nothing twice.

mod error;
mod postgres;
mod record;
mod row;
mod schema;
mod sqlite;
mod unit;

use async_trait::async_trait;
use job::JobId;

pub use self::postgres::PostgresLedger;
pub use error::LedgerError;
pub use record::{
    LIST_MAX, NewReview, NoStatus, Recorded, ReviewFilter, ReviewId, ReviewRecord, ReviewStatus, ReviewedPlace,
    USAGE_MAX, Usage, UsageFilter, UsageSum,
};
pub use sqlite::{SqliteLedger, SqliteOptions};
pub use unit::{HeldUnit, NewUnit, Taken, UNITS_MAX, UNITS_OF_SUBJECT_MAX};

/// The service's memory. Implemented once per database; all keep the same promises. A NUL in a text comes back as U+FFFD.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Records a review once per job: the first record of a job stays.
    async fn record(&self, review: &NewReview) -> Result<Recorded, LedgerError>;

    /// One review.
    async fn review(&self, id: ReviewId) -> Result<Option<ReviewRecord>, LedgerError>;

    /// The review that a job has made.
    async fn review_of_job(&self, job: JobId) -> Result<Option<ReviewRecord>, LedgerError>;

    /// Reviews, newest first, at most [`LIST_MAX`].
    async fn list(&self, filter: &ReviewFilter) -> Result<Vec<ReviewRecord>, LedgerError>;

    /// What the reviews of a span of time cost, by day (UTC), user and model: newest day first, then by name, at most
    /// [`USAGE_MAX`] sums.
    async fn usage(&self, filter: &UsageFilter) -> Result<Vec<UsageSum>, LedgerError>;

    /// Takes a unit of the user's day (UTC) for a job, unless the day's are all taken: exactly, whoever asks at the same time.
    /// A day's units are those of its jobs that have a review, and one of each subject whose jobs have none yet. A job that
    /// has its unit is answered [`Taken::Yes`].
    async fn take_unit(&self, unit: &NewUnit, daily: u32) -> Result<Taken, LedgerError>;

    /// The units that a user has taken today for jobs without a review, oldest first, at most [`UNITS_MAX`]: some of these
    /// jobs may have ended without one.
    async fn held_units(&self, user: &str) -> Result<Vec<HeldUnit>, LedgerError>;

    /// The latest units of a subject, of any user and day, newest first, at most [`UNITS_OF_SUBJECT_MAX`].
    async fn units_of_subject(&self, subject: &str) -> Result<Vec<HeldUnit>, LedgerError>;

    /// Gives the units of these jobs back, but for those that have a review: at most [`UNITS_MAX`] jobs.
    async fn give_back(&self, jobs: &[JobId]) -> Result<(), LedgerError>;
}

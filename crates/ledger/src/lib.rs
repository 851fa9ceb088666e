//! What the service remembers beside the queue: the reviews, and what they cost. One record per job, so that a repeated
//! attempt records nothing twice.

mod error;
mod postgres;
mod record;
mod row;
mod schema;
mod sqlite;

use async_trait::async_trait;
use job::JobId;

pub use self::postgres::PostgresLedger;
pub use error::LedgerError;
pub use record::{
    LIST_MAX, NewReview, NoStatus, Recorded, ReviewFilter, ReviewId, ReviewRecord, ReviewStatus, ReviewedPlace,
    USAGE_MAX, Usage, UsageFilter, UsageSum,
};
pub use sqlite::{SqliteLedger, SqliteOptions};

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
}

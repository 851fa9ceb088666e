//! What the service remembers beside the queue: the reviews, and what they cost. One record per job, so that a repeated
//! attempt records nothing twice.

mod error;
mod record;
mod row;
mod schema;
mod sqlite;

use async_trait::async_trait;
use job::JobId;

pub use error::LedgerError;
pub use record::{LIST_MAX, NewReview, Recorded, ReviewFilter, ReviewId, ReviewRecord, Usage};
pub use sqlite::{SqliteLedger, SqliteOptions};

/// The service's memory. Implemented once per database.
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
}

use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date};
use job::JobId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most reviews one list has.
pub const LIST_MAX: usize = 500;
/// Most sums one answer has.
pub const USAGE_MAX: usize = 10_000;

/// Identity of a review. Version 7: reviews made later sort later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReviewId(pub Uuid);

impl fmt::Display for ReviewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReviewId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// What a review was charged for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Of those, from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens out, thoughts included.
    pub output_tokens: u64,
    /// Millionths of a US dollar.
    pub cost_micros: u64,
}

/// A review to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReview {
    /// Identity, made by the caller.
    pub id: ReviewId,
    /// The job that made it.
    pub job: JobId,
    /// Whose pull request it is.
    pub user: String,
    /// `owner/name`.
    pub repository: String,
    /// The merge base; `None` for a root commit.
    pub base: Option<String>,
    /// The reviewed commit.
    pub head: String,
    /// The pull request's title.
    pub title: String,
    /// Who wrote it: a model's configured name, or the rule reviewer's.
    pub model: String,
    /// How many findings it has.
    pub findings: u32,
    /// What it was charged for.
    pub usage: Usage,
    /// How long the pipeline took.
    pub duration_ms: u64,
    /// The whole review as JSON.
    pub document: String,
    /// The review as Markdown.
    pub markdown: String,
}

/// A recorded review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewRecord {
    /// The review as it was recorded.
    pub review: NewReview,
    /// When, by the ledger's clock.
    pub created_at: Timestamp,
}

/// Which reviews to list.
#[derive(Debug, Clone, Default)]
pub struct ReviewFilter {
    /// Of this user only.
    pub user: Option<String>,
    /// Of this repository only.
    pub repository: Option<String>,
    /// Only reviews with a smaller id: where the page before ended.
    pub before: Option<ReviewId>,
    /// Reviews to answer, at most [`LIST_MAX`].
    pub limit: usize,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was written.
    New,
    /// The job had recorded this review before.
    Already(ReviewId),
}

/// Which usage to sum up.
#[derive(Debug, Clone)]
pub struct UsageFilter {
    /// Reviews recorded at this time or later.
    pub from: Timestamp,
    /// Reviews recorded before this time.
    pub until: Timestamp,
    /// Of this user only.
    pub user: Option<String>,
    /// Sums to answer, at most [`USAGE_MAX`].
    pub limit: usize,
}

/// What the reviews of one day, user and model cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSum {
    /// The day, in UTC, by the ledger's clock.
    pub day: Date,
    /// Whose reviews.
    pub user: String,
    /// Who wrote them.
    pub model: String,
    /// How many there are.
    pub reviews: u64,
    /// What they were charged for, together.
    pub usage: Usage,
}

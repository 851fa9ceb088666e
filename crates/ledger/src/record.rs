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
    /// The pull request's number; `None` for a commit that is in none, or in none that was named.
    pub pull_request: Option<u32>,
    /// Whether it is what a review can be; `None` only of those that were recorded before this was.
    pub status: Option<ReviewStatus>,
}

/// How much of what a review can be it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewStatus {
    /// The model that is configured for such a change has read all there is to read.
    Complete,
    /// All was read, but not as configured: by a model that stands in for another, or without related code.
    Degraded,
    /// A model has read a part.
    Partial,
    /// No model has read it.
    WithoutModel,
}

impl ReviewStatus {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Complete, Self::Degraded, Self::Partial, Self::WithoutModel];

    /// The name as it is stored and asked for.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Degraded => "degraded",
            Self::Partial => "partial",
            Self::WithoutModel => "without_model",
        }
    }
}

/// A text that names no [`ReviewStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a review is complete, degraded, partial or without_model")]
pub struct NoStatus;

impl FromStr for ReviewStatus {
    type Err = NoStatus;

    fn from_str(text: &str) -> Result<Self, NoStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(NoStatus)
    }
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
    /// Of what only.
    pub of: ReviewedPlace,
    /// With this status only.
    pub status: Option<ReviewStatus>,
    /// Only reviews with a smaller id: where the page before ended.
    pub before: Option<ReviewId>,
    /// Reviews to answer, at most [`LIST_MAX`].
    pub limit: usize,
}

/// What reviews are of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ReviewedPlace {
    /// Of anything.
    #[default]
    Everywhere,
    /// Of the repositories of this owner: the first half of their names.
    Owner(String),
    /// Of this repository.
    Repository(String),
    /// Of this pull request.
    PullRequest {
        /// Where it is.
        repository: String,
        /// Its number there.
        number: u32,
    },
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

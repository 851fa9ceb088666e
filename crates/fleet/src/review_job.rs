use review::Change;
use serde::{Deserialize, Serialize};

/// Payload of a review job: what the API writes and the worker reads. Unknown fields are ignored, so that a worker can be
/// older than the API that posts to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewJob {
    /// What to review.
    pub change: Change,
    /// Whose pull request it is.
    pub user: String,
    /// Name of the user's tier, one of the configured ones.
    pub tier: String,
    /// The pull request's number, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u32>,
}

impl ReviewJob {
    /// The job kind under which it is queued.
    pub const KIND: &'static str = "review";
}

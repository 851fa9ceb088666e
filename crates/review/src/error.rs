use std::time::Duration;

use crate::{ContextError, ForgeError, ModelError, diff::DiffError};

/// Why a review did not come about. The worker makes a job's outcome of it by [`ReviewError::is_permanent`] and
/// [`ReviewError::retry_after`].
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The forge did not give the change.
    #[error("the change cannot be read")]
    Forge(#[from] ForgeError),
    /// The forge gave a diff that is none.
    #[error("the diff cannot be read")]
    Diff(#[from] DiffError),
    /// No model answered, and the configuration does not let the rule reviewer stand in.
    #[error("no model answered")]
    Model(#[from] ModelError),
    /// The context index failed in a way that a retry may mend.
    #[error("the context cannot be read")]
    Context(#[from] ContextError),
    /// What an earlier attempt kept could not be read or written.
    #[error("a checkpoint cannot be used: {0}")]
    Checkpoint(String),
    /// The caller asked to stop.
    #[error("the review was told to stop")]
    Cancelled,
}

impl ReviewError {
    /// Whether the same review would fail again however often it is tried.
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Forge(e) => e.is_permanent(),
            Self::Diff(_) => true,
            Self::Model(e) => e.is_permanent(),
            Self::Context(_) | Self::Checkpoint(_) | Self::Cancelled => false,
        }
    }

    /// The least wait that the other side asked for.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Model(e) => e.retry_after(),
            _ => None,
        }
    }
}

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ModelErrorKind;

/// Why no language model has read a change, so that the built-in rules were alone. Ends a sentence that says so. Names
/// kinds of failure only: what a provider wrote stays out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "because")]
pub enum WithoutModel {
    /// None is configured for such a change.
    NotConfigured,
    /// The change has nothing to read.
    NothingToRead,
    /// None of those that could be asked gave an answer.
    Unanswered {
        /// They, in the order of asking.
        models: Vec<SilentModel>,
    },
}

/// A model that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentModel {
    /// Its name in the configuration.
    pub model: String,
    /// Why it gave none.
    pub failure: ModelFailure,
}

/// Why a model gave no answer, in kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelFailure {
    /// It could not be reached, or did not answer in time.
    Unavailable,
    /// It was over its rate limit.
    RateLimited,
    /// It refused the request.
    Refused,
    /// It refused the credentials.
    Unauthorized,
    /// Its answer was none.
    Unreadable,
    /// Its answer was withheld.
    Withheld,
    /// It was not asked, since its answer could have cost more than a review may.
    OverBudget,
}

impl From<&ModelErrorKind> for ModelFailure {
    fn from(kind: &ModelErrorKind) -> Self {
        match kind {
            ModelErrorKind::Unavailable(_) => Self::Unavailable,
            ModelErrorKind::RateLimited { .. } => Self::RateLimited,
            ModelErrorKind::Refused(_) => Self::Refused,
            ModelErrorKind::Unauthorized => Self::Unauthorized,
            ModelErrorKind::Unreadable(_) => Self::Unreadable,
            ModelErrorKind::Blocked(_) => Self::Withheld,
        }
    }
}

impl fmt::Display for ModelFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "could not be reached or did not answer in time",
            Self::RateLimited => "was over its rate limit",
            Self::Refused => "refused the request",
            Self::Unauthorized => "refused the credentials",
            Self::Unreadable => "gave an answer that cannot be read",
            Self::Withheld => "withheld its answer",
            Self::OverBudget => "was not asked, since it could have cost more than a review may",
        })
    }
}

impl fmt::Display for WithoutModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("none is configured for it"),
            Self::NothingToRead => f.write_str("it has no text that could be reviewed"),
            Self::Unanswered { models } => {
                for (i, SilentModel { model, failure }) in models.iter().enumerate() {
                    write!(f, "{}{model} {failure}", if i == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

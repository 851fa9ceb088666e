use std::error::Error;

/// Why a backend did not answer. Whether it is worth another try decides what the caller does.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store is away, busy or full for now; the call may or may not have taken effect, and repeating it is safe.
    #[error("the store did not answer: {what}")]
    Unavailable {
        /// What was tried.
        what: &'static str,
        /// The backend's own fault.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The request cannot be served as it is.
    #[error("{0}")]
    Invalid(String),
    /// The schema in the store is not the one that this program knows.
    #[error("{0}")]
    Schema(String),
    /// What the store holds cannot be read.
    #[error("the store holds what this program cannot read: {what}")]
    Corrupt {
        /// What was read.
        what: &'static str,
        /// Why it is unreadable.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// [`StoreError::Unavailable`], where the backend knows that the call has changed nothing and never will: a full disk
    /// rather than a lost answer.
    pub fn undone(what: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable { what, source: Box::new(Undone(source.into())) }
    }

    /// The same fault, for another of the callers that shared a transaction.
    #[must_use]
    pub fn copied(&self) -> Self {
        match self {
            Self::Unavailable { what, source } if self.is_undone() => Self::undone(what, source.to_string()),
            Self::Unavailable { what, source } => Self::Unavailable { what, source: source.to_string().into() },
            Self::Corrupt { what, source } => Self::Corrupt { what, source: source.to_string().into() },
            Self::Invalid(text) => Self::Invalid(text.clone()),
            Self::Schema(text) => Self::Schema(text.clone()),
        }
    }

    /// Whether the call has surely changed nothing, so that nobody need ask what became of it. `false`: it is not known.
    pub fn is_undone(&self) -> bool {
        match self {
            Self::Unavailable { source, .. } => source.is::<Undone>(),
            Self::Invalid(_) | Self::Schema(_) => true,
            Self::Corrupt { .. } => false,
        }
    }
}

/// Marks the source of a fault that has changed nothing. Says what that says.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Undone(Box<dyn Error + Send + Sync>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain;

    #[test]
    fn a_fault_that_changed_nothing_is_known_as_such_and_says_the_same() {
        let full = || std::io::Error::other(std::fmt::Error);
        let lost = StoreError::Unavailable { what: "claim", source: Box::new(full()) };
        let undone = StoreError::undone("claim", full());
        assert!(undone.is_undone() && !lost.is_undone());
        assert!(undone.is_transient());
        assert_eq!(chain(&undone), chain(&lost));
    }
}

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
        source: Box<dyn std::error::Error + Send + Sync>,
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
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

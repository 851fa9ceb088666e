/// Why the ledger did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database is away, busy or full for now; repeating the call is safe.
    #[error("the ledger did not answer: {what}")]
    Unavailable {
        /// What was tried.
        what: &'static str,
        /// The database's own fault.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema in the database is not the one that this program knows.
    #[error("{0}")]
    Schema(String),
    /// What the ledger holds cannot be read.
    #[error("the ledger holds what this program cannot read: {0}")]
    Corrupt(String),
}

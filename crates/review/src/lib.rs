//! The review pipeline: `fetch → parse → triage → retrieve → compose → generate → verify → publish → record`, each a
//! function from one typed value to the next, and the ports behind which forges, models and indexes stand.
//!
//! This crate knows nothing of the queue: no job, no lease, no SQL.

mod change;
mod error;
mod finding;
mod money;
mod ports;

pub mod diff;

pub use change::{Change, ChangeError, CommitId, PullRequest, RepositoryName};
pub use error::ReviewError;
pub use finding::{DraftFinding, Finding, Placement, Severity, Source, UnknownSeverity};
pub use money::{Micros, TokenUsage};
pub use ports::{
    Checkpoints, ContextError, ContextQuery, ContextSource, Finish, Forge, ForgeError, LanguageModel, ModelAnswer,
    ModelError, ModelErrorKind, ModelRequest, NoCheckpoints, Snippet, SnippetReason, TreeFile,
};

//! The review pipeline: `fetch → parse → triage → retrieve → compose → generate → verify → publish → record`, each a
//! function from one typed value to the next, and the ports behind which forges, models and indexes stand.
//!
//! This crate knows nothing of the queue: no job, no lease, no SQL.

mod answer;
mod change;
mod compose;
mod context;
mod document;
mod error;
mod finding;
mod forge;
mod markdown;
mod metric;
mod money;
mod pipeline;
mod ports;
mod render;
mod review;
mod rules;
mod secrets;
mod triage;
mod verify;
mod without_model;

pub mod diff;
pub mod model;
pub mod tokens;

pub use answer::{Answer, AnswerError, answer_schema, parse_answer, parse_answer_text};
pub use change::{Change, ChangeError, CommitId, PullRequest, RepositoryName};
pub use compose::{BudgetTooSmall, Omitted, PROMPT_VERSION, Prompt, PromptBudget, PromptInput, compose};
pub use context::{IndexFacts, LexicalIndex, LexicalSettings, query_for};
pub use document::markdown;
pub use error::ReviewError;
pub use finding::{DraftFinding, Finding, Placement, Severity, Source, UnknownSeverity};
pub use forge::{LocalGit, LocalGitError, LocalGitSettings};
pub use money::{Micros, TokenUsage};
pub use pipeline::{OnModelFailure, Reviewer, ReviewerSettings};
pub use ports::{
    Checkpoints, ContextError, ContextQuery, ContextSource, Finish, Forge, ForgeError, LanguageModel, ModelAnswer,
    ModelError, ModelErrorKind, ModelRequest, NoCheckpoints, ShownLines, Snippet, SnippetReason, TreeFile,
};
pub use render::{Summary, comment_markdown, marker, summary_markdown};
pub use review::{ChangeSize, ContextUse, Note, Review, ReviewedBy, Stage, StageReport};
pub use rules::{RULES, RuleInfo, review_by_rules};
pub use secrets::{Redacted, redact};
pub use triage::{Complexity, GlobError, Limits, PathGlobs, SkipReason, Skipped, Triage, TriageSettings, triage};
pub use verify::{DropReason, Verified, VerifySettings, verify};
pub use without_model::{ModelFailure, SilentModel, WithoutModel};

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Change, CommitId, PullRequest, RepositoryName, TokenUsage, diff::RepoPath};

/// Where pull requests come from. Only repositories of the configured forge can be named.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Reads the facts of a change, its merge base among them.
    async fn pull_request(&self, change: &Change) -> Result<PullRequest, ForgeError>;

    /// The unified diff from the merge base to the head.
    async fn diff(&self, of: &PullRequest) -> Result<Bytes, ForgeError>;

    /// A file's content at a commit; `None` when there is no such file.
    async fn file(
        &self,
        repository: &RepositoryName,
        at: &CommitId,
        path: &RepoPath,
    ) -> Result<Option<Bytes>, ForgeError>;

    /// The files of a commit's tree, without submodules and links.
    async fn tree(&self, repository: &RepositoryName, at: &CommitId) -> Result<Vec<TreeFile>, ForgeError>;
}

/// A file in a commit's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Where it stands.
    pub path: RepoPath,
    /// Digest of its content, as the forge has it: equal content, equal digest.
    pub content_id: String,
    /// Its size.
    pub bytes: u64,
}

/// Why a forge did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// No such repository is known here.
    #[error("there is no repository {repository}: {allowed}")]
    UnknownRepository {
        /// What was asked for.
        repository: RepositoryName,
        /// Which ones there are, in words.
        allowed: String,
    },
    /// The place that should hold the repository does not.
    #[error("{repository} is not a git repository: {reason}")]
    NotARepository {
        /// What was asked for.
        repository: RepositoryName,
        /// What was found.
        reason: String,
    },
    /// No such commit.
    #[error("{repository} has no commit {commit}")]
    UnknownCommit {
        /// Where.
        repository: RepositoryName,
        /// What was asked for.
        commit: CommitId,
    },
    /// The head and the base share no history.
    #[error("{head} and {base} of {repository} share no history")]
    NoMergeBase {
        /// Where.
        repository: RepositoryName,
        /// One side.
        head: CommitId,
        /// The other.
        base: CommitId,
    },
    /// The diff, a file or a tree's listing is larger than the configuration lets in.
    #[error("{bytes} bytes are too many: at most {max_bytes} are read")]
    TooLarge {
        /// Bytes found until then: there may be more.
        bytes: u64,
        /// Bytes allowed.
        max_bytes: u64,
    },
    /// The forge is away or broken for now.
    #[error("the forge did not answer: {what}")]
    Unavailable {
        /// What was tried.
        what: &'static str,
        /// Its own fault.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ForgeError {
    /// Whether no repetition mends it.
    pub const fn is_permanent(&self) -> bool {
        !matches!(self, Self::Unavailable { .. })
    }
}

/// A language model behind a provider's wire.
#[async_trait]
pub trait LanguageModel: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &str;

    /// Asks once; retries of passing faults happen inside, within the adapter's own bounds. Dropping the future drops
    /// the connection.
    async fn generate(&self, request: &ModelRequest) -> Result<ModelAnswer, ModelError>;
}

/// One question to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The reviewer's instructions.
    pub system: String,
    /// The change and its context.
    pub prompt: String,
    /// JSON schema of the answer, in the subset that all providers take.
    pub schema: serde_json::Value,
    /// Most tokens of the answer, thoughts included.
    pub output_tokens_max: u32,
}

/// A model's answer, whole or cut off.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ModelAnswer {
    /// What it wrote.
    pub text: String,
    /// Why it stopped.
    pub finish: Finish,
    /// What the call cost in tokens.
    pub usage: TokenUsage,
    /// Which model the provider says has answered.
    pub model_version: Option<String>,
}

/// Why a model stopped writing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// It ran out of output tokens: the text is cut off.
    OutputLimit,
    /// The provider withheld the answer, with its reason.
    Blocked(String),
    /// A reason that this program does not know.
    Other(String),
}

/// Why a model gave no answer. Failed calls can cost tokens too.
#[derive(Debug, thiserror::Error)]
#[error("model {model}: {kind}")]
pub struct ModelError {
    /// The model's name in the configuration.
    pub model: String,
    /// What went wrong.
    pub kind: ModelErrorKind,
    /// What the failed calls were charged for.
    pub usage: TokenUsage,
}

/// What went wrong with a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelErrorKind {
    /// No connection, a cut one, a timeout, or a 5xx, after the adapter's own retries.
    #[error("it is not reachable: {0}")]
    Unavailable(String),
    /// 429.
    #[error("it is over its rate limit{}", if *sticky { " for the day" } else { "" })]
    RateLimited {
        /// The wait that the provider asked for.
        retry_after: Option<Duration>,
        /// Whether it is a daily quota, which no short wait mends.
        sticky: bool,
    },
    /// 400 and the like: the same call fails again.
    #[error("it refuses the request: {0}")]
    Refused(String),
    /// 401 or 403.
    #[error("it refuses the credentials")]
    Unauthorized,
    /// The answer is not one: wrong JSON, no candidates, prose.
    #[error("its answer is unreadable: {0}")]
    Unreadable(String),
    /// The provider withheld the answer.
    #[error("its answer was withheld: {0}")]
    Blocked(String),
}

impl ModelError {
    /// Whether the same call fails again however often it is tried.
    pub const fn is_permanent(&self) -> bool {
        matches!(self.kind, ModelErrorKind::Refused(_) | ModelErrorKind::Unauthorized)
    }

    /// The wait that the provider asked for.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            ModelErrorKind::RateLimited { retry_after, .. } => retry_after,
            _ => None,
        }
    }
}

/// An index of repositories that answers with code related to a change.
#[async_trait]
pub trait ContextSource: Send + Sync {
    /// Sees to it that there is something to search, made from a commit at hand where nothing recent is there.
    async fn prepare(&self, repository: &RepositoryName, at: &CommitId) -> Result<(), ContextError>;

    /// The best snippets for a query, best first, at most `limit`. Looks into the one repository only.
    async fn search(
        &self,
        repository: &RepositoryName,
        query: &ContextQuery,
        limit: usize,
    ) -> Result<Vec<Snippet>, ContextError>;
}

/// What the pipeline wants to know more of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextQuery {
    /// Text whose words weigh: changed lines, title.
    pub text: String,
    /// Symbols that the change touches: their definitions and callers come first.
    pub symbols: Vec<String>,
    /// Files that need no snippet at all: those that the change takes away.
    pub exclude: Vec<RepoPath>,
    /// Lines that the diff shows already: a snippet that mostly repeats them tells nothing.
    pub shown: Vec<ShownLines>,
}

/// Lines of the new side that a diff shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLines {
    /// Which file.
    pub path: RepoPath,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
}

/// A piece of a file that bears on a change.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Snippet {
    /// Which file.
    pub path: RepoPath,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// The lines.
    pub text: String,
    /// How well it fits; comparable within one answer only.
    pub score: f32,
    /// Why it was taken.
    pub reason: SnippetReason,
}

/// Why a snippet was taken.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnippetReason {
    /// It defines this symbol.
    Defines(String),
    /// It uses this symbol.
    Uses(String),
    /// Its words are like the change's.
    Similar,
}

/// Why an index did not answer. The review goes on without it and says so.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The repository could not be read for its index.
    #[error("the repository cannot be indexed")]
    Forge(#[from] ForgeError),
    /// The repository is larger than the index takes.
    #[error("the repository is too large to be indexed: {0}")]
    TooLarge(String),
}

/// What a review keeps across attempts, so that a retry of a later stage does not pay again.
#[async_trait]
pub trait Checkpoints: Send + Sync {
    /// What was kept under a step's name.
    fn get(&self, step: &str) -> Option<Vec<u8>>;

    /// Keeps a value. `Err` when the review must stop (its lease is gone) or the store is away.
    async fn put(&self, step: &str, value: Vec<u8>) -> Result<(), String>;
}

/// Keeps nothing: for reviews that are made once.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCheckpoints;

#[async_trait]
impl Checkpoints for NoCheckpoints {
    fn get(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    async fn put(&self, _: &str, _: Vec<u8>) -> Result<(), String> {
        Ok(())
    }
}

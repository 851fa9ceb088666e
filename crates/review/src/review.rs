use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Complexity, DraftFinding, DropReason, Finding, Micros, PullRequest, Severity, Skipped, Snippet, SnippetReason,
    TokenUsage, WithoutModel, diff::RepoPath,
};

/// A finished review: what the ledger keeps and a forge publishes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// The change under review.
    pub pull_request: PullRequest,
    /// Who has read it.
    pub reviewer: ReviewedBy,
    /// Why no model has read it; `None` when one has. The summary says so too.
    #[serde(default)]
    pub without_model: Option<WithoutModel>,
    /// In a few sentences; the model's words, or the rule reviewer's count.
    pub summary: String,
    /// How much there was to read.
    pub size: ChangeSize,
    /// What was found, most severe first.
    pub findings: Vec<Finding>,
    /// Files that were not read, and why.
    pub skipped: Vec<Skipped>,
    /// What a reader must know about how this review came about.
    pub notes: Vec<Note>,
    /// Code beside the diff that the model was shown.
    pub context: Vec<ContextUse>,
    /// What each stage took.
    pub stages: Vec<StageReport>,
    /// Tokens of all model calls, failed ones included.
    pub usage: TokenUsage,
    /// Money for them.
    pub cost: Micros,
}

/// Who has read a change. The rule reviewer is never passed off as a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum ReviewedBy {
    /// The built-in rules alone.
    Rules,
    /// A language model, after the rules.
    Model {
        /// Its name in the configuration.
        name: String,
        /// What the provider says has answered.
        version: Option<String>,
    },
}

/// How much a change touches, skipped files left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSize {
    /// Files to read.
    pub files: usize,
    /// Added and removed lines in them.
    pub changed_lines: usize,
    /// What the two come to.
    pub complexity: Complexity,
}

/// A piece of code that the model was shown beside the diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextUse {
    /// Which file.
    pub path: RepoPath,
    /// First line.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// Why it was taken.
    pub reason: SnippetReason,
}

/// What a reader must know about how a review came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "note")]
pub enum Note {
    /// No model is configured for it.
    NoModel,
    /// The change has nothing that a review could read.
    NothingToRead,
    /// The context index gave nothing.
    NoContext {
        /// Why.
        reason: String,
    },
    /// A model was asked and gave no usable answer.
    ModelFailed {
        /// Its name in the configuration.
        model: String,
        /// Why.
        reason: String,
    },
    /// A model was not asked, since its answer could cost more than a review may.
    OverBudget {
        /// Its name in the configuration.
        model: String,
        /// What the call could have cost.
        could_cost: Micros,
        /// What a review may cost.
        cost_max: Micros,
    },
    /// Parts of the change that did not fit the prompt; the rules have read them.
    LeftOut {
        /// Which, one a line.
        parts: Vec<String>,
    },
    /// The commit's parent is beyond the end of a shallow clone: every file counts as added.
    BaseCutOff,
    /// The model's answer was cut off; its whole findings were kept.
    CutOff,
    /// Secrets that were blacked out before the model saw the change.
    Redacted {
        /// How many.
        count: usize,
    },
    /// Findings that are not shown.
    Dropped {
        /// How many.
        count: usize,
        /// Why.
        reason: String,
    },
}

/// The pipeline's stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Facts and diff from the forge.
    Fetch,
    /// Diff to files and lines.
    Parse,
    /// What to read, by whom.
    Triage,
    /// The built-in rules.
    Rules,
    /// Related code.
    Retrieve,
    /// The prompt.
    Compose,
    /// The model's answer.
    Generate,
    /// Each finding's place.
    Verify,
}

/// What one stage took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageReport {
    /// Which.
    pub stage: Stage,
    /// How long, in microseconds.
    pub took_us: u64,
    /// What it was charged for.
    pub cost: Micros,
}

impl From<Snippet> for ContextUse {
    fn from(Snippet { path, start_line, end_line, reason, .. }: Snippet) -> Self {
        Self { path, start_line, end_line, reason }
    }
}

impl Note {
    /// How many findings are not shown, by reason. Duplicates are no loss, and so need no note.
    pub fn of_dropped(dropped: &[(DraftFinding, DropReason)]) -> Vec<Self> {
        let reasons = [
            (DropReason::UnknownFile, "they are about files that the change does not touch"),
            (DropReason::Empty, "they say nothing"),
            (DropReason::BelowFloor, "they matter less than the settings ask for"),
            (DropReason::OverMaximum, "there are enough that matter as much"),
        ];
        let count = |reason| dropped.iter().filter(|(_, why)| *why == reason).count();
        let noted = reasons.into_iter().map(|(reason, why)| (count(reason), why)).filter(|(count, _)| *count > 0);
        noted.map(|(count, why)| Self::Dropped { count, reason: why.to_owned() }).collect()
    }
}

impl Review {
    /// How many findings have a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }

    /// How long all stages took.
    pub fn took(&self) -> Duration {
        Duration::from_micros(self.stages.iter().map(|s| s.took_us).sum())
    }
}

impl Stage {
    /// The name as it stands in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Parse => "parse",
            Self::Triage => "triage",
            Self::Rules => "rules",
            Self::Retrieve => "retrieve",
            Self::Compose => "compose",
            Self::Generate => "generate",
            Self::Verify => "verify",
        }
    }
}

impl fmt::Display for ReviewedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rules => f.write_str("built-in rules (no language model)"),
            Self::Model { name, version: Some(version) } if version != name => write!(f, "{name} ({version})"),
            Self::Model { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoModel => {
                f.write_str("No language model is configured: only the built-in rules have read this change.")
            }
            Self::NothingToRead => f.write_str("The change has no text that could be reviewed."),
            Self::NoContext { reason } => write!(f, "Reviewed without code from the rest of the repository: {reason}."),
            Self::ModelFailed { model, reason } => write!(f, "The model {model} gave no usable answer: {reason}."),
            Self::OverBudget { model, could_cost, cost_max } => write!(
                f,
                "The model {model} was not asked: its answer could cost {could_cost}, and a review may cost {cost_max}."
            ),
            Self::LeftOut { parts } => {
                write!(f, "Read by the rules alone, since the model's prompt has no more room: {}.", parts.join(", "))
            }
            Self::BaseCutOff => {
                f.write_str("The history of this clone ends with this commit: every file counts as added.")
            }
            Self::CutOff => f.write_str("The model's answer was cut off: there may be more to find."),
            Self::Redacted { count } => write!(f, "{count} secrets were blacked out before the model saw the change."),
            Self::Dropped { count, reason } => write!(f, "{count} findings are not shown: {reason}."),
        }
    }
}

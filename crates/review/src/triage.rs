//! What of a change is worth a reviewer's time, and how hard the rest is.

mod globs;
mod skip;

use serde::{Deserialize, Serialize};

pub use self::globs::{GlobError, PathGlobs};
use crate::diff::{Diff, RepoPath};

/// How a change is sorted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TriageSettings {
    /// Files to leave out, beside those that no reviewer reads.
    pub skip: PathGlobs,
    /// What is still simple.
    pub simple: Limits,
    /// What is still of medium complexity.
    pub medium: Limits,
}

/// The bounds of a class of complexity, over the reviewed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Fewer changed lines than this.
    pub below_lines: usize,
    /// At most so many files.
    pub max_files: usize,
}

impl Default for TriageSettings {
    fn default() -> Self {
        Self {
            skip: PathGlobs::default(),
            simple: Limits { below_lines: 100, max_files: 2 },
            medium: Limits { below_lines: 500, max_files: 10 },
        }
    }
}

/// How hard a change is to review; it chooses the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Complexity {
    /// A few lines in a file or two.
    Simple,
    /// More than that.
    Medium,
    /// Anything larger.
    Complex,
}

/// What became of a change's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triage {
    /// Indexes into the diff's files, in its order.
    pub reviewed: Vec<usize>,
    /// The others, each with its reason, so that the review can name them.
    pub skipped: Vec<Skipped>,
    /// By the reviewed files.
    pub complexity: Complexity,
    /// Added and removed lines of the reviewed files.
    pub changed_lines: usize,
    /// How many files are reviewed.
    pub files: usize,
}

/// A file that is not reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Which.
    pub path: RepoPath,
    /// Why.
    pub reason: SkipReason,
}

/// Why a file is not reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// Its name or its first lines say so.
    #[error("generated")]
    Generated,
    /// It lies in a folder of others' code.
    #[error("vendored")]
    Vendored,
    /// A tool keeps it.
    #[error("a lock file")]
    LockFile,
    /// Made for machines: minified, or of lines that nobody reads.
    #[error("minified or machine-made")]
    Minified,
    /// It has no lines.
    #[error("binary")]
    Binary,
    /// It is another repository's commit.
    #[error("a submodule")]
    Submodule,
    /// It moved or was copied as it was.
    #[error("moved or copied unchanged")]
    Moved,
    /// Its mode changed, or it is empty.
    #[error("no changed lines")]
    Unchanged,
    /// A test tool writes it.
    #[error("a snapshot")]
    Snapshot,
    /// The configuration leaves it out, by this pattern.
    #[error("left out by the pattern {0:?}")]
    Excluded(String),
}

/// Sorts a diff's files.
pub fn triage(diff: &Diff, settings: &TriageSettings) -> Triage {
    let mut reviewed = Vec::new();
    let mut skipped = Vec::new();
    for (index, file) in diff.files.iter().enumerate() {
        match skip::reason(diff, file, &settings.skip) {
            Some(reason) => skipped.push(Skipped { path: file.path().clone(), reason }),
            None => reviewed.push(index),
        }
    }
    let changed_lines = reviewed.iter().map(|i| diff.files[*i].changed_lines()).sum();
    let files = reviewed.len();
    let is_within = |limits: &Limits| changed_lines < limits.below_lines && files <= limits.max_files;
    let complexity = if is_within(&settings.simple) {
        Complexity::Simple
    } else if is_within(&settings.medium) {
        Complexity::Medium
    } else {
        Complexity::Complex
    };
    Triage { reviewed, skipped, complexity, changed_lines, files }
}

#[cfg(test)]
mod tests;

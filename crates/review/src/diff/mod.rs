//! Unified diffs: parsing, and the anchors that a review comment may stand on.

mod anchor;
mod cursor;
mod header;
mod hunk;
mod model;
mod parse;
mod path;
#[cfg(test)]
mod properties;
mod quoted;

pub use model::{Diff, FileDiff, FileStatus, Hunk, Line, LineKind};
pub use path::RepoPath;

/// A text that is no unified diff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the diff: {what}")]
pub struct DiffError {
    /// Which line of the diff, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

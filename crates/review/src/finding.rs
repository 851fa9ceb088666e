use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::diff::RepoPath;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Should be mended some day.
    Minor,
    /// Should be mended before the merge.
    Major,
    /// Must not be merged.
    Critical,
}

/// Who found it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A built-in rule, by its id.
    Rule(String),
    /// A language model, by its configured name.
    Model(String),
}

/// A finding as its source gave it: not checked yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftFinding {
    /// Who found it.
    pub source: Source,
    /// How much it matters.
    pub severity: Severity,
    /// Which file.
    pub path: RepoPath,
    /// First line on the new side, if it spans several.
    pub start_line: Option<u32>,
    /// Last (or only) line on the new side, from 1; `None` when it concerns the file as a whole.
    pub line: Option<u32>,
    /// One line.
    pub title: String,
    /// Why, in Markdown.
    pub body: String,
    /// What to write in place of the lines, without fences.
    pub suggestion: Option<String>,
}

/// A finding whose place was checked against the diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Who found it.
    pub source: Source,
    /// How much it matters.
    pub severity: Severity,
    /// Which file.
    pub path: RepoPath,
    /// Where a comment can stand.
    pub placement: Placement,
    /// One line.
    pub title: String,
    /// Why, in Markdown that mentions nobody.
    pub body: String,
    /// What to write in place of the lines, without fences.
    pub suggestion: Option<String>,
}

/// Where a finding is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// At lines of the new side, all in one hunk.
    Inline {
        /// First line, left out when it is the last one too (GitHub refuses equal ones).
        start_line: Option<u32>,
        /// Last line.
        line: u32,
    },
    /// In the review's body.
    Body,
}

impl Severity {
    /// All, least first.
    pub const ALL: [Self; 4] = [Self::Note, Self::Minor, Self::Major, Self::Critical];

    /// The name as it stands in configuration and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no severity: allowed are note, minor, major and critical")]
pub struct UnknownSeverity(String);

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

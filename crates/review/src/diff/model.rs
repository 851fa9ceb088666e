use std::{borrow::Cow, ops::Range};

use bytes::Bytes;

use super::RepoPath;

/// A parsed unified diff. Lines are ranges into the raw bytes, so that a large diff is held once.
#[derive(Debug, Clone, Default)]
pub struct Diff {
    /// The diff as it came from the forge.
    pub(super) raw: Bytes,
    /// Files in the diff's order.
    pub files: Vec<FileDiff>,
}

/// What a diff says of one file.
#[derive(Debug, Clone)]
pub struct FileDiff {
    /// Its path before; `None` for an added file.
    pub old_path: Option<RepoPath>,
    /// Its path after; `None` for a deleted file.
    pub new_path: Option<RepoPath>,
    /// What happened to it.
    pub status: FileStatus,
    /// Whether its content is binary, and so has no hunks.
    pub binary: bool,
    /// Whether it is a submodule (mode 160000).
    pub submodule: bool,
    /// Its hunks, top down.
    pub hunks: Vec<Hunk>,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileStatus {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// Its content or mode changed.
    Modified,
    /// It moved, with or without changes.
    Renamed,
    /// It was copied.
    Copied,
}

/// A run of lines, changed ones and those around them.
#[derive(Debug, Clone)]
pub struct Hunk {
    /// First line before, from 1 (0 when the side is empty).
    pub old_start: u32,
    /// Lines before.
    pub old_count: u32,
    /// First line after, from 1 (0 when the side is empty).
    pub new_start: u32,
    /// Lines after.
    pub new_count: u32,
    /// What git shows behind the second `@@`: usually the enclosing function's first line.
    pub(super) section: Range<u32>,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line of a hunk.
#[derive(Debug, Clone)]
pub struct Line {
    /// On which side it stands.
    pub kind: LineKind,
    /// Its number before; 0 for an added line.
    pub old: u32,
    /// Its number after; 0 for a removed line.
    pub new: u32,
    /// Whether the file ends in it without a newline.
    pub no_newline: bool,
    /// Where its text stands in the raw diff, without prefix and line end.
    pub(super) text: Range<u32>,
}

/// On which side a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// On both.
    Context,
    /// On the new side only.
    Added,
    /// On the old side only.
    Removed,
}

impl Diff {
    /// A line's text; bytes that are no UTF-8 become `\u{FFFD}`. A carriage return before the line end is left out.
    pub fn text(&self, line: &Line) -> Cow<'_, str> {
        self.slice(&line.text)
    }

    /// What git shows behind a hunk's second `@@`.
    pub fn section(&self, hunk: &Hunk) -> Cow<'_, str> {
        self.slice(&hunk.section)
    }

    /// Added and removed lines of all files.
    pub fn changed_lines(&self) -> usize {
        self.files.iter().map(FileDiff::changed_lines).sum()
    }

    fn slice(&self, range: &Range<u32>) -> Cow<'_, str> {
        // Ranges are made by the parser within `raw`, which is at most u32::MAX long; any other shows as nothing.
        String::from_utf8_lossy(self.raw.get(range.start as usize..range.end as usize).unwrap_or_default())
    }
}

impl FileDiff {
    /// The path that a reader knows the file by: the new one, or the old one of a deleted file.
    pub fn path(&self) -> &RepoPath {
        static NONE: std::sync::LazyLock<RepoPath> = std::sync::LazyLock::new(|| RepoPath::new(""));
        self.new_path.as_ref().or(self.old_path.as_ref()).unwrap_or(&NONE)
    }

    /// Its lines, hunk after hunk.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.hunks.iter().flat_map(|h| &h.lines)
    }

    /// Its added lines.
    pub fn added(&self) -> impl Iterator<Item = &Line> {
        self.lines().filter(|l| l.kind == LineKind::Added)
    }

    /// Added and removed lines.
    pub fn changed_lines(&self) -> usize {
        self.lines().filter(|l| l.kind != LineKind::Context).count()
    }
}

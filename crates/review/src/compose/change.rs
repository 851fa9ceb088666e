use std::{cmp::Reverse, collections::BTreeSet, fmt::Write as _};

use super::Omitted;
use crate::{
    diff::{Diff, FileDiff, FileStatus, Hunk, Line, LineKind, RepoPath},
    secrets, tokens,
};

/// Most tokens of the function's line that a hunk names.
const SECTION_TOKENS_MAX: u32 = 60;

const HUNK_CUT: &str = "(the rest of this hunk is not shown)\n";

/// Extensions of files that tell rather than do.
const TELLING: [&str; 17] = [
    "md",
    "rst",
    "txt",
    "adoc",
    "json",
    "yaml",
    "yml",
    "toml",
    "ini",
    "cfg",
    "conf",
    "xml",
    "lock",
    "csv",
    "svg",
    "properties",
    "",
];

/// The change as it is shown, and what there was no room for.
pub(super) struct Packed {
    pub(super) text: String,
    pub(super) omitted: Vec<Omitted>,
    pub(super) redacted: usize,
}

/// How much a file's review is worth; the least comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Worth {
    Source,
    Test,
    Telling,
    Gone,
}

struct FileBlock<'a> {
    file: &'a FileDiff,
    header: String,
    hunks: Vec<HunkBlock<'a>>,
}

struct HunkBlock<'a> {
    hunk: &'a Hunk,
    header: String,
    /// One rendered line for each of the hunk's lines.
    body: String,
    tokens: u32,
    /// How many of its lines are shown.
    shown: usize,
}

/// Shows as much of the reviewed files as `tokens_max` tokens hold: whole hunks, those of the weightiest files first. Only
/// a hunk that would not fit even alone is split, between two lines.
pub(super) fn pack(diff: &Diff, reviewed: &[usize], tokens_max: u32) -> Packed {
    let reviewed: BTreeSet<usize> = reviewed.iter().copied().collect();
    let mut order: Vec<&FileDiff> = reviewed.into_iter().filter_map(|index| diff.files.get(index)).collect();
    // Stable: files of one worth stay in the diff's order.
    order.sort_by_cached_key(|file| (Worth::of(file), Reverse(file.added().count())));

    let mut packed = Packed { text: String::new(), omitted: Vec::new(), redacted: 0 };
    let mut left = tokens_max;
    for file in order {
        let (mut block, redacted) = FileBlock::of(diff, file);
        packed.redacted += redacted;
        left -= block.fill(left, tokens_max);
        block.put(&mut packed);
    }
    packed
}

impl Worth {
    fn of(file: &FileDiff) -> Self {
        let path = file.path();
        if file.status == FileStatus::Deleted {
            Self::Gone
        } else if is_test(path) {
            Self::Test
        } else if TELLING.contains(&path.extension().as_str()) {
            Self::Telling
        } else {
            Self::Source
        }
    }
}

fn is_test(path: &RepoPath) -> bool {
    let path = path.display().to_ascii_lowercase();
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let stem = name.split('.').next().unwrap_or_default();
    folders.split('/').any(|f| matches!(f, "test" | "tests" | "__tests__" | "spec" | "testdata" | "fixtures"))
        || matches!(stem, "test" | "tests")
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_spec")
        || name.contains(".test.")
        || name.contains(".spec.")
}

impl<'a> FileBlock<'a> {
    /// A file's lines, without its secrets, and how many those were. They are looked for in all its lines together, since
    /// a key spans many.
    fn of(diff: &Diff, file: &'a FileDiff) -> (Self, usize) {
        let code: Vec<_> = file.lines().map(|line| diff.text(line)).collect();
        let code = code.join("\n");
        let code = secrets::redact(&code);
        let mut redacted = code.count;
        let mut code = code.text.split('\n');
        let mut hunks = Vec::with_capacity(file.hunks.len());
        for hunk in &file.hunks {
            let section = diff.section(hunk);
            let section = secrets::redact(&section);
            redacted += section.count;
            let header = hunk_header(hunk, &one_line(section.text.trim()));
            let mut body = String::new();
            for line in &hunk.lines {
                put_line(&mut body, line, code.next().unwrap_or_default());
            }
            let tokens = tokens::estimate(&header).saturating_add(tokens::estimate(&body));
            hunks.push(HunkBlock { hunk, header, body, tokens, shown: 0 });
        }
        (Self { file, header: file_header(file), hunks }, redacted)
    }

    /// Chooses what is shown within `left` tokens, and tells how many those are.
    fn fill(&mut self, left: u32, tokens_max: u32) -> u32 {
        let header = tokens::estimate(&self.header);
        let Some(mut room) = left.checked_sub(header) else {
            self.header.clear();
            return 0;
        };
        let mut by_worth: Vec<&mut HunkBlock<'_>> = self.hunks.iter_mut().collect();
        by_worth
            .sort_by_cached_key(|block| Reverse(block.hunk.lines.iter().filter(|l| l.kind == LineKind::Added).count()));
        for block in by_worth {
            if block.tokens <= room {
                block.shown = block.hunk.lines.len();
                room -= block.tokens;
            } else if block.tokens > tokens_max.saturating_sub(header) {
                room -= block.split(room);
            }
        }
        if self.hunks.iter().all(|b| b.shown == 0) && !self.hunks.is_empty() {
            self.header.clear();
            return 0;
        }
        left - room
    }

    /// Appends what is shown, and names what is not.
    fn put(&self, packed: &mut Packed) {
        let path = self.file.path();
        if self.header.is_empty() {
            packed.omitted.push(Omitted::File(path.clone()));
            return;
        }
        packed.text.push_str(&self.header);
        for block in &self.hunks {
            if block.shown > 0 {
                packed.text.push_str(&block.header);
                packed.text.extend(block.body.split_inclusive('\n').take(block.shown));
            }
            let rest = &block.hunk.lines[block.shown..];
            if !rest.is_empty() {
                if block.shown > 0 {
                    packed.text.push_str(HUNK_CUT);
                }
                packed.omitted.push(lines(path, rest));
            }
        }
    }
}

impl HunkBlock<'_> {
    /// Shows as many of the first lines as fit, and tells how many tokens they are with all that stands around them.
    fn split(&mut self, room: u32) -> u32 {
        let around = tokens::estimate(&self.header) + tokens::estimate(HUNK_CUT);
        let mut used = around;
        for line in self.body.split_inclusive('\n') {
            let with_line = used.saturating_add(tokens::estimate(line));
            if with_line > room {
                break;
            }
            used = with_line;
            self.shown += 1;
        }
        if self.shown == 0 { 0 } else { used }
    }
}

/// Names lines by their numbers on the new side, or on the old one if there is none.
fn lines(path: &RepoPath, lines: &[Line]) -> Omitted {
    let path = path.clone();
    let ends = |number: fn(&Line) -> u32| {
        let mut numbers = lines.iter().map(number).filter(|n| *n > 0);
        let first = numbers.next()?;
        Some((first, numbers.next_back().unwrap_or(first)))
    };
    if let Some((first, last)) = ends(|l| l.new) {
        return Omitted::Lines { path, first, last };
    }
    let (first, last) = ends(|l| l.old).unwrap_or_default();
    Omitted::RemovedLines { path, first, last }
}

fn file_header(file: &FileDiff) -> String {
    let status = match file.status {
        FileStatus::Added => "added",
        FileStatus::Deleted => "deleted",
        FileStatus::Modified => "modified",
        FileStatus::Renamed => "renamed",
        FileStatus::Copied => "copied",
    };
    let mut header = format!("file {} ({status}", shown(file.path()));
    if let (FileStatus::Renamed | FileStatus::Copied, Some(old)) = (file.status, &file.old_path) {
        let _ = write!(header, " from {}", shown(old));
    }
    if file.binary {
        header.push_str(", binary");
    }
    if file.submodule {
        header.push_str(", a submodule");
    }
    header.push_str(")\n");
    header
}

fn hunk_header(hunk: &Hunk, section: &str) -> String {
    let mut header = match hunk.new_count {
        0 => format!("@@ lines removed behind line {}", hunk.new_start),
        count => format!("@@ lines {} to {}", hunk.new_start, hunk.new_start.saturating_add(count - 1)),
    };
    if !section.is_empty() {
        let _ = write!(header, ", in: {}", tokens::prefix(section, SECTION_TOKENS_MAX));
    }
    header.push('\n');
    header
}

fn put_line(body: &mut String, line: &Line, code: &str) {
    let _ = match line.kind {
        LineKind::Added => writeln!(body, "{:>6} + {code}", line.new),
        LineKind::Removed => writeln!(body, "       - {code}"),
        LineKind::Context => writeln!(body, "{:>6}   {code}", line.new),
    };
}

/// A path on one line.
pub(super) fn shown(path: &RepoPath) -> String {
    one_line(&path.display())
}

/// A text without control characters, so that it stays on its line.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

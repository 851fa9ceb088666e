use crate::{
    DraftFinding, Placement,
    diff::{Diff, FileDiff, RepoPath},
};

/// How far, in lines, a finding may be moved to a line that the diff shows. Further off, a reader would not see what it
/// has to do with that line.
const MOVE_LINES_MAX: u32 = 10;

/// Where a draft is shown.
pub(super) struct Place {
    /// The file's path after the change, also when the draft named the one before a rename.
    pub(super) path: RepoPath,
    pub(super) placement: Placement,
    /// Whether it stands at just the lines that the draft named, so that its suggestion fits.
    pub(super) exact: bool,
    /// The lines that the draft named.
    pub(super) asked: Option<Lines>,
}

/// Finds a draft's place; `None` when the diff has no such file.
pub(super) fn place(diff: &Diff, draft: &DraftFinding) -> Option<Place> {
    let file = diff.file(&draft.path)?;
    let path = file.path().clone();
    let asked = asked_lines(draft);
    let shown = asked
        .filter(|_| can_hold_comments(file))
        .and_then(|(first, line)| within(file, first, line).or_else(|| outside(file, first, line)));
    // A range that begins behind its end was meant as some range: its suggestion would not fit the one line.
    let exact = shown == asked && draft.start_line <= draft.line;
    let placement = shown.map_or(Placement::Body, |(start_line, line)| Placement::Inline { start_line, line });
    Some(Place { path, placement, exact: exact && shown.is_some(), asked })
}

/// The first line, if there are several, and the last.
type Lines = (Option<u32>, u32);

/// What the draft names, if it names a line at all. Lines count from 1, and no range begins behind its end.
fn asked_lines(draft: &DraftFinding) -> Option<Lines> {
    let line = draft.line.filter(|line| *line > 0)?;
    Some((draft.start_line.filter(|start| *start > 0 && *start < line), line))
}

/// A submodule's one line is no line of a file.
fn can_hold_comments(file: &FileDiff) -> bool {
    file.new_path.is_some() && !file.binary && !file.submodule
}

/// For a last line that the diff shows: the range's part in that line's hunk.
fn within(file: &FileDiff, first: Option<u32>, line: u32) -> Option<Lines> {
    let hunk = file.hunk_at(line)?;
    Some((first.map(|f| f.max(hunk.new_start)).filter(|f| *f < line), line))
}

/// For a last line that the diff does not show: the range's part in the hunk where it begins, or the nearest changed line.
fn outside(file: &FileDiff, first: Option<u32>, line: u32) -> Option<Lines> {
    if let Some((first, hunk)) = first.and_then(|f| file.hunk_at(f).map(|hunk| (f, hunk))) {
        let last = hunk.new_lines().end - 1;
        return Some((Some(first).filter(|f| *f < last), last));
    }
    let (hunk, distance) = file.nearest_hunk(line)?;
    if distance > MOVE_LINES_MAX {
        return None;
    }
    hunk.nearest_changed(line).map(|line| (None, line))
}

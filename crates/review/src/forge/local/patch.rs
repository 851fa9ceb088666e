use std::collections::HashMap;

use bytes::Bytes;
use git2::{Delta, DiffFindOptions, DiffFormat, DiffLineType, DiffOptions, Oid, Tree};

use super::{Opened, tree::EntryKind, unavailable};
use crate::{CommitId, ForgeError};

/// Most pairs of a removed and an added file whose contents are compared to find renames: git's own limit of 1,000 files
/// on each side.
const SIMILAR_PAIRS_MAX: usize = 1_000 * 1_000;
/// Most pairs whose object ids are compared, when there are too many for their contents: about a second.
const EQUAL_PAIRS_MAX: usize = 50_000_000;
/// What the shortest entry of a diff takes beside its path: half of `diff --git a/ b/` and its newline, since a rename
/// makes one entry of two files.
const ENTRY_BYTES_MIN: u64 = 8;
/// Hexadecimal digits of a whole SHA-1.
const WHOLE_ID: u16 = 40;

pub(super) fn diff(git: &Opened, base: Option<&CommitId>, head: &CommitId) -> Result<Bytes, ForgeError> {
    let reading = |e| unavailable("reading a tree")(e);
    let tree = |id: &CommitId| git.commit(id)?.tree().map_err(reading);
    let (old, new) = (base.map(tree).transpose()?, tree(head)?);
    let max = git.settings.diff_bytes_max;
    let least = least_bytes(git, old.as_ref().map(Tree::id), new.id(), max).map_err(reading)?;
    if least > max {
        return Err(Opened::too_large(least, max));
    }
    let comparing = |e| unavailable("comparing two trees")(e);
    let mut diff = git.git.diff_tree_to_tree(old.as_ref(), Some(&new), Some(&mut options(git))).map_err(comparing)?;
    find_renames(&mut diff).map_err(comparing)?;
    write(&diff, max)
}

/// A lower bound of the diff's size, found without reading a file: what the entries of all changed files take at least.
/// Stops soon after `max`, so that a tree which names a folder again and again is never walked to its end.
fn least_bytes(git: &Opened, old: Option<Oid>, new: Oid, max: u64) -> Result<u64, git2::Error> {
    let mut folders = vec![(0, old, Some(new))];
    let mut bytes = 0;
    while let Some((depth_bytes, old, new)) = folders.pop() {
        let mut others = HashMap::new();
        if let Some(old) = old {
            others
                .extend(git.git.find_tree(old)?.iter().map(|e| (e.name_bytes().to_vec(), (e.id(), e.filemode_raw()))));
        }
        let mut changed = |name: &[u8], old: Option<(Oid, i32)>, new: Option<(Oid, i32)>| {
            let path_bytes = depth_bytes + name.len() as u64;
            let folder =
                |side: Option<(Oid, i32)>| side.filter(|s| EntryKind::of(s.1) == EntryKind::Folder).map(|s| s.0);
            let (old_folder, new_folder) = (folder(old), folder(new));
            if old_folder.is_some() || new_folder.is_some() {
                folders.push((path_bytes + 1, old_folder, new_folder));
            }
            bytes += path_bytes + ENTRY_BYTES_MIN;
            bytes <= max
        };
        if let Some(new) = new {
            for entry in &git.git.find_tree(new)? {
                let (name, side) = (entry.name_bytes(), (entry.id(), entry.filemode_raw()));
                let other = others.remove(name);
                if other != Some(side) && !changed(name, other, Some(side)) {
                    return Ok(bytes);
                }
            }
        }
        for (name, side) in others {
            if !changed(&name, Some(side), None) {
                return Ok(bytes);
            }
        }
    }
    Ok(bytes)
}

fn options(git: &Opened) -> DiffOptions {
    let mut options = DiffOptions::new();
    options
        .context_lines(git.settings.context_lines)
        .indent_heuristic(true)
        .id_abbrev(WHOLE_ID)
        .old_prefix("a/")
        .new_prefix("b/")
        .max_size(i64::try_from(git.settings.file_bytes_max).unwrap_or(i64::MAX));
    options
}

/// First the files that moved as they are, if there are many: then what is left may be few enough to be compared.
fn find_renames(diff: &mut git2::Diff<'_>) -> Result<(), git2::Error> {
    let (added, removed) = unmatched(diff);
    if added.saturating_mul(removed) > SIMILAR_PAIRS_MAX {
        let mut equal = DiffFindOptions::new();
        equal.renames(true).exact_match_only(true).rename_limit((EQUAL_PAIRS_MAX / added).clamp(1, removed));
        diff.find_similar(Some(&mut equal))?;
    }
    let (added, removed) = unmatched(diff);
    if added.saturating_mul(removed) <= SIMILAR_PAIRS_MAX {
        let mut similar = DiffFindOptions::new();
        diff.find_similar(Some(similar.renames(true).rename_limit(removed.max(1))))?;
    }
    Ok(())
}

/// How many files were added, and how many removed.
fn unmatched(diff: &git2::Diff<'_>) -> (usize, usize) {
    let count = |status| diff.deltas().filter(|d| d.status() == status).count();
    (count(Delta::Added), count(Delta::Deleted))
}

/// Writes the patch as git does, where libgit2 writes it a little differently (see [`header`]).
fn write(diff: &git2::Diff<'_>, max: u64) -> Result<Bytes, ForgeError> {
    let mut out = Vec::new();
    // libgit2 gives a file's header before it is known whether a hunk follows.
    let mut waiting: Option<Vec<u8>> = None;
    let printed = diff.print(DiffFormat::Patch, |_, _, line| {
        let content = line.content();
        match line.origin_value() {
            DiffLineType::FileHeader => {
                if let Some(before) = waiting.replace(content.to_vec()) {
                    header(&mut out, &before, false);
                }
            }
            origin => {
                if let Some(before) = waiting.take() {
                    header(&mut out, &before, origin == DiffLineType::HunkHeader);
                }
                if matches!(origin, DiffLineType::Addition | DiffLineType::Deletion | DiffLineType::Context) {
                    out.push(line.origin() as u8);
                }
                out.extend_from_slice(content);
            }
        }
        out.len() as u64 <= max
    });
    if let Some(before) = waiting {
        header(&mut out, &before, false);
    }
    match printed {
        _ if out.len() as u64 > max => Err(Opened::too_large(out.len() as u64, max)),
        Err(e) => Err(unavailable("writing the diff")(e)),
        Ok(()) => Ok(out.into()),
    }
}

/// Three things differ from git: it writes modes before the similarity, leaves out `---` and `+++` where no hunk follows
/// (an empty file), and ends a path with spaces in it by a tab, as GNU diff does.
fn header(out: &mut Vec<u8>, header: &[u8], hunks: bool) {
    let is_mode = |line: &&[u8]| line.starts_with(b"old mode ") || line.starts_with(b"new mode ");
    let is_path = |line: &&[u8]| line.starts_with(b"--- ") || line.starts_with(b"+++ ");
    let lines = || header.split_inclusive(|b| *b == b'\n');
    let first = lines().take(1);
    let modes = lines().skip(1).filter(is_mode);
    let others = lines().skip(1).filter(|l| !is_mode(l) && (hunks || !is_path(l)));
    for line in first.chain(modes).chain(others) {
        match line.strip_suffix(b"\n") {
            Some(path) if is_path(&path) && !path.ends_with(b"\"") && path[4..].contains(&b' ') => {
                out.extend_from_slice(path);
                out.extend_from_slice(b"\t\n");
            }
            _ => out.extend_from_slice(line),
        }
    }
}

use bytes::Bytes;
use git2::{ObjectType, Oid};

use super::{Opened, unavailable};
use crate::{CommitId, ForgeError, TreeFile, diff::RepoPath};

/// Bytes of a tree's listing, about half a million files. Also what ends the walk of a tree that refers to one folder again
/// and again, and so names more files than any disk holds.
const LISTING_BYTES_MAX: u64 = 64 << 20;
/// What an entry costs beside its path.
const ENTRY_BYTES: u64 = 64;

/// What kind of thing a tree's entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    Folder,
    File,
    /// A link or a submodule.
    Other,
}

impl EntryKind {
    /// By the file type in git's mode bits.
    pub(super) fn of(mode: i32) -> Self {
        match mode & 0o170_000 {
            0o040_000 => Self::Folder,
            0o100_000 => Self::File,
            _ => Self::Other,
        }
    }
}

pub(super) fn file(git: &Opened, at: &CommitId, path: &RepoPath) -> Result<Option<Bytes>, ForgeError> {
    let reading = |e| unavailable("reading a tree")(e);
    let mut tree = git.commit(at)?.tree().map_err(reading)?;
    let mut parts = path.as_bytes().split(|b| *b == b'/').peekable();
    while let Some(part) = parts.next() {
        let Some((id, mode)) = tree.get_name_bytes(part).map(|e| (e.id(), e.filemode_raw())) else { return Ok(None) };
        match (EntryKind::of(mode), parts.peek().is_some()) {
            (EntryKind::Folder, true) => tree = git.git.find_tree(id).map_err(reading)?,
            (EntryKind::File, false) => return content(git, id).map(Some),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn content(git: &Opened, id: Oid) -> Result<Bytes, ForgeError> {
    let reading = |e| unavailable("reading a file")(e);
    let odb = git.git.odb().map_err(reading)?;
    let bytes = odb.read_header(id).map_err(reading)?.0 as u64;
    if bytes > git.settings.file_bytes_max {
        return Err(Opened::too_large(bytes, git.settings.file_bytes_max));
    }
    Ok(Bytes::copy_from_slice(odb.read(id).map_err(reading)?.data()))
}

pub(super) fn files(git: &Opened, at: &CommitId) -> Result<Vec<TreeFile>, ForgeError> {
    let reading = |e| unavailable("reading a tree")(e);
    let odb = git.git.odb().map_err(reading)?;
    let mut folders = vec![(Vec::new(), git.commit(at)?.tree_id())];
    let (mut files, mut listing_bytes) = (Vec::new(), 0);
    while let Some((prefix, id)) = folders.pop() {
        let tree = git.git.find_tree(id).map_err(reading)?;
        for entry in &tree {
            let path: Vec<u8> = [prefix.as_slice(), entry.name_bytes()].concat();
            listing_bytes += path.len() as u64 + ENTRY_BYTES;
            if listing_bytes > LISTING_BYTES_MAX {
                return Err(Opened::too_large(listing_bytes, LISTING_BYTES_MAX));
            }
            match EntryKind::of(entry.filemode_raw()) {
                EntryKind::Folder => folders.push(([path.as_slice(), b"/"].concat(), entry.id())),
                EntryKind::File => {
                    let (bytes, kind) = odb.read_header(entry.id()).map_err(reading)?;
                    if kind == ObjectType::Blob {
                        let content_id = entry.id().to_string();
                        files.push(TreeFile { path: RepoPath::new(path), content_id, bytes: bytes as u64 });
                    }
                }
                EntryKind::Other => {}
            }
        }
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

use super::{FileStatus, RepoPath, quoted::unquote};

/// Longest path, in bytes: `PATH_MAX` of the systems that git runs on.
pub(super) const PATH_BYTES_MAX: usize = 4096;

const SUBMODULE_MODE: &[u8] = b"160000";

/// What the lines between `diff --git` and the first hunk say of a file.
#[derive(Default)]
pub(super) struct Header {
    status: Option<FileStatus>,
    moved_from: Option<RepoPath>,
    moved_to: Option<RepoPath>,
    old: Side,
    new: Side,
    pub(super) binary: bool,
    pub(super) submodule: bool,
}

/// What a `---` or `+++` line names.
#[derive(Default, PartialEq, Eq)]
enum Side {
    #[default]
    Unsaid,
    Nothing,
    Path(RepoPath),
}

/// A file's two paths and what happened to it.
pub(super) type Paths = (Option<RepoPath>, Option<RepoPath>, FileStatus);

impl Header {
    /// Takes a line of the header; `false` when it is none.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<bool, &'static str> {
        let is = |prefix: &str| line.strip_prefix(prefix.as_bytes());
        if let Some(mode) = is("old mode ").or_else(|| is("new mode ")) {
            self.mode(mode)?;
        } else if let Some(mode) = is("new file mode ") {
            self.status(FileStatus::Added)?;
            self.mode(mode)?;
        } else if let Some(mode) = is("deleted file mode ") {
            self.status(FileStatus::Deleted)?;
            self.mode(mode)?;
        } else if let Some(from) = is("rename from ") {
            self.status(FileStatus::Renamed)?;
            self.moved_from = Some(whole_path(from)?);
        } else if let Some(from) = is("copy from ") {
            self.status(FileStatus::Copied)?;
            self.moved_from = Some(whole_path(from)?);
        } else if let Some(to) = is("rename to ").or_else(|| is("copy to ")) {
            if self.moved_to.replace(whole_path(to)?).is_some() {
                return Err("a file is moved to two places");
            }
        } else if let Some(ids) = is("index ") {
            self.submodule |= ids.ends_with(b" 160000");
        } else if let Some(path) = is("--- ") {
            self.old = once(&self.old, side(path, b"a/")?)?;
        } else if let Some(path) = is("+++ ") {
            self.new = once(&self.new, side(path, b"b/")?)?;
        } else if is("Binary files ").is_some_and(|l| l.ends_with(b" differ")) {
            self.binary = true;
        } else {
            return Ok(is("similarity index ").or_else(|| is("dissimilarity index ")).is_some());
        }
        Ok(true)
    }

    fn status(&mut self, status: FileStatus) -> Result<(), &'static str> {
        match self.status.replace(status) {
            None => Ok(()),
            Some(_) => Err("a file's header says twice what happened to it"),
        }
    }

    fn mode(&mut self, mode: &[u8]) -> Result<(), &'static str> {
        if mode.len() != SUBMODULE_MODE.len() || !mode.iter().all(|b| (b'0'..=b'7').contains(b)) {
            return Err("a file's mode is not of six octal digits");
        }
        self.submodule |= mode == SUBMODULE_MODE;
        Ok(())
    }

    /// Whether `---` and `+++` were read, so that hunks may follow.
    pub(super) fn has_sides(&self) -> bool {
        self.old != Side::Unsaid && self.new != Side::Unsaid
    }

    /// The paths, from the lines that name them without doubt: those of a move, then `---` and `+++`. The names behind
    /// `diff --git` are parted by a blank that may also stand within them, so that they serve only when both are equal.
    pub(super) fn paths(self, names: &[u8]) -> Result<Paths, &'static str> {
        let (old, new) = match (self.moved_from, self.moved_to) {
            (Some(from), Some(to)) => return Ok((Some(from), Some(to), self.status.unwrap_or(FileStatus::Renamed))),
            (None, None) => (self.old, self.new),
            _ => return Err("a file is moved, but only one of its paths is named"),
        };
        let (old, new) = match (old, new) {
            (Side::Unsaid, Side::Unsaid) => {
                let path = same_name(names)?;
                (Side::Path(path.clone()), Side::Path(path))
            }
            (Side::Path(_), Side::Path(_)) if self.status == Some(FileStatus::Added) => {
                return Err("a new file has a path before");
            }
            (Side::Path(_), Side::Path(_)) if self.status == Some(FileStatus::Deleted) => {
                return Err("a deleted file has a path after");
            }
            (Side::Path(old), Side::Path(new)) if old != new => {
                return Err("a file has two paths, but its header tells of no move");
            }
            sides => sides,
        };
        resolve(old, new, self.status)
    }
}

fn resolve(old: Side, new: Side, status: Option<FileStatus>) -> Result<Paths, &'static str> {
    match (old, new, status) {
        (Side::Nothing | Side::Path(_), Side::Path(path), Some(FileStatus::Added))
        | (Side::Nothing, Side::Path(path), None) => Ok((None, Some(path), FileStatus::Added)),
        (Side::Path(path), Side::Nothing | Side::Path(_), Some(FileStatus::Deleted))
        | (Side::Path(path), Side::Nothing, None) => Ok((Some(path), None, FileStatus::Deleted)),
        (Side::Path(old), Side::Path(new), None) => Ok((Some(old), Some(new), FileStatus::Modified)),
        (Side::Unsaid, ..) | (_, Side::Unsaid, _) => Err("only one of --- and +++ is there"),
        _ => Err("a file's paths and what happened to it do not agree"),
    }
}

/// The paths of a file that has no `diff --git` line. Without git there need be no `a/` and `b/`.
pub(super) fn plain_paths(old: &[u8], new: &[u8]) -> Result<Paths, &'static str> {
    let (bare_old, bare_new) = (name(old)?, name(new)?);
    let prefixed = |name: &Option<Vec<u8>>, prefix: &[u8]| name.as_ref().is_none_or(|n| n.starts_with(prefix));
    let cut = if prefixed(&bare_old, b"a/") && prefixed(&bare_new, b"b/") { 2 } else { 0 };
    let to_side = |name: Option<Vec<u8>>| match name {
        None => Ok(Side::Nothing),
        Some(n) => path(n[cut..].to_vec()).map(Side::Path),
    };
    resolve(to_side(bare_old)?, to_side(bare_new)?, None)
}

fn once(before: &Side, now: Side) -> Result<Side, &'static str> {
    if *before == Side::Unsaid { Ok(now) } else { Err("a file's header names one side twice") }
}

fn side(text: &[u8], prefix: &[u8]) -> Result<Side, &'static str> {
    match name(text)? {
        None => Ok(Side::Nothing),
        Some(name) => unprefixed(&name, prefix).map(Side::Path),
    }
}

/// A name behind `---` or `+++`; `None` for `/dev/null`. Git puts a tab behind a name with blanks, `diff` a tab and a
/// time; a tab within a name is always quoted.
fn name(text: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    if text.starts_with(b"\"") {
        let (name, rest) = unquote(text)?;
        return if rest.is_empty() || rest.starts_with(b"\t") { Ok(Some(name)) } else { Err(BEHIND_QUOTE) };
    }
    let name = text.split(|b| *b == b'\t').next().unwrap_or(text);
    Ok((name != b"/dev/null").then(|| name.to_vec()))
}

const BEHIND_QUOTE: &str = "text behind a quoted path";

/// A path that takes up the rest of its line.
fn whole_path(text: &[u8]) -> Result<RepoPath, &'static str> {
    if !text.starts_with(b"\"") {
        return path(text.to_vec());
    }
    match unquote(text)? {
        (name, []) => path(name),
        _ => Err(BEHIND_QUOTE),
    }
}

/// The path in `a/PATH b/PATH`. With equal paths the middle is known by length alone, whatever the path holds.
fn same_name(names: &[u8]) -> Result<RepoPath, &'static str> {
    const DIFFERENT: &str = "the paths of a file that is not moved differ";
    if names.starts_with(b"\"") {
        let (old, rest) = unquote(names)?;
        let (new, rest) = unquote(rest.strip_prefix(b" ").ok_or(BEHIND_QUOTE)?)?;
        let (old, new) = (unprefixed(&old, b"a/")?, unprefixed(&new, b"b/")?);
        return if old == new && rest.is_empty() { Ok(new) } else { Err(DIFFERENT) };
    }
    let (old, rest) = names.split_at(names.len() / 2);
    let new = rest.strip_prefix(b" ").ok_or(DIFFERENT)?;
    let (old, new) = (unprefixed(old, b"a/")?, unprefixed(new, b"b/")?);
    if old == new { Ok(new) } else { Err(DIFFERENT) }
}

fn unprefixed(name: &[u8], prefix: &[u8]) -> Result<RepoPath, &'static str> {
    path(name.strip_prefix(prefix).ok_or("a path without git's prefix a/ or b/")?.to_vec())
}

fn path(name: Vec<u8>) -> Result<RepoPath, &'static str> {
    if name.is_empty() {
        Err("a path is empty")
    } else if name.len() > PATH_BYTES_MAX {
        Err("a path is longer than 4096 bytes")
    } else if name.contains(&0) {
        Err("a path holds a zero byte")
    } else {
        Ok(RepoPath::new(name))
    }
}

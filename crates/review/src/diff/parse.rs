use bytes::Bytes;

use super::{
    Diff, DiffError, FileDiff, Hunk,
    cursor::Cursor,
    header::{Header, plain_paths},
    hunk::{self, Sides},
};

/// What one diff may hold. The text is bounded by its ranges' width, the rest by the memory that its parsed form takes.
#[derive(Clone, Copy)]
struct Limits {
    bytes: usize,
    files: usize,
    lines: usize,
}

/// 4 GiB less one byte, so that `u32` ranges reach everywhere; a hundred thousand files, more than any forge shows; ten
/// million lines, 240 MB when parsed.
const LIMITS: Limits = Limits { bytes: u32::MAX as usize, files: 100_000, lines: 10_000_000 };

const COMBINED: &str = "a combined diff of a merge: only diffs of two sides can be read";

impl Diff {
    /// Reads a unified diff as git, GitHub and libgit2 write it: any bytes, LF or CRLF. Text before the first file is
    /// passed over, an empty diff has no files. What cannot be understood is an error with its line: no file and no
    /// line is ever left out. Paths carry git's prefixes `a/` and `b/`. At most 4 GiB, 100,000 files and ten million
    /// lines of hunks.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, DiffError> {
        Self::parse_within(raw.into(), LIMITS)
    }

    fn parse_within(raw: Bytes, limits: Limits) -> Result<Self, DiffError> {
        if raw.len() > limits.bytes {
            return Err(DiffError { line: 1, what: "the diff has 4 GiB or more" });
        }
        let mut parser = Parser { at: Cursor::new(&raw), lines_left: limits.lines, git: false };
        let files = parser.files(limits.files)?;
        Ok(Self { raw, files })
    }
}

struct Parser<'a> {
    at: Cursor<'a>,
    lines_left: usize,
    /// Whether a `diff --git` was seen: then no file goes without.
    git: bool,
}

impl<'a> Parser<'a> {
    fn files(&mut self, files_max: usize) -> Result<Vec<FileDiff>, DiffError> {
        let mut files = Vec::new();
        let prose = self.preamble()?;
        while let Some(line) = self.at.line() {
            if files.len() == files_max {
                return self.at.fail("too many files");
            }
            if let Some(names) = line.strip_prefix(b"diff --git ") {
                if !self.git && !files.is_empty() {
                    return self.at.fail("diff --git behind a file that has none");
                }
                files.push(self.git_file(names)?);
            } else if let Some((old, new)) = self.plain_header() {
                files.push(self.plain_file(old, new)?);
            } else if line.is_empty() {
                self.at.advance();
            } else if line.starts_with(b"From ") || self.signature() {
                self.preamble()?;
            } else {
                return self.at.fail(unexpected(line));
            }
        }
        if prose && files.is_empty() {
            return Err(DiffError { line: 1, what: "no file's diff in this text" });
        }
        Ok(files)
    }

    /// Passes over what stands before a patch's first file: a mail's header, a message, a statistic. Says whether there
    /// was any.
    fn preamble(&mut self) -> Result<bool, DiffError> {
        let mut prose = false;
        while let Some(line) = self.at.line() {
            if line.starts_with(b"diff --git ") || self.plain_header().is_some() {
                break;
            }
            if is_combined(line) {
                return self.at.fail(COMBINED);
            }
            if line.starts_with(b"@@ -") {
                return self.at.fail("a hunk without its file's header");
            }
            prose |= !line.is_empty();
            self.at.advance();
        }
        Ok(prose)
    }

    /// Takes the signature that ends a mailed patch (`-- `, git's version, blank lines). A removed line that looks the
    /// same but has more lines of a hunk behind it is none.
    fn signature(&mut self) -> bool {
        let mut ahead = self.at;
        if ahead.line() != Some(b"-- ") {
            return false;
        }
        ahead.advance();
        if ahead.line().is_some_and(|l| l.first().is_some_and(u8::is_ascii_alphanumeric)) {
            ahead.advance();
        }
        while ahead.line().is_some_and(<[u8]>::is_empty) {
            ahead.advance();
        }
        let ends = ahead.line().is_none_or(|l| l.starts_with(b"From "));
        if ends {
            self.at = ahead;
        }
        ends
    }

    fn git_file(&mut self, names: &[u8]) -> Result<FileDiff, DiffError> {
        let first = self.at;
        self.git = true;
        self.at.advance();
        let mut header = Header::default();
        while let Some(line) = self.at.line() {
            if !header.take(line).map_err(|what| self.at.error(what))? {
                break;
            }
            self.at.advance();
        }
        if self.at.line() == Some(b"GIT binary patch") {
            self.binary_patch()?;
            header.binary = true;
        }
        let hunks = if header.has_sides() && !header.binary { self.hunks()? } else { Vec::new() };
        let (binary, submodule) = (header.binary, header.submodule);
        let (old_path, new_path, status) = header.paths(names).map_err(|what| first.error(what))?;
        Ok(FileDiff { old_path, new_path, status, binary, submodule, hunks })
    }

    /// Both names of a file that begins with `---` alone. Only in a diff without `diff --git`, and only with a hunk
    /// behind it, since two such lines may as well be prose.
    fn plain_header(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.git {
            return None;
        }
        let mut ahead = self.at;
        let old = ahead.line()?.strip_prefix(b"--- ")?;
        ahead.advance();
        let new = ahead.line()?.strip_prefix(b"+++ ")?;
        ahead.advance();
        ahead.line()?.starts_with(b"@@ -").then_some((old, new))
    }

    fn plain_file(&mut self, old: &[u8], new: &[u8]) -> Result<FileDiff, DiffError> {
        let (old_path, new_path, status) = plain_paths(old, new).map_err(|what| self.at.error(what))?;
        self.at.advance();
        self.at.advance();
        Ok(FileDiff { old_path, new_path, status, binary: false, submodule: false, hunks: self.hunks()? })
    }

    fn hunks(&mut self) -> Result<Vec<Hunk>, DiffError> {
        let (mut hunks, mut sides) = (Vec::new(), Sides::default());
        while self.at.line().is_some_and(|l| l.starts_with(b"@@ ")) {
            hunks.push(hunk::read(&mut self.at, &mut sides, &mut self.lines_left)?);
        }
        Ok(hunks)
    }

    /// Takes the one or two blocks of a binary patch: a size, lines in base 85 (a letter for the length, never a blank),
    /// an empty line.
    fn binary_patch(&mut self) -> Result<(), DiffError> {
        self.at.advance();
        let mut blocks = 0;
        while self.at.line().is_some_and(|l| l.starts_with(b"literal ") || l.starts_with(b"delta ")) {
            self.at.advance();
            while let Some(data) = self.at.line().filter(|l| !l.is_empty()) {
                if !data[0].is_ascii_alphabetic() || data.contains(&b' ') {
                    return self.at.fail("a binary patch holds a line that is not base 85");
                }
                self.at.advance();
            }
            if self.at.line().is_none() {
                return self.at.fail("the diff ends within a binary patch");
            }
            self.at.advance();
            blocks += 1;
        }
        if (1..=2).contains(&blocks) { Ok(()) } else { self.at.fail("a binary patch has not one or two blocks") }
    }
}

fn is_combined(line: &[u8]) -> bool {
    [&b"diff --cc "[..], b"diff --combined ", b"@@@ "].iter().any(|p| line.starts_with(p))
}

fn unexpected(line: &[u8]) -> &'static str {
    if is_combined(line) {
        return COMBINED;
    }
    match line.first() {
        Some(b'+' | b'-' | b' ') => "more lines than the hunk's header counts, or a line outside any hunk",
        Some(b'@') => "a hunk without its file's header",
        _ => "neither a file's header nor a hunk",
    }
}

#[cfg(test)]
mod libgit2;
#[cfg(test)]
mod tests;

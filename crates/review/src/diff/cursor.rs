use std::ops::Range;

use super::DiffError;

/// Walks over the lines of a diff, one at a time, without copying them.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    raw: &'a [u8],
    /// Where the current line begins.
    start: usize,
    /// Where the next one begins.
    next: usize,
    /// The current line's number, from 1.
    number: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        let mut cursor = Self { raw, start: 0, next: 0, number: 1 };
        cursor.find_end();
        cursor
    }

    /// The current line without its end, be it LF or CRLF; `None` behind the last one. Git quotes a path that ends in a
    /// carriage return, so that leaving it out changes no path.
    pub(super) fn line(&self) -> Option<&'a [u8]> {
        if self.start == self.raw.len() {
            return None;
        }
        let line = &self.raw[self.start..self.next];
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    pub(super) fn advance(&mut self) {
        self.start = self.next;
        self.number += 1;
        self.find_end();
    }

    /// Where a line's part stands in the diff. The diff is at most `u32::MAX` bytes long, so that nothing is cut off.
    pub(super) fn range(&self, from: usize, line: &[u8]) -> Range<u32> {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        offset(self.start + from)..offset(self.start + line.len().max(from))
    }

    /// An error at the current line.
    pub(super) fn fail<T>(&self, what: &'static str) -> Result<T, DiffError> {
        Err(self.error(what))
    }

    pub(super) fn error(&self, what: &'static str) -> DiffError {
        DiffError { line: self.number, what }
    }

    fn find_end(&mut self) {
        self.next = memchr::memchr(b'\n', &self.raw[self.start..]).map_or(self.raw.len(), |i| self.start + i + 1);
    }
}

//! What a rule looks at: the new side of one file's hunks, with code told from text and comments.

use std::{borrow::Cow, cell::OnceCell};

use super::{
    language::Language,
    lexer::{Class, Lexer},
};
use crate::{
    diff::{Diff, FileDiff, FileStatus, Hunk, LineKind, RepoPath},
    secrets::SecretKind,
};

/// What is read of one line. A longer line is machine-made, and nobody reviews it.
const MAX_LINE_BYTES: usize = 2_000;

/// What a file is for, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// What is shipped.
    Product,
    /// Tests.
    Test,
    /// Fixtures, examples, benchmarks: code that shows something and may do so on purpose.
    Sample,
}

/// One file of a diff, as far as the diff shows its new side.
pub(super) struct SourceFile<'d> {
    pub(super) path: &'d RepoPath,
    pub(super) language: Option<Language>,
    pub(super) role: Role,
    /// Whether all of the file is visible.
    pub(super) is_new: bool,
    /// Added lines and those around them, top down.
    pub(super) lines: Vec<SourceLine<'d>>,
    /// Kind and line of each secret, once a rule has asked.
    pub(super) secrets: OnceCell<Vec<(SecretKind, usize)>>,
}

/// One line of the new side.
pub(super) struct SourceLine<'d> {
    pub(super) number: u32,
    pub(super) hunk: usize,
    pub(super) is_added: bool,
    /// Whether it stands in a module of tests.
    pub(super) in_tests: bool,
    /// As it is.
    pub(super) raw: Cow<'d, str>,
    /// With texts and comments blanked; as long as `raw`, like the next two.
    pub(super) code: String,
    /// With comments blanked.
    pub(super) uncommented: String,
    /// With code and texts blanked; empty when it has no comment.
    pub(super) comment: String,
}

/// A line that a rule judges, with its surroundings.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) file: &'a SourceFile<'a>,
    pub(super) index: usize,
}

impl<'d> SourceFile<'d> {
    pub(super) fn new(diff: &'d Diff, file: &'d FileDiff) -> Self {
        let language = Language::of(file.path());
        let mut lines = Vec::new();
        for (index, hunk) in file.hunks.iter().enumerate() {
            read_hunk(diff, hunk, index, language, &mut lines);
        }
        Self {
            path: file.path(),
            language,
            role: Role::of(file.path()),
            is_new: file.status == FileStatus::Added,
            lines,
            secrets: OnceCell::new(),
        }
    }

    pub(super) fn sites(&self) -> impl Iterator<Item = Site<'_>> {
        (0..self.lines.len()).map(|index| Site { file: self, index })
    }

    /// Whether any visible line of code, texts included, has this in it.
    pub(super) fn shows(&self, text: &str) -> bool {
        self.lines.iter().any(|l| l.uncommented.contains(text))
    }
}

fn read_hunk<'d>(
    diff: &'d Diff,
    hunk: &Hunk,
    index: usize,
    language: Option<Language>,
    into: &mut Vec<SourceLine<'d>>,
) {
    let new_side = hunk.lines.iter().filter(|l| l.kind != LineKind::Removed);
    let texts: Vec<(_, Cow<'d, str>)> = new_side.map(|l| (l, shortened(diff.text(l)))).collect();
    let mut lexer = language.map(|l| match hunk.new_start {
        0 | 1 => Lexer::for_file(l),
        _ => Lexer::for_hunk(l, texts.iter().map(|(_, t)| t.as_ref())),
    });
    let is_rust = language == Some(Language::Rust);
    let mut in_tests = is_rust && opens_tests(&diff.section(hunk));
    for (line, raw) in texts {
        in_tests = is_rust && (in_tests || opens_tests(&raw));
        let classes = lexer.as_mut().map(|l| l.classify(raw.as_bytes())).unwrap_or_default();
        let has_comment = classes.contains(&Class::Comment);
        into.push(SourceLine {
            number: line.new,
            hunk: index,
            is_added: line.kind == LineKind::Added,
            in_tests,
            code: blank(&raw, &classes, |c| c == Class::Code),
            uncommented: blank(&raw, &classes, |c| c != Class::Comment),
            comment: if has_comment { blank(&raw, &classes, |c| c == Class::Comment) } else { String::new() },
            raw,
        });
        // A module of tests ends with the brace in the first column.
        in_tests = in_tests && into.last().is_none_or(|l| l.raw != "}");
    }
}

/// The bytes of the wanted classes; a space for each of the others, so that offsets stay.
fn blank(raw: &str, classes: &[Class], wanted: impl Fn(Class) -> bool) -> String {
    // No classes: a file of no language, whose rules see the raw line only.
    if classes.is_empty() {
        return String::new();
    }
    let mut out = String::with_capacity(raw.len());
    for (at, char) in raw.char_indices() {
        if wanted(classes[at]) {
            out.push(char);
        } else {
            out.extend(std::iter::repeat_n(' ', char.len_utf8()));
        }
    }
    out
}

fn shortened(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= MAX_LINE_BYTES {
        return text;
    }
    let end = text.floor_char_boundary(MAX_LINE_BYTES);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(text) => Cow::Owned(text[..end].to_owned()),
    }
}

fn opens_tests(line: &str) -> bool {
    line.starts_with("#[cfg(test)]") || line.starts_with("mod tests") || line.starts_with("mod test ")
}

impl<'a> Site<'a> {
    pub(super) fn line(self) -> &'a SourceLine<'a> {
        &self.file.lines[self.index]
    }

    /// Whether the line is part of tests or of samples.
    pub(super) fn in_tests(self) -> bool {
        self.file.role != Role::Product || self.line().in_tests
    }

    /// Up to `count` visible lines of the same hunk before this one, nearest first.
    pub(super) fn above(self, count: usize) -> impl Iterator<Item = &'a SourceLine<'a>> {
        let hunk = self.line().hunk;
        self.file.lines[..self.index].iter().rev().take(count).take_while(move |l| l.hunk == hunk)
    }

    /// Up to `count` visible lines of the same hunk behind this one, nearest first.
    pub(super) fn below(self, count: usize) -> impl Iterator<Item = &'a SourceLine<'a>> {
        let hunk = self.line().hunk;
        self.file.lines[self.index + 1..].iter().take(count).take_while(move |l| l.hunk == hunk)
    }

    /// This line and up to `count` on both sides.
    pub(super) fn around(self, count: usize) -> impl Iterator<Item = &'a SourceLine<'a>> {
        self.above(count).chain([self.line()]).chain(self.below(count))
    }

    /// The next visible line of code, when no comment stands before it.
    pub(super) fn next_code(self) -> Option<&'a SourceLine<'a>> {
        self.below(usize::MAX).find(|l| !l.raw.trim().is_empty()).filter(|l| l.comment.is_empty())
    }

    /// The nearest lines above that are indented less and less: what the line stands in.
    pub(super) fn enclosing(self) -> impl Iterator<Item = &'a SourceLine<'a>> {
        let mut indent = indent_of(&self.line().raw);
        self.above(usize::MAX).filter(|l| !l.raw.trim().is_empty()).filter(move |l| {
            let less = indent_of(&l.raw) < indent;
            if less {
                indent = indent_of(&l.raw);
            }
            less
        })
    }
}

pub(super) fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

impl Role {
    pub(super) fn of(path: &RepoPath) -> Self {
        let path = path.display();
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let folders = folders.to_ascii_lowercase();
        let mut folders = folders.split('/').collect::<Vec<_>>().into_iter();
        let is_sample = |f: &str| {
            matches!(
                f,
                "fixtures"
                    | "fixture"
                    | "testdata"
                    | "test_data"
                    | "__fixtures__"
                    | "__mocks__"
                    | "__snapshots__"
                    | "benches"
                    | "bench"
                    | "benchmarks"
                    | "example"
                    | "examples"
                    | "sample"
                    | "samples"
                    | "demo"
                    | "demos"
                    | "mocks"
            )
        };
        let is_test = |f: &str| {
            matches!(f, "test" | "tests" | "__tests__" | "spec" | "specs" | "e2e" | "testing" | "cypress")
                || f.ends_with("-tests")
                || f.ends_with("_tests")
                || f.ends_with("-test")
        };
        if folders.clone().any(is_sample) {
            Self::Sample
        } else if folders.any(is_test) || is_test_name(name) {
            Self::Test
        } else {
            Self::Product
        }
    }
}

fn is_test_name(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let lower = stem.to_ascii_lowercase();
    lower.starts_with("test_")
        || matches!(lower.as_str(), "conftest" | "test" | "tests")
        || ["_test", "_tests", "_spec", ".test", ".tests", ".spec", "-test", ".e2e", ".cy"]
            .iter()
            .any(|end| lower.ends_with(end))
        // `FooTest.java`, but no `Latest.java`.
        || ["Test", "Tests", "TestCase", "Spec"].iter().any(|end| stem.ends_with(end))
}

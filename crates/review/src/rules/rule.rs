//! What a rule is: facts for people, where it applies, and what it looks for.

use regex::Regex;

use super::{
    language::Language,
    source::{Site, SourceFile},
};
use crate::{
    Severity,
    diff::{Diff, FileDiff},
};

/// What people may know of a built-in rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its name, in kebab-case, under which findings are recorded.
    pub id: &'static str,
    /// What was found, in one line.
    pub title: &'static str,
    /// How much a finding matters.
    pub severity: Severity,
    /// Why it matters and what to do instead.
    pub reason: &'static str,
}

/// A rule: data as far as possible, so that reading the table is reading the reviewer.
pub(super) struct Rule {
    pub(super) info: RuleInfo,
    pub(super) scope: Scope,
    pub(super) check: Check,
}

/// Where a rule applies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Everywhere,
    /// Not in tests, fixtures, examples and benchmarks, which may do on purpose what a product must not.
    Product,
}

/// How a rule finds.
pub(super) enum Check {
    /// By patterns over each added line.
    Lines(&'static [Matcher]),
    /// By a look at the visible side of a reviewed file: the lines to comment on.
    Content(fn(&SourceFile<'_>) -> Vec<u32>),
    /// By what the diff says of any file, reviewed or not.
    Fact(fn(&Diff, &FileDiff) -> bool),
}

/// Which bytes of a line a pattern sees.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// Code, with texts and comments blanked.
    Code,
    /// Code and texts; a match must begin in code, so that a text that speaks of code is left alone.
    Texts,
    /// Comments only.
    Comment,
    /// Everything.
    Raw,
}

/// One pattern of a rule.
#[derive(Clone, Copy)]
pub(super) struct Matcher {
    /// For which languages; none means any file.
    pub(super) languages: &'static [Language],
    pub(super) view: View,
    pub(super) pattern: &'static str,
    /// What must not stand anywhere on the line.
    pub(super) unless: Option<&'static str>,
    /// What else must hold.
    pub(super) when: fn(Site<'_>) -> bool,
}

/// Sees code only.
pub(super) const fn code(languages: &'static [Language], pattern: &'static str) -> Matcher {
    matcher(languages, View::Code, pattern)
}

/// Sees code and texts.
pub(super) const fn texts(languages: &'static [Language], pattern: &'static str) -> Matcher {
    matcher(languages, View::Texts, pattern)
}

/// Sees comments only.
pub(super) const fn comment(languages: &'static [Language], pattern: &'static str) -> Matcher {
    matcher(languages, View::Comment, pattern)
}

/// Sees the whole line.
pub(super) const fn raw(languages: &'static [Language], pattern: &'static str) -> Matcher {
    matcher(languages, View::Raw, pattern)
}

const fn matcher(languages: &'static [Language], view: View, pattern: &'static str) -> Matcher {
    Matcher { languages, view, pattern, unless: None, when: always }
}

fn always(_: Site<'_>) -> bool {
    true
}

impl Matcher {
    pub(super) const fn unless(mut self, pattern: &'static str) -> Self {
        self.unless = Some(pattern);
        self
    }

    pub(super) const fn when(mut self, predicate: fn(Site<'_>) -> bool) -> Self {
        self.when = predicate;
        self
    }

    pub(super) fn speaks_of(&self, language: Option<Language>) -> bool {
        self.languages.is_empty() || language.is_some_and(|l| self.languages.contains(&l))
    }
}

/// Compiles a pattern of this module's own tables.
pub(super) fn compiled(pattern: &str) -> Regex {
    // Every pattern is a literal of this crate, and a test compiles them all.
    #[expect(clippy::expect_used, reason = "a test compiles every pattern")]
    Regex::new(pattern).expect("a built-in pattern is valid")
}

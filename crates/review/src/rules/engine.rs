//! Runs the rules over a file: one pass over its added lines for all patterns of its language together.

use std::sync::OnceLock;

use regex::{Regex, RegexSet, RegexSetBuilder};

use super::{
    THEMES,
    language::Language,
    rule::{Check, Matcher, Rule, Scope, View, compiled},
    source::{Site, SourceFile, SourceLine},
};

/// Room for the automaton that reads a line for all patterns at once; the default is too small for the larger
/// languages, and reading then falls back to a slower way.
const AUTOMATON_BYTES: usize = 16 << 20;

const VIEWS: [View; 4] = [View::Code, View::Texts, View::Comment, View::Raw];

/// By language; the first entry is for files of no language.
static COMPILED: [OnceLock<Vec<ViewPatterns>>; Language::ALL.len() + 1] =
    [const { OnceLock::new() }; Language::ALL.len() + 1];

/// The patterns of one language over one view.
struct ViewPatterns {
    view: View,
    set: RegexSet,
    /// In the set's order.
    members: Vec<Member>,
}

struct Member {
    rule: &'static Rule,
    matcher: &'static Matcher,
    /// Where the match begins matters for texts only.
    pattern: Option<Regex>,
    unless: Option<Regex>,
}

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    THEMES.iter().flat_map(|theme| theme.iter())
}

/// Calls back with each rule and line that match.
pub(super) fn check_lines(file: &SourceFile<'_>, mut found: impl FnMut(&'static Rule, u32)) {
    let patterns = COMPILED[file.language.map_or(0, |l| l as usize + 1)].get_or_init(|| compile(file.language));
    for site in file.sites().filter(|s| s.line().is_added) {
        let line = site.line();
        let in_tests = site.in_tests();
        for view in patterns {
            for index in view.set.matches(view.view.of(line)) {
                let member = &view.members[index];
                if !(in_tests && member.rule.scope == Scope::Product) && member.holds(site) {
                    found(member.rule, line.number);
                }
            }
        }
    }
}

fn compile(language: Option<Language>) -> Vec<ViewPatterns> {
    VIEWS.into_iter().map(|view| compile_view(language, view)).filter(|v| !v.members.is_empty()).collect()
}

fn compile_view(language: Option<Language>, view: View) -> ViewPatterns {
    let matchers = rules().filter_map(|rule| match rule.check {
        Check::Lines(matchers) => Some(matchers.iter().map(move |matcher| (rule, matcher))),
        _ => None,
    });
    let members: Vec<Member> = matchers
        .flatten()
        .filter(|(_, m)| m.view == view && m.speaks_of(language))
        .map(|(rule, matcher)| Member {
            rule,
            matcher,
            pattern: (view == View::Texts).then(|| compiled(matcher.pattern)),
            unless: matcher.unless.map(compiled),
        })
        .collect();
    // The same literals as above, and the same test.
    #[expect(clippy::expect_used, reason = "a test compiles every pattern")]
    let set = RegexSetBuilder::new(members.iter().map(|m| m.matcher.pattern))
        .dfa_size_limit(AUTOMATON_BYTES)
        .build()
        .expect("built-in patterns are valid");
    ViewPatterns { view, set, members }
}

impl Member {
    fn holds(&self, site: Site<'_>) -> bool {
        let line = site.line();
        let begins_in_code = |pattern: &Regex| {
            pattern.find_iter(&line.uncommented).any(|found| {
                let skipped = found.as_str().len() - found.as_str().trim_start().len();
                line.code.as_bytes().get(found.start() + skipped).is_some_and(|b| !b.is_ascii_whitespace())
            })
        };
        self.pattern.as_ref().is_none_or(begins_in_code)
            && self.unless.as_ref().is_none_or(|p| !p.is_match(&line.raw))
            && (self.matcher.when)(site)
    }
}

impl View {
    fn of<'a>(self, line: &'a SourceLine<'_>) -> &'a str {
        match self {
            Self::Code => &line.code,
            Self::Texts => &line.uncommented,
            Self::Comment => &line.comment,
            Self::Raw => &line.raw,
        }
    }
}

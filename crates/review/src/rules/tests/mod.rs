//! Every rule speaks up on its bad samples, and all are silent on the good ones.
//!
//! Samples are single literals with `\n` in them, so that each line of these files reads as what it is, a text, however a
//! diff cuts them. What would look like a secret is put together at run time.

mod limits;
mod operations;
mod product;
mod secret_samples;
mod security;

use super::{language::Language, *};
use crate::diff::Diff;

/// A rule, the file it looks at, samples that it must find, and samples on which every rule must be silent.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

fn cases() -> impl Iterator<Item = &'static Case> {
    product::CASES.iter().chain(security::CASES).chain(operations::CASES)
}

/// A diff that adds one file.
pub(super) fn added(path: &str, text: &str) -> Diff {
    let lines: Vec<String> = text.strip_suffix('\n').unwrap_or(text).split('\n').map(|l| format!("+{l}\n")).collect();
    parse(format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{} @@\n{}",
        lines.len(),
        lines.concat()
    ))
}

/// A diff with these lines, prefixes and all, somewhere in a file that is longer.
pub(super) fn changed(path: &str, section: &str, lines: &[&str]) -> Diff {
    let count = |sign: char| lines.iter().filter(|l| !l.starts_with(sign)).count();
    parse(format!(
        "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -50,{} +50,{} @@ {section}\n{}\n",
        count('+'),
        count('-'),
        lines.join("\n")
    ))
}

pub(super) fn parse(text: String) -> Diff {
    Diff::parse(text).unwrap()
}

/// Ids and lines of what is found, with every file reviewed.
pub(super) fn found(diff: &Diff) -> Vec<(String, Option<u32>)> {
    let all: Vec<usize> = (0..diff.files.len()).collect();
    review_by_rules(diff, &all).into_iter().map(|f| (id(&f), f.line)).collect()
}

pub(super) fn id(finding: &DraftFinding) -> String {
    match &finding.source {
        Source::Rule(id) => id.clone(),
        Source::Model(name) => panic!("{name} is no rule"),
    }
}

#[test]
fn every_rule_finds_its_bad_samples_and_nothing_else_in_them() {
    let missed: Vec<_> = cases()
        .flat_map(|(rule, path, bad, _)| bad.iter().map(move |sample| (rule, sample, found(&added(path, sample)))))
        .filter(|(rule, _, found)| found.len() != 1 || found[0].0 != **rule)
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn all_rules_are_silent_on_good_samples() {
    let wrong: Vec<_> = cases()
        .flat_map(|(_, path, _, good)| good.iter().map(move |sample| (path, sample, found(&added(path, sample)))))
        .filter(|(_, _, found)| !found.is_empty())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_sample_in_a_comment_or_a_text_is_no_finding() {
    for (rule, path, bad, _) in product::CASES.iter().chain(security::CASES) {
        let comment = match Language::of(&RepoPath::from(*path)) {
            Some(Language::Python | Language::Ruby) => "# ",
            Some(Language::Sql) => "-- ",
            _ => "// ",
        };
        if product::ABOUT_COMMENTS.contains(rule) {
            continue;
        }
        for sample in *bad {
            let quoted = format!("{comment}{}", sample.replace('\n', &format!("\n{comment}")));
            assert_eq!(found(&added(path, &quoted)), [], "{rule}");
        }
    }
}

#[test]
fn every_rule_has_samples_of_both_kinds() {
    for rule in RULES {
        let of_rule = || cases().filter(|(id, ..)| *id == rule.id);
        let is_covered =
            of_rule().any(|(_, _, bad, _)| !bad.is_empty()) && of_rule().any(|(.., good)| !good.is_empty());
        let elsewhere = secret_samples::COVERED.contains(&rule.id) || limits::COVERED.contains(&rule.id);
        assert!(is_covered || elsewhere, "{} has no samples", rule.id);
    }
    for (id, ..) in cases() {
        assert!(RULES.iter().any(|r| r.id == *id), "{id} is no rule");
    }
}

#[test]
fn every_rule_is_named_and_documented() {
    let ids: std::collections::HashSet<&str> = RULES.iter().map(|r| r.id).collect();
    assert_eq!(ids.len(), RULES.len());
    for rule in RULES {
        assert!(rule.id.split('-').all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase())), "{}", rule.id);
        assert!((10..=80).contains(&rule.title.len()) && !rule.title.ends_with('.'), "{}", rule.title);
        assert!((40..=300).contains(&rule.reason.len()) && rule.reason.ends_with('.'), "{}", rule.reason);
    }
}

#[test]
fn every_pattern_compiles() {
    for rule in engine::rules() {
        if let Check::Lines(matchers) = rule.check {
            for matcher in matchers {
                assert!(regex::Regex::new(matcher.pattern).is_ok(), "{}: {}", rule.info.id, matcher.pattern);
                assert!(matcher.unless.is_none_or(|p| regex::Regex::new(p).is_ok()), "{}", rule.info.id);
            }
        }
    }
}

//! Tests that no longer test.

use super::{
    language::Language::{CSharp, Go, Java, JavaScript, Kotlin, Python, Ruby, Rust},
    rule::{Check, Rule, RuleInfo, Scope, code, texts},
    source::{Role, Site},
};
use crate::{
    Severity,
    diff::{Diff, FileDiff, FileStatus},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "focused-test",
            title: "Only this test runs; all others are left out",
            severity: Severity::Major,
            reason: "A focused test turns the rest of its suite off without a trace in the result. Remove the focus.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[
            code(&[JavaScript], r"^\s*(?:describe|it|test|context|suite|specify)\.only(?:\.each)?\s*[(`]"),
            texts(&[JavaScript], r#"^\s*(?:fdescribe|fit|fcontext|ftest)\(\s*["'`]"#),
            texts(&[Ruby], r#"^\s*(?:fit|fdescribe|fcontext|fspecify)\s+["']"#),
            code(&[Ruby], r"^\s*(?:it|describe|context|scenario|feature)\b.*(?:,\s*:focus\b|\bfocus:\s*true)"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "disabled-test",
            title: "A test was turned off without a reason",
            severity: Severity::Minor,
            reason: "What it guarded is unguarded from now on, and nobody will know why. Mend it, delete it, or \
                     give the reason and the issue where it stands.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[
            code(&[Rust], r"^\s*#\[ignore\]").when(is_unexplained),
            texts(&[JavaScript], r#"^\s*(?:describe|it|test|context|suite)\.skip\(\s*["'`]"#).when(is_unexplained),
            texts(&[JavaScript], r#"^\s*(?:xit|xdescribe|xtest|xcontext)\(\s*["'`]"#).when(is_unexplained),
            code(&[Java, Kotlin], r"^\s*@(?:Disabled|Ignore)\s*(?:\(\s*\))?\s*$").when(is_unexplained),
            code(&[Python], r"^\s*@(?:pytest\.mark\.skip|unittest\.skip)\s*(?:\(\s*\))?\s*$").when(is_unexplained),
            code(&[Go], r"^\s*t\.Skip(?:Now)?\(\s*\)").when(|s| begins_go_test(s) && is_unexplained(s)),
            texts(&[Ruby], r#"^\s*(?:xit|xdescribe|xcontext)\s+["']"#).when(is_unexplained),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "empty-assertion",
            title: "An assertion that always holds",
            severity: Severity::Minor,
            reason: "The test passes whatever the code does. Assert what the code under test should have done.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[
            code(&[Rust], r"^\s*assert!\(\s*true\s*[,)]"),
            code(
                &[JavaScript],
                r"\bexpect\(\s*true\s*\)\.to(?:Be\(\s*true|BeTruthy\(|Equal\(\s*true|StrictEqual\(\s*true|\.be\.true)",
            ),
            code(&[Python], r"^\s*assert\s+True\s*(?:,.*)?$|^\s*self\.assertTrue\(\s*True\s*[,)]"),
            code(&[Java, Kotlin, CSharp], r"^\s*(?:Assert(?:ions)?\.)?(?:assertTrue|IsTrue|True)\(\s*true\s*[,)]"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "deleted-test",
            title: "A file of tests was deleted, and what it tested was not",
            severity: Severity::Minor,
            reason: "The change takes tests away without adding any. If the behaviour is still promised, keep them; \
                     if they moved or were wrong, say so in the description.",
        },
        scope: Scope::Everywhere,
        check: Check::Fact(deletes_tests),
    },
];

/// Whether no comment says why, on the line itself or right above it.
fn is_unexplained(site: Site<'_>) -> bool {
    site.line().comment.is_empty() && site.above(1).all(|l| l.comment.is_empty())
}

/// Whether the line is the first of its test: any other may depend on a condition.
fn begins_go_test(site: Site<'_>) -> bool {
    site.above(1)
        .any(|l| l.code.trim_end().ends_with('{') && (l.code.starts_with("func Test") || l.code.contains("t.Run(")))
}

fn is_test(file: &FileDiff) -> bool {
    !file.binary && super::language::Language::of(file.path()).is_some() && Role::of(file.path()) == Role::Test
}

/// A file that goes together with product code, or whose tests may have moved into another file of the change, is fine.
fn deletes_tests(diff: &Diff, file: &FileDiff) -> bool {
    let goes = |f: &FileDiff| f.status == FileStatus::Deleted;
    let language = |f: &FileDiff| super::language::Language::of(f.path());
    goes(file)
        && is_test(file)
        && !diff.files.iter().any(|other| {
            let is_product = !is_test(other) && language(other).is_some();
            (goes(other) && is_product) || (!goes(other) && is_test(other) && other.added().next().is_some())
        })
}

//! Continuous integration that runs what strangers send.

use super::{
    language::Language::Yaml,
    rule::{Check, Rule, RuleInfo, Scope, code, raw},
    source::{Site, indent_of},
};
use crate::Severity;

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "workflow-runs-foreign-code",
            title: "A stranger's code runs with this repository's secrets",
            severity: Severity::Critical,
            reason: "`pull_request_target` has secrets and a writing token, and the checkout takes the pull \
                     request's own code. Use `pull_request`, or do not check out its head.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[raw(
            &[Yaml],
            r"^\s*ref:\s*['\x22]?\$\{\{\s*(?:github\.event\.pull_request\.head\.(?:sha|ref)|github\.head_ref)\b",
        )
        .when(|site| is_workflow(site) && site.file.shows("pull_request_target"))]),
    },
    Rule {
        info: RuleInfo {
            id: "workflow-script-injection",
            title: "A stranger's text becomes part of a script",
            severity: Severity::Major,
            reason: "The title, body or branch name is pasted into the script before the shell reads it, so it can \
                     hold commands. Pass it through `env:` and use the variable.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[raw(
            &[Yaml],
            concat!(
                r"\$\{\{\s*(?:github\.head_ref",
                r"|github\.event\.(?:issue|pull_request|comment|review|discussion|head_commit)",
                r"\.(?:title|body|message|head\.ref|head\.label))\s*\}\}",
            ),
        )
        .when(|site| is_workflow(site) && is_script(site))]),
    },
    Rule {
        info: RuleInfo {
            id: "workflow-action-on-branch",
            title: "The action changes whenever its branch does",
            severity: Severity::Minor,
            reason: "Whoever can push to that branch runs code here, with this workflow's secrets. Pin a release \
                     or, better, a commit.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(
            &[Yaml],
            r"^\s*(?:-\s+)?uses:\s*['\x22]?[\w.-]+/[\w./-]+@(?:main|master|develop|HEAD)\b",
        )
        .when(is_workflow)]),
    },
    Rule {
        info: RuleInfo {
            id: "workflow-may-write-everything",
            title: "The workflow's token may change everything",
            severity: Severity::Minor,
            reason: "Any step, and any action that it uses, can push, release and publish. List the permissions \
                     that the job needs.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Yaml], r"^\s*permissions:\s*write-all\s*$").when(is_workflow)]),
    },
];

fn is_workflow(site: Site<'_>) -> bool {
    let path = site.file.path.display();
    path.starts_with(".github/workflows/") || path.ends_with("/action.yml") || path == "action.yml"
}

/// Whether the line belongs to a `run:` or `script:`, as far as the diff shows.
fn is_script(site: Site<'_>) -> bool {
    let opens_script = |line: &str| {
        let key = line.trim_start().trim_start_matches("- ").trim_start();
        key.starts_with("run:") || key.starts_with("script:")
    };
    let line = &site.line().raw;
    // The line that the block stands under is the nearest one that is indented less.
    opens_script(line)
        || site
            .above(usize::MAX)
            .find(|l| !l.raw.trim().is_empty() && indent_of(&l.raw) < indent_of(line))
            .is_some_and(|l| opens_script(&l.raw))
}

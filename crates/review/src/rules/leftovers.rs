//! What was meant to be gone before the review.

use super::{
    language::Language::{
        self, C, CSharp, Docker, Go, Java, JavaScript, Kotlin, Php, Python, Ruby, Rust, Shell, Sql, Terraform, Yaml,
    },
    rule::{Check, Rule, RuleInfo, Scope, code, comment, raw, texts},
    source::{Site, SourceFile},
};
use crate::Severity;

const COMMENTED: &[Language] =
    &[Rust, JavaScript, Python, Go, Java, Kotlin, C, CSharp, Ruby, Php, Shell, Sql, Yaml, Docker, Terraform];

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "merge-conflict-marker",
            title: "A merge conflict was committed unresolved",
            severity: Severity::Critical,
            reason: "The file holds both sides of a conflict and its markers, so it is not what either side meant. \
                     Resolve the conflict and remove the markers.",
        },
        scope: Scope::Everywhere,
        check: Check::Content(conflicts),
    },
    Rule {
        info: RuleInfo {
            id: "debugging-leftover",
            title: "A debugging statement was left behind",
            severity: Severity::Major,
            reason: "It stops or clutters the running program and was hardly meant to ship. Remove it, or log \
                     through the project's logger.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Rust], r"\bdbg!\s*[(\[{]"),
            code(&[JavaScript], r"^\s*debugger\s*;?\s*$"),
            code(&[Python], r"\b(?:i?pdb|pudb|rpdb)\.set_trace\(|^\s*breakpoint\(\s*\)"),
            code(&[Ruby], r"\bbinding\.(?:pry|irb)\b|^\s*byebug\s*$"),
            code(&[Php], r"(?:^|[^\w>:$])(?:var_dump|dd)\s*\(").unless(r"\bfunction\s"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "console-output-in-component",
            title: "A component writes to the browser's console",
            severity: Severity::Note,
            reason: "Users' browsers print it at every rendering. Remove it, or report through the project's logger.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[JavaScript], r"^\s*console\.(?:log|debug|dir|table)\(")
            .when(|site| matches!(site.file.path.extension().as_str(), "jsx" | "tsx"))]),
    },
    Rule {
        info: RuleInfo {
            id: "unfinished-code",
            title: "Unfinished code fails when it is reached",
            severity: Severity::Major,
            reason: "The branch ends the program or the request as soon as somebody takes it. Finish it, or refuse \
                     the case with an error that the caller can handle.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Rust], r"\b(?:todo|unimplemented)!\s*[(\[{]"),
            code(&[Kotlin], r"(?:^|[^.\w])TODO\("),
            texts(&[JavaScript], r#"\bthrow new Error\(\s*["'`](?i:not (?:yet )?implemented|todo\b|unimplemented)"#)
                .when(|site| !is_abstract_method(site)),
            texts(&[Go], r#"\bpanic\(\s*"(?i:not (?:yet )?implemented|todo\b|unimplemented|implement me)"#),
            texts(
                &[Java, CSharp],
                r#"\bthrow new \w+Exception\(\s*"(?i:not (?:yet )?implemented|todo\b|unimplemented)"#,
            ),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "do-not-merge-marker",
            title: "The author marked this as not to be merged",
            severity: Severity::Major,
            reason: "The comment says that the line must not reach the main branch. Finish what it waits for and \
                     remove it.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[comment(
            COMMENTED,
            r"(?:^|[^\w'`\x22-])(?:NOCOMMIT|NOMERGE|DO[ _-]?NOT[ _-]?(?:MERGE|COMMIT|SUBMIT)|DONOTMERGE|DONOTCOMMIT)\b",
        )
        .unless(r"(?i)generated|secrets?|this file|changes")]),
    },
    Rule {
        info: RuleInfo {
            id: "known-defect",
            title: "The change adds a defect that its author knows of",
            severity: Severity::Note,
            reason: "A FIXME says that the code beside it is wrong. Mend it now, or open an issue and name it in \
                     the comment.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            comment(COMMENTED, r"^\s*[/#*;-]*!?\s*FIXME(?:[^\w(]|$)").unless(r"#\d+|https?://|[A-Z]{2,}-\d+")
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "checks-disabled-for-file",
            title: "A checker was turned off for the whole file",
            severity: Severity::Minor,
            reason: "Every later mistake in this file goes unseen too. Name the one check and the one line that \
                     need the exception.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Rust], r"^\s*#!\[allow\(\s*(?:warnings|unused|clippy::all)\s*\)\]"),
            comment(&[JavaScript], r"^\s*//\s*@ts-nocheck\b|^\s*/\*\s*eslint-disable\s*\*/"),
            comment(
                &[Python],
                r"^\s*#\s*(?:flake8:\s*noqa|pylint:\s*skip-file|mypy:\s*ignore-errors|type:\s*ignore)\s*$",
            )
            .when(|site| site.line().code.trim().is_empty()),
            raw(&[Ruby], r"^\s*#\s*rubocop:disable\s+all\s*$"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "unexplained-unsafe",
            title: "An unsafe block does not say why it is sound",
            severity: Severity::Minor,
            reason: "The compiler takes the author's word here, so the word should be written down: a `// SAFETY:` \
                     comment that names the conditions and why they hold.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Rust], r"\bunsafe\s*\{|\bunsafe\s+impl\b").when(lacks_safety_comment)]),
    },
    Rule {
        info: RuleInfo {
            id: "mutable-static",
            title: "A mutable static invites data races",
            severity: Severity::Major,
            reason: "Every access is unsafe, and two threads that touch it at once are undefined behaviour. Use an \
                     atomic, a `Mutex` or a `OnceLock`.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Rust], r"^\s*(?:pub(?:\([^)]*\))?\s+)?static\s+mut\s+\w+\s*:[^;]*=")]),
    },
];

/// How far above an unsafe block its reason may begin.
const SAFETY_COMMENT_LINES: usize = 12;

/// How many lines above must be visible before a missing reason is believed to be missing.
const MIN_VISIBLE_LINES: usize = 3;

fn lacks_safety_comment(site: Site<'_>) -> bool {
    let begins_file = site.above(MIN_VISIBLE_LINES).count() + 1 == site.line().number as usize;
    let sees_enough = begins_file || site.above(MIN_VISIBLE_LINES).count() == MIN_VISIBLE_LINES;
    // The reason may stand above, beside or as the first line of the block.
    let mut near = site.above(SAFETY_COMMENT_LINES).chain([site.line()]).chain(site.below(1));
    sees_enough && !near.any(|l| l.raw.to_ascii_uppercase().contains("SAFETY"))
}

/// Whether the line is all that a method of a class does: JavaScript has no other way to leave one to subclasses.
fn is_abstract_method(site: Site<'_>) -> bool {
    let opens_method = site.above(1).any(|l| {
        let code = l.code.trim();
        super::source::indent_of(&l.raw) > 0
            && code.ends_with('{')
            && code.contains('(')
            && !["function", "=>", "if", "else", "for", "while", "switch", "case"].iter().any(|w| code.contains(w))
    });
    opens_method && site.next_code().is_some_and(|l| l.code.trim() == "}")
}

/// The opening marker of each conflict whose three markers were all added, in order.
fn conflicts(file: &SourceFile<'_>) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open: Option<(u32, bool)> = None;
    let mut in_fence = false;
    for line in file.lines.iter().filter(|l| l.is_added) {
        // Documentation shows conflicts, and a text of several lines may hold one as test data.
        in_fence ^= file.language.is_none() && line.raw.trim_start().starts_with("```");
        let is_quoted = in_fence || (file.language.is_some() && line.code.trim().is_empty() && line.comment.is_empty());
        if is_quoted {
            continue;
        }
        if line.raw.starts_with("<<<<<<< ") {
            open = Some((line.number, false));
        } else if line.raw.trim_end() == "=======" {
            open = open.map(|(number, _)| (number, true));
        } else if line.raw.starts_with(">>>>>>> ")
            && let Some((number, true)) = open.take()
        {
            found.push(number);
        }
    }
    found
}

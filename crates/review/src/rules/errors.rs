//! Errors that nobody will hear of.

use super::{
    language::Language::{CSharp, Go, Java, JavaScript, Kotlin, Php, Python, Ruby},
    rule::{Check, Rule, RuleInfo, Scope, code},
    source::Site,
};
use crate::Severity;

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "swallowed-exception",
            title: "Every error is caught and forgotten",
            severity: Severity::Minor,
            reason: "The failure shows later and elsewhere, without its cause. Handle the errors that are expected, \
                     or say in a comment why none matters.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Python], r"^\s*except(?:\s+(?:Base)?Exception(?:\s+as\s+\w+)?)?\s*:\s*(?:pass\s*)?$")
                .when(python_passes),
            // JavaScript's `catch {}` already says that the error does not matter.
            code(&[JavaScript, Java, Kotlin, CSharp, Php], r"\bcatch\s*\([^)]*\)\s*\{\s*(?:\}|$)").when(catch_is_empty),
            code(&[CSharp], r"\bcatch\s*\{\s*(?:\}|$)").when(catch_is_empty),
            code(&[Ruby], r"^\s*rescue(?:\s+(?:StandardError|Exception))?(?:\s*=>\s*\w+)?\s*$").when(|site| {
                site.line().comment.is_empty()
                    && site.next_code().is_some_and(|l| matches!(l.code.trim(), "end" | "nil"))
            }),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "bare-except",
            title: "This catches interrupts and exits too",
            severity: Severity::Minor,
            reason: "A bare `except:` also stops Ctrl-C and `sys.exit`. Catch `Exception`, or better the errors \
                     that are expected.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Python], r"^\s*except\s*:\s*$").when(|site| !python_passes(site) && !reraises(site))
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "ignored-go-error",
            title: "An error is dropped",
            severity: Severity::Major,
            reason: "The code goes on as if the call had worked. Return the error, handle it, or say in a comment \
                     why it does not matter.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Go], r"^\s*_\s*=\s*err\s*$").when(is_uncommented),
            code(&[Go], r"^\s*(?:json|xml|yaml|toml)\.Unmarshal\(").when(is_uncommented),
            code(
                &[Go],
                concat!(
                    r",\s*_\s*:?=\s*(?:os\.(?:ReadFile|Open|Create)|io\.ReadAll|http\.(?:Get|Post|NewRequest)|sql\.Open",
                    r"|strconv\.(?:Atoi|Parse\w+)|time\.Parse)\(",
                ),
            )
            .when(is_uncommented),
            code(&[Go], r"\bif\s+(?:.*;\s*)?err\s*!=\s*nil\s*\{\s*$")
                .when(|site| is_uncommented(site) && site.next_code().is_some_and(|l| l.code.trim() == "}")),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "stack-trace-printed",
            title: "An exception is printed instead of logged",
            severity: Severity::Minor,
            reason: "The trace goes to standard error, past the log and its levels, and the caller never knows. Log \
                     it with its cause, or throw it on.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Java, Kotlin], r"\b\w+\.printStackTrace\(\s*\)\s*;?\s*$")]),
    },
];

fn is_uncommented(site: Site<'_>) -> bool {
    site.line().comment.is_empty() && site.above(1).all(|l| l.comment.is_empty())
}

fn python_passes(site: Site<'_>) -> bool {
    let passes =
        site.line().code.trim_end().ends_with("pass") || site.next_code().is_some_and(|l| l.code.trim() == "pass");
    passes && site.line().comment.is_empty() && site.next_code().is_none_or(|l| l.comment.is_empty())
}

/// Whether the handler, as far as it is visible, throws on; an unseen end may.
fn reraises(site: Site<'_>) -> bool {
    let indent = super::source::indent_of(&site.line().raw);
    let is_inside =
        |l: &&super::source::SourceLine<'_>| l.raw.trim().is_empty() || super::source::indent_of(&l.raw) > indent;
    let body = site.below(usize::MAX).take_while(is_inside).collect::<Vec<_>>();
    let is_whole = site.below(usize::MAX).nth(body.len()).is_some();
    !is_whole || body.iter().any(|l| l.code.contains("raise") || l.code.contains("exit("))
}

/// Whether the block is empty and neither a comment nor the variable's name says that this is meant.
fn catch_is_empty(site: Site<'_>) -> bool {
    let line = site.line();
    let is_empty =
        line.code.trim_end().ends_with('}') || site.next_code().is_some_and(|l| l.code.trim_start().starts_with('}'));
    let is_meant = ["ignore", "expected", "unused", "(_"].iter().any(|w| line.code.contains(w));
    is_empty && !is_meant && line.comment.is_empty()
}

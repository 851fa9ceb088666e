//! Code that does not do what it says.

use super::{
    language::Language::{C, CSharp, Go, Java, JavaScript, Kotlin, Php, Python, Rust},
    rule::{Check, Rule, RuleInfo, Scope, code, texts},
    source::Site,
};
use crate::Severity;

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "assignment-in-condition",
            title: "The condition assigns instead of comparing",
            severity: Severity::Major,
            reason: "It always takes the same branch and changes the variable. Write `==`.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[code(
            &[C, JavaScript, Php, CSharp],
            r"\bif\s*\(\s*\$?[\w.]+(?:->\w+)*\s*=\s*(?:\d+|true|false|null|NULL|nullptr|undefined)\s*\)",
        )]),
    },
    Rule {
        info: RuleInfo {
            id: "comparison-with-nan",
            title: "Nothing is equal to NaN, not even NaN",
            severity: Severity::Major,
            reason: "The comparison has the same result for every value. Use the language's is-NaN function.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[
            code(&[JavaScript], r"[!=]==?\s*(?:Number\.)?NaN\b"),
            code(&[Python], r"[!=]=\s*(?:np|numpy|math)\.nan\b"),
            texts(&[Python], r#"[!=]=\s*float\(\s*['"]nan['"]\s*\)"#),
            code(&[Rust], r"[!=]=\s*(?:f32|f64|std::f64)::NAN\b"),
            code(&[Java, Kotlin], r"[!=]=\s*(?:Double|Float)\.NaN\b"),
            code(&[Go], r"[!=]=\s*math\.NaN\(\s*\)"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "identity-comparison",
            title: "Texts are compared by identity, not by content",
            severity: Severity::Major,
            reason: "Two equal texts need not be the same object, so the result depends on chance. Compare with \
                     `equals` in Java and `==` in Python.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[
            texts(&[Java], r#"[\w)\]]\s*[!=]=\s*"[^"]*""#),
            texts(&[Python], r#"\bis\s+(?:not\s+)?["']"#),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "mutable-default-argument",
            title: "All calls share one default value",
            severity: Severity::Minor,
            reason: "Python makes the default once, so what one call adds the next one sees. Default to `None` and \
                     make the value inside.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(
            &[Python],
            r"^\s*(?:async\s+)?def\s+\w+\(.*=\s*(?:\[\s*\]|\{\s*\}|(?:set|list|dict)\(\s*\))\s*[,)]",
        )]),
    },
    Rule {
        info: RuleInfo {
            id: "unawaited-callback",
            title: "Nobody waits for this asynchronous callback",
            severity: Severity::Major,
            reason: "`forEach` and `useEffect` drop the promise: errors are lost, and what follows runs too early. \
                     Use `for … of` with `await`, or call an async function inside the effect.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[JavaScript], r"\.forEach\(\s*async\b|\buse(?:Layout)?Effect\(\s*async\b")]),
    },
    Rule {
        info: RuleInfo {
            id: "async-promise-executor",
            title: "An error in this executor is lost",
            severity: Severity::Major,
            reason: "What an async executor throws rejects a promise that nobody holds, and the outer one never \
                     settles. Make the whole function async instead.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[JavaScript], r"\bnew Promise(?:<[^>]*>)?\(\s*async\b")]),
    },
    Rule {
        info: RuleInfo {
            id: "defer-in-loop",
            title: "Deferred calls pile up until the function returns",
            severity: Severity::Minor,
            reason: "Each round keeps its file, lock or connection until the whole loop is over. Close it at the \
                     end of the round, or move the body into a function.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Go], r"^\s*defer\s").when(stands_in_loop)]),
    },
    Rule {
        info: RuleInfo {
            id: "unbounded-copy",
            title: "The copy does not know how long its target is",
            severity: Severity::Major,
            reason: "A longer source overwrites the memory behind the target. Use a function that takes the \
                     target's size.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[C], r"(?:^|[^\w.>:])gets\s*\("),
            code(&[C], r"(?:^|[^\w.>:])(?:strcpy|strcat|wcscpy|wcscat)\s*\([^,]+,\s*[a-z_]")
                .unless(r"\bchar\s*\*\s*str(?:cpy|cat)|^\s*#"),
            texts(&[C], r#"\bscanf\s*\(\s*"[^"]*%s"#),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "format-from-variable",
            title: "A variable is used as the format",
            severity: Severity::Major,
            reason: "A `%` in it reads or writes memory that was not passed. Write `printf(\"%s\", text)`.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[C], r"(?:^|[^\w.>:])printf\s*\(\s*[a-z_]\w*(?:(?:->|\.)\w+)*\s*\)\s*;"),
            code(&[C], r"(?:^|[^\w.>:])(?:fprintf|syslog)\s*\(\s*\w+\s*,\s*[a-z_]\w*(?:(?:->|\.)\w+)*\s*\)\s*;"),
        ]),
    },
];

/// Whether the nearest block around the line that is no condition is a loop. gofmt makes indentation trustworthy.
fn stands_in_loop(site: Site<'_>) -> bool {
    let block = site.enclosing().find(|l| {
        let code = l.code.trim();
        !(code.starts_with("if ")
            || code.starts_with("} else")
            || code.starts_with("switch")
            || code.starts_with("case "))
    });
    block.is_some_and(|l| {
        l.code.trim_start().starts_with("for ") && l.code.trim_end().ends_with('{') && !l.code.contains("func(")
    })
}

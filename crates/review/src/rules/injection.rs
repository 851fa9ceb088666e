//! Data that becomes code.

use super::{
    language::Language::{CSharp, Docker, Go, Java, JavaScript, Kotlin, Php, Python, Ruby, Rust, Shell, Yaml},
    rule::{Check, Rule, RuleInfo, Scope, code, texts},
    source::Site,
};
use crate::Severity;

/// A statement of SQL in these quotes, up to the place of a value. Names of tables and lists of placeholders are put
/// into statements for good reasons, so only a value counts.
macro_rules! sql {
    ($open:literal, $inner:literal) => {
        concat!(
            $open,
            r"\s*(?i:(?:SELECT\s",
            $inner,
            r"*\sFROM|DELETE\s+FROM)\s",
            $inner,
            r"*\s(?:WHERE|HAVING|ON)|INSERT\s+INTO\s",
            $inner,
            r"*\sVALUES|UPDATE\s",
            $inner,
            r"*\sSET)",
            $inner,
            r"*(?:(?:[=<>]|\s(?i:LIKE))\s*\\?['%]*|[(,]\s*\\?'%?)"
        )
    };
}

/// A text of Python into which a value is put.
macro_rules! python_text_with_value {
    () => {
        r#"[rR]?[fF]["'][^"']*\{|(?:"[^"]*"|'[^']*')\s*(?:\+|%|\.format\()"#
    };
}

/// What makes a value harmless.
const HARMLESS: &str = r"(?i)escape|quote|sanitiz|placeholder|\bint\(|parseInt|Number\(|strconv\.|intval";

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "sql-built-from-values",
            title: "A value is written into the text of an SQL statement",
            severity: Severity::Major,
            reason: "Whoever controls the value controls the statement. Pass it as a bound parameter.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(&[JavaScript], concat!(r"(?:^|[^\w$)>\]])", sql!("`", "[^`]"), r"\$\{[^}]*[a-z]")).unless(HARMLESS),
            texts(&[JavaScript, Java, Kotlin, Python, CSharp, Go], concat!(sql!("\"", r#"[^"]"#), r#""\s*\+\s*[a-z_]"#))
                .unless(HARMLESS),
            texts(&[JavaScript, Python], concat!(sql!("'", r"[^']"), r"'\s*\+\s*[a-z_]")).unless(HARMLESS),
            texts(&[Python], concat!(r"\b[rR]?[fF]", sql!("\"", r#"[^"]"#), r"\{[^}]*[a-z]")).unless(HARMLESS),
            texts(&[Python], concat!(sql!("\"", r#"[^"]"#), r#"%s[^"]*"\s*%\s*[\w(]"#)).unless(HARMLESS),
            texts(&[Python], concat!(sql!("\"", r#"[^"]"#), r#"\{\w*\}[^"]*"\.format\("#)).unless(HARMLESS),
            texts(&[Go], concat!(r"\bfmt\.Sprintf\(\s*", sql!("[\"`]", r#"[^"`]"#), r"%[svq]")).unless(HARMLESS),
            texts(&[Rust], concat!(r"\bformat!\(\s*", sql!("\"", r#"[^"]"#), r"\{[a-z_:?.]*\}")).unless(HARMLESS),
            texts(&[Php], concat!(sql!("\"", r#"[^"]"#), r"\{?\$\w")).unless(HARMLESS),
            texts(&[Ruby], concat!(sql!("\"", r#"[^"]"#), r"#\{")).unless(HARMLESS),
            texts(&[Kotlin], concat!(sql!("\"", r#"[^"]"#), r"\$\{?[a-z]")).unless(HARMLESS),
            texts(&[CSharp], concat!(r"\$@?", sql!("\"", r#"[^"]"#), r"\{[^}]*[a-z]")).unless(HARMLESS),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "shell-command-from-values",
            title: "A value is written into a shell command",
            severity: Severity::Major,
            reason: "A space, a quote or a semicolon in the value changes the command. Start the program directly, \
                     with its arguments as a list.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(
                &[Python],
                concat!(r"\bos\.(?:system|popen)\(\s*(?:", python_text_with_value!(), r"|\w+\s*\+)"),
            )
            .unless("quote"),
            texts(
                &[Python],
                concat!(r"\bsubprocess\.\w+\(\s*(?:", python_text_with_value!(), r").*\bshell\s*=\s*True"),
            )
            .unless("quote"),
            texts(&[JavaScript], r"(?:\bchild_process\.|\bcp\.|(?:^|[^.\w]))exec(?:Sync)?\(\s*`[^`]*\$\{")
                .unless("(?i)quote|escape"),
            texts(
                &[Go],
                concat!(
                    r#"\bexec\.Command(?:Context)?\((?:\w+,\s*)?"(?:/bin/)?(?:ba|z)?sh",\s*"-c","#,
                    r#"\s*(?:fmt\.Sprintf|"[^"]*"\s*\+|\w+\s*\+)"#,
                ),
            ),
            texts(&[Ruby], r#"(?:^|[^.\w])(?:system|exec)\(?\s*"[^"]*#\{|(?:=|^|\()\s*`[^`]*#\{"#)
                .unless("(?i)shellescape|shellwords"),
            texts(&[Php], r#"(?:^|[^\w>:$])(?:shell_exec|exec|system|passthru|popen)\(\s*(?:"[^"]*\$|'[^']*'\s*\.\s*\$|\$_)"#)
                .unless("escapeshell"),
            texts(&[Rust], r#"\.args?\(\s*\[?\s*"-c"\s*(?:,|\)\s*\.arg\()\s*&?format!\("#),
            texts(&[Java, Kotlin], r#"\bgetRuntime\(\)\.exec\(\s*(?:"[^"]*"\s*\+|\w+\s*\+)"#),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "evaluated-value",
            title: "A value is run as code",
            severity: Severity::Major,
            reason: "Whoever controls the value controls the program. Parse the few things that are allowed instead.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            // With a namespace of its own, or of a compiled program, it is a tool's work.
            code(&[Python], r"(?:^|[^.\w])(?:eval|exec)\(\s*(?:[fF][\x22'].*|[A-Za-z_][\w.]*(?:\[[^\],]*\])?)\s*\)")
                .unless(r"\bdef\s+(?:eval|exec)\b"),
            code(&[JavaScript], r"(?:^|[^.\w$])eval\(\s*[^\x22'`\s)]|\bnew Function\(\s*[a-z]")
                .unless(r"\bfunction\s+eval\b|^\s*(?:async\s+)?eval\("),
            code(&[Php], r"(?:^|[^\w>:$])eval\(\s*[^\x22'\s)]").unless(r"\bfunction\s"),
            code(&[Ruby], r"(?:^|[^.\w])eval(?:\(\s*|\s+)[a-z]\w*").unless(r"\bdef\s"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "unsafe-deserialization",
            title: "Foreign bytes are turned into arbitrary objects",
            severity: Severity::Major,
            reason: "This format can name code to run while it is read. Use JSON or another format that holds data \
                     only, or the safe loader.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Python], r"\b(?:c?[pP]ickle|dill)\.loads\("),
            code(&[Python], r"\byaml\.unsafe_load\(|\byaml\.load\(.*\bLoader\s*=\s*(?:yaml\.)?(?:Unsafe)?Loader\b"),
            code(&[Python], r"\byaml\.load\([^,]*\)\s*$").when(|site| site.file.shows("import yaml")),
            code(&[Php], r"(?:^|[^\w>:$])unserialize\(\s*\$_(?:GET|POST|COOKIE|REQUEST)\b"),
            code(&[Ruby], r"\bMarshal\.load\(|\bYAML\.unsafe_load\("),
            code(&[Java, Kotlin], r"\bnew ObjectInputStream\(|=\s*ObjectInputStream\("),
            code(&[CSharp], r"\bnew BinaryFormatter\("),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "html-built-from-values",
            title: "A value is written into HTML unescaped",
            severity: Severity::Major,
            reason: "A value with markup in it runs script in the visitor's browser. Set `textContent`, build \
                     elements, or sanitise it first.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(&[JavaScript], r"\.(?:inner|outer)HTML\s*\+?=\s*`[^`]*\$\{[^}]*[a-z]")
                .unless("(?i)escape|sanitiz|purify|encode"),
            texts(&[JavaScript], r#"\.(?:inner|outer)HTML\s*\+?=\s*["'].*["']\s*\+\s*[a-z_]"#)
                .unless("(?i)escape|sanitiz|purify|encode"),
            code(&[Php], r"^\s*echo\b.*\$_(?:GET|POST|REQUEST|COOKIE)\b")
                .unless("(?i)htmlspecialchars|htmlentities|escape|json_encode|intval"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "download-piped-to-shell",
            title: "A download is run without being looked at",
            severity: Severity::Minor,
            reason: "Whatever the server sends, or half of it when the connection breaks, runs at once. Pin a \
                     version, check its digest, then run it.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Shell, Docker], r"\b(?:curl|wget)\b[^|;&]*\|\s*(?:sudo\s+(?:-\w+\s+)*)?(?:/bin/)?(?:ba|z|da|k)?sh\b"),
            texts(&[Shell, Docker], r#"\b(?:ba|z|da)?sh\s+-c\s+"\$\(\s*(?:curl|wget)\b"#),
            code(&[Yaml], r"^\s*(?:-\s+)?(?:run:\s*)?(?:curl|wget)\b[^|;&]*\|\s*(?:sudo\s+)?(?:/bin/)?(?:ba|z|da)?sh\b"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "delete-below-variable",
            title: "An empty variable turns this into the deletion of everything",
            severity: Severity::Major,
            reason: "When the variable is unset, the path is `/`. Write `${NAME:?}`, or set `-u` at the script's \
                     head.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[
            texts(
                &[Shell, Docker],
                r#"\brm\s+(?:-\w+\s+)*-\w*[rR]\w*\s+(?:-\w+\s+)*["']?\$(?:\{\w+\}|\w+)["']?/(?:\*|["']?\s*(?:$|;|&|\|))"#,
            )
            .when(allows_unset_variables),
            code(&[Shell, Docker], r"\brm\s+(?:-\w+\s+)*-\w*[rR]\w*\s+(?:--no-preserve-root\s+)?/\*?\s*(?:$|;|&)"),
        ]),
    },
];

/// Whether an unset variable would be taken for an empty one, as far as the diff shows.
fn allows_unset_variables(site: Site<'_>) -> bool {
    !site.file.lines.iter().any(|l| {
        let code = l.code.trim();
        (code.starts_with("set -") && code.split_whitespace().nth(1).is_some_and(|flags| flags.contains('u')))
            || code.contains("nounset")
    })
}

//! Statements and migrations that a database will not forgive.

use super::{
    language::Language::Sql,
    rule::{Check, Rule, RuleInfo, Scope, code},
    source::Site,
};
use crate::Severity;

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "comparison-with-null",
            title: "A comparison with NULL is never true",
            severity: Severity::Major,
            reason: "In SQL `= NULL` is unknown for every row, so the condition never holds. Write `IS NULL` or `IS \
                     NOT NULL`.",
        },
        scope: Scope::Everywhere,
        check: Check::Lines(&[code(
            &[Sql],
            r"(?i)\b(?:WHERE|AND|OR|ON|WHEN|HAVING)\s+(?:NOT\s+)?[\w.\x22]+\s*(?:=|<>|!=)\s*NULL\b",
        )]),
    },
    Rule {
        info: RuleInfo {
            id: "delete-without-condition",
            title: "The statement deletes every row",
            severity: Severity::Minor,
            reason: "There is no WHERE. If that is meant, TRUNCATE says so; if not, add the condition.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Sql], r"(?i)^\s*DELETE\s+FROM\s+[\w.\x22]+\s*;")]),
    },
    Rule {
        info: RuleInfo {
            id: "required-column-without-default",
            title: "The migration fails on a table that has rows",
            severity: Severity::Major,
            reason: "A new NOT NULL column has no value for the rows that exist. Give it a default, or add it as \
                     nullable, fill it, and then require it.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(
            &[Sql],
            r"(?i)\bADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?[\w\x22]+\s+[^,;]*\bNOT\s+NULL\b[^,;]*[,;]\s*$",
        )
        .unless(r"(?i)\bDEFAULT\b|\bGENERATED\b|\bSERIAL\b|\bIDENTITY\b|\bAUTO_INCREMENT\b|\bCONSTRAINT\b|\bCHECK\b")]),
    },
    Rule {
        info: RuleInfo {
            id: "destructive-migration",
            title: "The migration destroys data that no rollback brings back",
            severity: Severity::Note,
            reason: "The version that still runs during the roll-out reads what is dropped here. Stop using it in \
                     one release and drop it in the next.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Sql], r"(?i)^\s*DROP\s+TABLE\b|^\s*(?:ALTER\s+TABLE\s+\S+\s+)?DROP\s+COLUMN\b")
            .when(is_forward_migration)]),
    },
];

/// Whether the file is a migration, goes forward, and does not merely rebuild a table.
fn is_forward_migration(site: Site<'_>) -> bool {
    let path = site.file.path.display().to_ascii_lowercase();
    let is_backward = ["down", "rollback", "revert", "undo"].iter().any(|w| path.contains(w));
    let rebuilds = |l: &super::source::SourceLine<'_>| {
        let code = l.code.to_ascii_uppercase();
        code.contains("RENAME TO") || code.contains("TEMP") || code.contains("CREATE TABLE")
    };
    path.contains("migration") && !is_backward && !site.file.lines.iter().any(rebuilds) && !goes_down(site)
}

/// Some tools keep both directions in one file.
fn goes_down(site: Site<'_>) -> bool {
    site.file.lines[..site.index].iter().any(|l| {
        let comment = l.comment.to_ascii_lowercase();
        comment.contains("down") || comment.contains("rollback") || comment.contains("undo")
    })
}

//! Characters that a reader cannot see or tell apart.

use super::{
    language::Language,
    rule::{Check, Rule, RuleInfo, Scope},
    source::{SourceFile, SourceLine},
};
use crate::Severity;

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "bidirectional-control-character",
            title: "A hidden character reorders how this line is shown",
            severity: Severity::Critical,
            reason: "What the reviewer reads is not what the compiler reads (\"Trojan Source\"). Remove the control \
                     character, or write it as an escape.",
        },
        scope: Scope::Everywhere,
        check: Check::Content(|file| lines_with(file, |line| line.raw.contains(is_bidirectional_control))),
    },
    Rule {
        info: RuleInfo {
            id: "invisible-character",
            title: "An invisible character stands in the code",
            severity: Severity::Major,
            reason: "Two names that look the same can differ by it, and searching finds only one. Remove it.",
        },
        scope: Scope::Everywhere,
        check: Check::Content(|file| {
            lines_with(file, |line| {
                // A byte order mark may begin a file.
                let code = if line.number == 1 { line.code.trim_start_matches('\u{FEFF}') } else { &line.code };
                code.contains(is_invisible)
            })
        }),
    },
    Rule {
        info: RuleInfo {
            id: "mixed-alphabet-name",
            title: "A name mixes letters of two alphabets that look alike",
            severity: Severity::Major,
            reason: "A Cyrillic letter among Latin ones makes another name that looks the same. Use one alphabet.",
        },
        scope: Scope::Everywhere,
        check: Check::Content(|file| lines_with(file, |line| mixes_alphabets(&line.code))),
    },
];

/// The added lines of code for which it holds. Almost all are ASCII and are not looked at.
fn lines_with(file: &SourceFile<'_>, holds: impl Fn(&SourceLine<'_>) -> bool) -> Vec<u32> {
    // Data may hold any text; only what is run can deceive.
    if matches!(file.language, None | Some(Language::Json)) {
        return Vec::new();
    }
    file.lines.iter().filter(|l| l.is_added && !l.raw.is_ascii() && holds(l)).map(|l| l.number).collect()
}

fn is_bidirectional_control(char: char) -> bool {
    matches!(char, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{00AD}' | '\u{115F}' | '\u{1160}' | '\u{3164}'
            | '\u{FFA0}' | '\u{E0000}'..='\u{E007F}'
    )
}

fn mixes_alphabets(code: &str) -> bool {
    let is_cyrillic = |c: char| matches!(c, '\u{0400}'..='\u{052F}');
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word.contains(is_cyrillic) && word.contains(|c: char| c.is_ascii_alphabetic()))
}

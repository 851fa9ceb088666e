//! The reviewer without a model: deterministic checks on added lines and on facts of files. A rule speaks up only where
//! a senior reviewer would, so each is narrow, knows code from texts and comments, and leaves tests alone where they
//! may do on purpose what a product must not.

mod bugs;
mod catalogue;
mod characters;
mod containers;
mod credentials;
mod crypto;
mod database;
mod engine;
mod errors;
mod files;
mod injection;
mod language;
mod leftovers;
mod lexer;
mod rule;
mod source;
mod testing;
mod transport;
mod workflows;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use catalogue::RULES;
use catalogue::THEMES;
pub use rule::RuleInfo;
use rule::{Check, Rule, Scope};
use source::{Role, SourceFile};

use crate::{
    DraftFinding, Source,
    diff::{Diff, RepoPath},
};

/// Findings of one rule in one file. More would bury the rest, and whoever mends five looks for the sixth.
const MAX_FINDINGS_PER_RULE_AND_FILE: usize = 5;

/// Findings of one rule over all files, for the same reason.
const MAX_FINDINGS_PER_RULE: usize = 20;

/// Reviews the files with these indexes in `diff.files`; facts such as a deleted test or an added binary are judged for
/// every file. The findings come in the diff's order, at most 5 of a rule in a file and 20 over all.
pub fn review_by_rules(diff: &Diff, reviewed: &[usize]) -> Vec<DraftFinding> {
    let mut in_diff: HashMap<&str, usize> = HashMap::new();
    let mut findings = Vec::new();
    for (index, file) in diff.files.iter().enumerate() {
        let mut found: Vec<(Option<u32>, &'static Rule)> = engine::rules()
            .filter(|rule| matches!(rule.check, Check::Fact(holds) if holds(diff, file)))
            .map(|rule| (None, rule))
            .collect();
        if reviewed.contains(&index) {
            review_content(&SourceFile::new(diff, file), &mut found);
        }
        found.sort_by_key(|(line, rule)| (*line, rule.info.id));
        found.dedup_by_key(|(line, rule)| (*line, rule.info.id));
        let mut in_file: HashMap<&str, usize> = HashMap::new();
        for (line, rule) in found {
            let (here, overall) = (in_file.entry(rule.info.id).or_default(), in_diff.entry(rule.info.id).or_default());
            if *here < MAX_FINDINGS_PER_RULE_AND_FILE && *overall < MAX_FINDINGS_PER_RULE {
                *here += 1;
                *overall += 1;
                findings.push(finding(rule, file.path(), line));
            }
        }
    }
    findings
}

fn review_content(file: &SourceFile<'_>, found: &mut Vec<(Option<u32>, &'static Rule)>) {
    engine::check_lines(file, |rule, line| found.push((Some(line), rule)));
    for rule in engine::rules().filter(|r| r.scope == Scope::Everywhere || file.role == Role::Product) {
        if let Check::Content(check) = rule.check {
            found.extend(check(file).into_iter().map(|line| (Some(line), rule)));
        }
    }
}

fn finding(rule: &Rule, path: &RepoPath, line: Option<u32>) -> DraftFinding {
    DraftFinding {
        source: Source::Rule(rule.info.id.to_owned()),
        severity: rule.info.severity,
        path: path.clone(),
        start_line: None,
        line,
        title: rule.info.title.to_owned(),
        body: rule.info.reason.to_owned(),
        suggestion: None,
    }
}

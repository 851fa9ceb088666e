use super::{
    bugs, characters, containers, credentials, crypto, database, errors, files, injection, leftovers,
    rule::{Rule, RuleInfo},
    testing, transport, workflows,
};
use crate::Severity;

/// All rules, by theme.
pub(super) const THEMES: &[&[Rule]] = &[
    leftovers::RULES,
    testing::RULES,
    credentials::RULES,
    transport::RULES,
    crypto::RULES,
    injection::RULES,
    errors::RULES,
    bugs::RULES,
    database::RULES,
    containers::RULES,
    workflows::RULES,
    characters::RULES,
    files::RULES,
];

/// Every built-in rule, as documentation and configuration name it.
pub const RULES: &[RuleInfo] = &TABLE;

const COUNT: usize = {
    let (mut count, mut theme) = (0, 0);
    while theme < THEMES.len() {
        count += THEMES[theme].len();
        theme += 1;
    }
    count
};

// Made at compile time, so that the public table and the rules that run cannot differ.
const TABLE: [RuleInfo; COUNT] = {
    let mut table = [RuleInfo { id: "", title: "", severity: Severity::Note, reason: "" }; COUNT];
    let (mut at, mut theme) = (0, 0);
    while theme < THEMES.len() {
        let mut rule = 0;
        while rule < THEMES[theme].len() {
            table[at] = THEMES[theme][rule].info;
            at += 1;
            rule += 1;
        }
        theme += 1;
    }
    table
};

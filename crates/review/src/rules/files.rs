//! Files that should not be in the change at all.

use super::{
    language::Language,
    rule::{Check, Rule, RuleInfo, Scope},
    source::{Role, SourceFile},
};
use crate::{
    Severity,
    diff::{FileDiff, FileStatus},
};

/// A new source file longer than this is rarely read with care.
const LARGE_FILE_LINES: usize = 2_000;

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "build-artifact-added",
            title: "A build's product was committed",
            severity: Severity::Minor,
            reason: "Nobody can review it, it grows the history for ever, and it will soon differ from its source. \
                     Build it where it is needed and ignore it here.",
        },
        scope: Scope::Everywhere,
        check: Check::Fact(|_, file| {
            let artifacts =
                ["exe", "dll", "so", "dylib", "o", "obj", "a", "class", "pyc", "pyo", "war", "ear", "pdb", "rlib"];
            is_new(file) && artifacts.contains(&extension(file).as_str()) && Role::of(file.path()) == Role::Product
        }),
    },
    Rule {
        info: RuleInfo {
            id: "stray-file-added",
            title: "A file of an editor, system or tool was committed",
            severity: Severity::Minor,
            reason: "It belongs to one machine and not to the project. Remove it and add it to `.gitignore`.",
        },
        scope: Scope::Everywhere,
        check: Check::Fact(|_, file| {
            let name = file.path().file_name();
            is_new(file)
                && (matches!(
                    name.as_ref(),
                    ".DS_Store" | "Thumbs.db" | "desktop.ini" | "npm-debug.log" | "yarn-error.log"
                ) || matches!(extension(file).as_str(), "swp" | "swo" | "orig" | "rej"))
                && Role::of(file.path()) == Role::Product
        }),
    },
    Rule {
        info: RuleInfo {
            id: "key-file-added",
            title: "A store of private keys was committed",
            severity: Severity::Critical,
            reason: "Everyone who can read the repository, now or from its history, has the keys. Replace them, and \
                     load the new ones from a secret store.",
        },
        scope: Scope::Everywhere,
        check: Check::Fact(|_, file| {
            let name = file.path().file_name();
            is_new(file)
                && (matches!(name.as_ref(), "id_rsa" | "id_dsa" | "id_ecdsa" | "id_ed25519")
                    || matches!(extension(file).as_str(), "p12" | "pfx" | "jks" | "keystore" | "ppk"))
                && name != "debug.keystore"
                && Role::of(file.path()) == Role::Product
        }),
    },
    Rule {
        info: RuleInfo {
            id: "environment-file-added",
            title: "A file of environment secrets was committed",
            severity: Severity::Major,
            reason: "It sets keys or passwords, and the history keeps them. Commit a `.env.example` without values, \
                     ignore the real one, and change what was exposed.",
        },
        scope: Scope::Product,
        check: Check::Content(environment_secrets),
    },
    Rule {
        info: RuleInfo {
            id: "large-file-added",
            title: "A new file of more than 2,000 lines",
            severity: Severity::Note,
            reason: "It is too long to be reviewed with care. If it is generated, mark it so; if not, cut it by \
                     subject.",
        },
        scope: Scope::Product,
        check: Check::Content(|file| {
            use Language::{Json, Sql, Yaml};
            let is_code = file.language.is_some_and(|l| !matches!(l, Json | Sql | Yaml));
            if file.is_new && is_code && file.lines.len() > LARGE_FILE_LINES { vec![1] } else { Vec::new() }
        }),
    },
];

fn is_new(file: &FileDiff) -> bool {
    file.status == FileStatus::Added
}

fn extension(file: &FileDiff) -> String {
    file.path().extension()
}

/// The first line that gives a telling name a real value.
fn environment_secrets(file: &SourceFile<'_>) -> Vec<u32> {
    const NAMES: [&str; 5] = ["SECRET", "PASSWORD", "TOKEN", "API_KEY", "PRIVATE_KEY"];
    let name = file.path.file_name();
    let is_template =
        ["example", "sample", "template", "dist", "test", "ci", "defaults"].iter().any(|w| name.ends_with(w));
    if !file.is_new || is_template || !(name == ".env" || name.starts_with(".env.")) {
        return Vec::new();
    }
    let sets_secret = |line: &str| {
        line.split_once('=').is_some_and(|(name, value)| {
            let value = value.trim().trim_matches(['"', '\'']);
            let is_filler = ["change", "example", "your", "xxx", "secret", "password", "test", "local", "$", "<"]
                .iter()
                .any(|w| value.to_ascii_lowercase().contains(w));
            !name.trim_start().starts_with('#')
                && NAMES.iter().any(|n| name.to_ascii_uppercase().contains(n))
                && !name.to_ascii_uppercase().contains("PUBLIC")
                && value.len() >= 8
                && !is_filler
        })
    };
    file.lines.iter().filter(|l| sets_secret(&l.raw)).map(|l| l.number).take(1).collect()
}

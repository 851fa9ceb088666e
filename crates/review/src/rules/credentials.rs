//! Secrets in the repository.

use super::{
    rule::{Check, Rule, RuleInfo, Scope},
    source::{Role, SourceFile, SourceLine},
};
use crate::{
    Severity,
    secrets::{self, SecretKind},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "private-key",
            title: "A private key is part of the change",
            severity: Severity::Critical,
            reason: "Whoever can read the repository, now or from its history, can act as the key's owner. Revoke \
                     the key, issue a new one, and load it from a secret store.",
        },
        scope: Scope::Product,
        check: Check::Content(|file| secrets_in(file, |kind| kind == SecretKind::PrivateKey)),
    },
    Rule {
        info: RuleInfo {
            id: "service-token",
            title: "A token of a service is part of the change",
            severity: Severity::Critical,
            reason: "It has the format of a real credential, and the history keeps it after it is deleted. Revoke \
                     it at its issuer, and read the new one from the environment or a secret store.",
        },
        scope: Scope::Everywhere,
        check: Check::Content(|file| {
            // Tests and documentation show sample JSON web tokens, which grant nothing.
            let is_product = file.role == Role::Product && file.language.is_some();
            secrets_in(file, |kind| kind.is_service_token() && (is_product || kind != SecretKind::Jwt))
        }),
    },
    Rule {
        info: RuleInfo {
            id: "hardcoded-password",
            title: "A password is written into the change",
            severity: Severity::Major,
            reason: "Everyone with the source has it, and changing it needs a release. Read it from the environment \
                     or a secret store, and change the one that was exposed.",
        },
        scope: Scope::Product,
        check: Check::Content(|file| match file.path.extension().as_str() {
            // Prose and lists of translations speak of passwords.
            "md" | "rst" | "adoc" | "txt" | "html" | "po" | "xlf" | "svg" | "csv" | "lock" => Vec::new(),
            _ => secrets_in(file, |kind| matches!(kind, SecretKind::Password | SecretKind::ConnectionPassword)),
        }),
    },
];

/// The added lines on which such a secret begins.
fn secrets_in(file: &SourceFile<'_>, wanted: impl Fn(SecretKind) -> bool) -> Vec<u32> {
    let all = file.secrets.get_or_init(|| find_secrets(file));
    all.iter().filter(|(kind, _)| wanted(*kind)).map(|(_, line)| file.lines[*line].number).collect()
}

/// Kind and index of line. A secret may span lines, but only added ones that stand together.
fn find_secrets(file: &SourceFile<'_>) -> Vec<(SecretKind, usize)> {
    let mut found = Vec::new();
    let mut begin = 0;
    for block in file.lines.chunk_by(|a, b| a.hunk == b.hunk && a.is_added == b.is_added) {
        if block[0].is_added {
            let text = block.iter().map(|l| l.raw.as_ref()).collect::<Vec<_>>().join("\n");
            let (mut line, mut counted) = (0, 0);
            for secret in secrets::find(&text) {
                line += text[counted..secret.start()].matches('\n').count();
                counted = secret.start();
                if is_meant(file, &block[line], secret.kind) {
                    found.push((secret.kind, begin + line));
                }
            }
        }
        begin += block.len();
    }
    found
}

/// Whether no test and no documentation shows it as a sample.
fn is_meant(file: &SourceFile<'_>, line: &SourceLine<'_>, kind: SecretKind) -> bool {
    // A documentation text is one whose lines hold no code at all.
    let is_documentation = file.language.is_some() && line.code.trim().is_empty() && line.comment.is_empty();
    !line.in_tests && (kind.is_service_token() || kind == SecretKind::PrivateKey || !is_documentation)
}

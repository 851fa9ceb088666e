//! Images, clusters and clouds that are open to everyone or change by themselves.

use super::{
    language::Language::{Docker, Go, JavaScript, Json, Python, Rust, Shell, Terraform, Yaml},
    rule::{Check, Rule, RuleInfo, Scope, code, texts},
    source::{Site, SourceFile},
};
use crate::Severity;

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "floating-image-tag",
            title: "The image changes without a change here",
            severity: Severity::Minor,
            reason: "`latest` is another image tomorrow, so a build that worked may break or differ. Pin a version \
                     or a digest.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Docker], r"^\s*(?i:FROM)\s+(?:--\S+\s+)?[^\s$]+:latest(?:\s|$)"),
            code(&[Yaml], r"^\s*-?\s*image:\s*[^\s$]+:latest\s*$")
                .when(|site| !site.file.path.display().contains("compose")),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "unverified-remote-add",
            title: "A download enters the image unchecked",
            severity: Severity::Minor,
            reason: "Whatever the address serves at build time is taken. Give `--checksum`, or download and verify \
                     in one step.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Docker], r"^\s*ADD\s+(?:--\S+\s+)*https?://").unless("--checksum")]),
    },
    Rule {
        info: RuleInfo {
            id: "container-runs-as-root",
            title: "The container ends up running as root",
            severity: Severity::Minor,
            reason: "Whoever breaks out of the program is root, in the container and perhaps beyond. Switch to a \
                     user of its own as the last step.",
        },
        scope: Scope::Product,
        check: Check::Content(ends_as_root),
    },
    Rule {
        info: RuleInfo {
            id: "privileged-container",
            title: "The container has the rights of the host",
            severity: Severity::Major,
            reason: "A privileged container can load modules, mount disks and leave its cell. Grant the one \
                     capability that is needed.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Yaml], r"^\s*-?\s*privileged:\s*true\s*$")]),
    },
    Rule {
        info: RuleInfo {
            id: "world-writable",
            title: "Everyone on the machine may change this file",
            severity: Severity::Major,
            reason: "Any other account can replace what is read or run here. Give the one owner or group the right \
                     it needs.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Shell, Docker], r"\bchmod\s+(?:-\w+\s+)*(?:0?777|a\+rwx|o\+\w*w\w*|ugo\+\w*w\w*)\s"),
            code(&[Python], r"\bos\.(?:ch|lch|fch)mod\([^,]+,\s*0o?777\s*\)"),
            code(&[Go], r"\.Chmod\([^,]+,\s*0o?777\s*\)"),
            code(&[Rust], r"\bfrom_mode\(\s*0o777\s*\)"),
            code(&[JavaScript], r"\bchmod(?:Sync)?\([^,]+,\s*0o777\b"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "management-port-open",
            title: "A management or database port is open to the internet",
            severity: Severity::Major,
            reason: "Anyone can try passwords and exploits against it. Allow the networks that need it, or go \
                     through a bastion.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(&[Terraform], r#"\bcidr_blocks\s*=\s*\[\s*"0\.0\.0\.0/0""#).when(opens_management_port)
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "public-storage",
            title: "The storage can be read by everyone",
            severity: Severity::Major,
            reason: "All objects, later ones too, are on the internet. Serve what is meant to be public from a \
                     bucket of its own, and say so by its name.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(&[Terraform], r#"^\s*acl\s*=\s*"public-read(?:-write)?""#),
            code(&[Terraform], r"^\s*publicly_accessible\s*=\s*true\b"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "unencrypted-storage",
            title: "Encryption at rest is turned off",
            severity: Severity::Minor,
            reason: "A lost disk or snapshot is readable, and turning it on later means a new resource. Leave it on.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(
            &[Terraform],
            r"^\s*(?:storage_encrypted|encrypted|at_rest_encryption_enabled)\s*=\s*false\b",
        )]),
    },
    Rule {
        info: RuleInfo {
            id: "unlimited-permissions",
            title: "The policy allows every action on everything",
            severity: Severity::Major,
            reason: "Whoever takes over its holder owns the account. List the actions and resources that are needed.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(&[Terraform, Json, Yaml], r#""?\b(?i:actions?)"?\s*[:=]\s*\[?\s*["']\*["']"#).when(grants_everything)
        ]),
    },
];

/// How far apart the entries of one block stand.
const BLOCK_LINES: usize = 7;

/// Only a new file shows which user is the last one.
fn ends_as_root(file: &SourceFile<'_>) -> Vec<u32> {
    let mut users = file.lines.iter().filter(|l| l.code.starts_with("USER "));
    match users.next_back() {
        Some(line) if file.is_new && file.language == Some(Docker) => {
            let user = line.code[5..].trim();
            if matches!(user.split(':').next(), Some("root" | "0")) { vec![line.number] } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

fn opens_management_port(site: Site<'_>) -> bool {
    const PORTS: [&str; 8] = ["22", "3389", "3306", "5432", "6379", "9200", "27017", "1433"];
    let block = || site.around(BLOCK_LINES).map(|l| l.code.trim());
    let opens = |line: &str| {
        let value = line.split_once('=').filter(|(name, _)| matches!(name.trim(), "from_port" | "to_port"));
        value.is_some_and(|(_, port)| PORTS.contains(&port.trim()))
    };
    let is_egress = site
        .above(BLOCK_LINES)
        .map(|l| &l.uncommented)
        .find(|l| l.contains("gress"))
        .is_some_and(|l| l.contains("egress"));
    !is_egress && block().any(opens)
}

fn grants_everything(site: Site<'_>) -> bool {
    let names = |l: &str, what: &str| {
        let l = l.to_ascii_lowercase();
        l.contains(what) && (l.contains("\"*\"") || l.contains("'*'"))
    };
    let denies = |l: &str| l.to_ascii_lowercase().contains("deny");
    site.around(BLOCK_LINES).any(|l| names(&l.uncommented, "resource"))
        && !site.around(BLOCK_LINES).any(|l| denies(&l.uncommented))
}

//! Secrets, put together at run time.

use super::{added, changed, found};

/// The rules that these tests are about.
pub(super) const COVERED: &[&str] = &["private-key", "service-token", "hardcoded-password"];

const RANDOM: &str = "k7Qz2mX9vB4tR8wL3nY6pD5sF1gH0jKc";

fn github_token() -> String {
    format!("gh{}_{RANDOM}aB3d", "p")
}

fn private_key() -> String {
    let kind = "PRIVATE KEY";
    format!("-----BEGIN {kind}-----\n{RANDOM}{RANDOM}\n{RANDOM}{RANDOM}\n-----END {kind}-----")
}

fn ids(path: &str, text: &str) -> Vec<String> {
    found(&added(path, text)).into_iter().map(|(id, _)| id).collect()
}

#[test]
fn a_service_token_is_found_in_any_file() {
    for path in ["src/a.rs", "README.md", "deploy/values.yaml", "tests/a.py", "config.ini"] {
        assert_eq!(ids(path, &format!("x: '{}'", github_token())), ["service-token"], "{path}");
    }
}

#[test]
fn a_finding_never_shows_the_secret() {
    let diff = added("src/a.py", &format!("token = '{}'", github_token()));
    let findings = super::review_by_rules(&diff, &[0]);
    assert_eq!(findings.len(), 1);
    assert!(!format!("{findings:?}").contains(RANDOM));
}

#[test]
fn a_private_key_is_found_at_its_first_line_of_content() {
    let diff = added("deploy/key.pem", &format!("# a\n{}", private_key()));
    assert_eq!(found(&diff), [("private-key".to_owned(), Some(3))]);
    assert_eq!(ids("tests/fixtures/key.pem", &private_key()), [""; 0]);
}

#[test]
fn a_password_is_found_in_code_and_not_in_tests_or_prose() {
    let line = format!("password = \"{}\"", &RANDOM[..20]);
    assert_eq!(ids("src/a.py", &line), ["hardcoded-password"]);
    for path in ["tests/a.py", "README.md", "locale/de.po"] {
        assert_eq!(ids(path, &line), [""; 0], "{path}");
    }
    assert_eq!(ids("src/a.py", &format!("\"\"\"Call it so:\n    {line}\n\"\"\"")), [""; 0]);
    assert_eq!(ids("src/a.py", "password = os.environ['DB_PASSWORD']"), [""; 0]);
    assert_eq!(
        ids("src/a.rs", &format!("#[cfg(test)]\nmod tests {{\n    const PASSWORD: &str = \"\";\n    {line};\n}}")),
        [""; 0]
    );
}

#[test]
fn a_secret_that_was_there_before_is_not_reported() {
    let context = format!(" password = \"{}\"", &RANDOM[..20]);
    assert_eq!(found(&changed("src/a.py", "", &[&context, "+x = 1"])), []);
    let removed = context.replacen(' ', "-", 1);
    assert_eq!(found(&changed("src/a.py", "", &[&removed, "+x = 1"])), []);
}

use proptest::prelude::*;

use super::*;

/// Text that looks random and is the same at every run. Made here, so that no secret stands in this file.
fn random(length: usize, alphabet: &[u8]) -> String {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        alphabet[usize::try_from(state % alphabet.len() as u64).unwrap()] as char
    };
    (0..length).map(|_| next()).collect()
}

fn letters(length: usize) -> String {
    random(length, b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789")
}

fn upper(length: usize) -> String {
    random(length, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
}

fn key(prefix: &str, break_with: &str) -> String {
    let lines: Vec<String> = (0..4).map(|_| format!("{prefix}{}", letters(64))).collect();
    let kind = "RSA PRIVATE KEY";
    format!(
        "{prefix}-----BEGIN {kind}-----{break_with}{}{break_with}{prefix}-----END {kind}-----",
        lines.join(break_with)
    )
}

#[test]
fn every_kind_is_taken_out_and_named() {
    for (kind, secret) in [
        ("aws-key", format!("AKIA{}", upper(16))),
        ("github-token", format!("ghp_{}", letters(36))),
        ("github-token", format!("ghs_{}", letters(36))),
        ("github-token", format!("github_pat_{}", letters(82))),
        ("gitlab-token", format!("glpat-{}", letters(20))),
        ("google-key", format!("AIza{}", letters(35))),
        ("slack-token", format!("xoxb-{}", letters(40))),
        ("stripe-key", format!("sk_live_{}", letters(24))),
        ("model-key", format!("sk-{}", letters(48))),
        ("model-key", format!("sk-ant-api03-{}", letters(90))),
        ("npm-token", format!("npm_{}", letters(36))),
        ("pypi-token", format!("pypi-AgEI{}", letters(60))),
        ("sendgrid-key", format!("SG.{}.{}", letters(22), letters(43))),
        ("jwt", format!("eyJ{}.eyJ{}.{}", letters(20), letters(60), letters(43))),
    ] {
        let text = format!("let a = \"{secret}\";\nb");
        assert_eq!(
            redact(&text),
            Redacted { text: format!("let a = \"[redacted:{kind}]\";\nb").into(), count: 1 },
            "{secret}"
        );
    }
}

#[test]
fn a_password_is_told_by_its_name_and_its_look() {
    for (before, value, after) in [
        ("password = \"", format!("{}!", letters(11)), "\""),
        ("  \"db_password\": \"", letters(20), "\","),
        ("API_KEY=", letters(32), "\n"),
        ("config['secret_key'] = '", letters(40), "'"),
        ("clientSecret := \"", letters(24), "\""),
        ("postgres://app:", letters(12), "@db.acme.io/main"),
    ] {
        let text = format!("{before}{value}{after}");
        let redacted = redact(&text);
        assert_eq!(redacted.count, 1, "{text}");
        assert!(!redacted.text.contains(&value), "{text}");
        assert!(redacted.text.starts_with(before) && redacted.text.ends_with(after), "{}", redacted.text);
    }
}

#[test]
fn placeholders_names_and_code_are_no_secrets() {
    for text in [
        "password = \"changeme123!\"",
        "password: \"${DB_PASSWORD}\"",
        "password = \"<your-password>\"",
        "api_key: str = os.environ[\"API_KEY_V2_PRODUCTION\"]",
        "token = get_token_from_header_v2(request)",
        "secret_name = \"billing-service-v2-credentials\"",
        "password_field = \"user[password_confirmation_2]\"",
        "\"token\": \"invalid_grant\"",
        "token: OAuth2AccessTokenResponse2024",
        "postgres://app:s3cretpass@localhost:5432/main",
        "postgres://user:pass@db.example.com/x",
        "https://docs.acme.io/a:b@c",
        "AKIAIOSFODNN7EXAMPLE",
        "class=\"sk-spinner-double-bounce-animation\"",
        "disk-encryption-set-identity-reference-name",
        "-----BEGIN PRIVATE KEY-----",
        "if line == \"-----BEGIN RSA PRIVATE KEY-----\" || line == \"-----END RSA PRIVATE KEY-----\" {",
    ] {
        assert_eq!(redact(text), Redacted { text: text.into(), count: 0 });
    }
    let row = format!("ghp_{}", "a".repeat(36));
    assert_eq!(redact(&row).count, 0);
}

#[test]
fn a_private_key_is_taken_out_line_by_line() {
    for prefix in ["", "+", "  12 + ", "    \""] {
        let text = format!("before\n{}\nafter", key(prefix, "\n"));
        let redacted = redact(&text);
        assert_eq!(redacted.count, 1, "{prefix:?}");
        assert_eq!(redacted.text.lines().count(), text.lines().count());
        assert_eq!(redacted.text.lines().nth(2).unwrap(), format!("{prefix}[redacted:private-key]"));
        assert!(!redacted.text.contains(&letters(64)) && redacted.text.ends_with("after"));
    }
}

#[test]
fn a_private_key_on_one_line_or_cut_off_is_taken_out_too() {
    let one_line = format!("KEY=\"{}\"", key("", "\\n"));
    let redacted = redact(&one_line);
    assert_eq!((redacted.count, redacted.text.contains(&letters(30))), (1, false), "{}", redacted.text);

    let whole = key("", "\n");
    let cut = format!("{}\n}}\nfn main() {{ internationalisation() }}", whole.rsplit_once('\n').unwrap().0);
    let redacted = redact(&cut);
    assert_eq!((redacted.count, redacted.text.contains(&letters(30))), (1, false));
    assert!(redacted.text.ends_with("fn main() { internationalisation() }"));
}

#[test]
fn two_secrets_on_a_line_are_both_taken_out() {
    let text = format!("a=ghp_{} b=ghp_{}", letters(36), letters(37));
    assert_eq!(redact(&text).text, "a=[redacted:github-token] b=[redacted:github-token]");
}

proptest! {
    #[test]
    fn any_text_is_redacted_without_a_panic_and_only_once(text in "(?s).{0,300}") {
        let once = redact(&text);
        prop_assert_eq!(redact(&once.text).count, 0);
    }

    #[test]
    fn pieces_of_secrets_never_panic(pieces in proptest::collection::vec("-----BEGIN PRIVATE KEY-----|-----END PRIVATE KEY-----|[A-Za-z0-9+/]{40}|\\n|é|password = \"|\"|://a:|@b.c|eyJ", 0..40)) {
        redact(&pieces.concat());
    }
}

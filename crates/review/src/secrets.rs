//! Secrets in text: found for the rule reviewer, and taken out before a text is sent to a model.
//!
//! A secret is told by the format that its issuer gives it, or by a telling name beside a value that looks random.
//! Samples and placeholders are left alone. Every pattern runs in linear time.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use regex::Regex;

/// How far behind its first line the last line of a private key is looked for; an RSA key of 16,384 bits has 13 KB.
const MAX_KEY_BYTES: usize = 16 << 10;

/// A shorter run of base64 in a private key tells nothing.
const MIN_KEY_RUN: usize = 8;

/// A key has at least this much base64; anything less is a heading without a key.
const MIN_KEY_BYTES: usize = 64;

/// Bits a character below which a value is more likely a word than a password.
const MIN_PASSWORD_ENTROPY: f64 = 2.9;

/// Bits a character below which a token is a sample, such as a row of the same letter.
const MIN_TOKEN_ENTROPY: f64 = 3.0;

/// How much of a name is read.
const MAX_NAME_BYTES: usize = 40;

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted<'a> {
    /// The text, with `[redacted:<kind>]` in place of each secret. Line breaks stay where they were.
    pub text: Cow<'a, str>,
    /// How many secrets were taken out.
    pub count: usize,
}

/// Takes the secrets out of a text. Give it whole files or hunks rather than single lines: a private key spans many.
pub fn redact(text: &str) -> Redacted<'_> {
    let secrets = find(text);
    if secrets.is_empty() {
        return Redacted { text: Cow::Borrowed(text), count: 0 };
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for secret in &secrets {
        for part in &secret.parts {
            out.push_str(&text[copied..part.start]);
            out.push_str("[redacted:");
            out.push_str(secret.kind.as_str());
            out.push(']');
            copied = part.end;
        }
    }
    out.push_str(&text[copied..]);
    Redacted { text: Cow::Owned(out), count: secrets.len() }
}

/// What a secret opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretKind {
    PrivateKey,
    AwsKey,
    GithubToken,
    GitlabToken,
    GoogleKey,
    SlackToken,
    StripeKey,
    ModelKey,
    NpmToken,
    PypiToken,
    SendgridKey,
    Jwt,
    ConnectionPassword,
    Password,
}

/// A secret and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) kind: SecretKind,
    /// The bytes to take out, in order: one run, or one for each line of a key. Never empty.
    parts: Vec<Range<usize>>,
}

impl Secret {
    /// The byte at which it begins.
    pub(crate) fn start(&self) -> usize {
        self.parts.first().map_or(0, |p| p.start)
    }

    fn end(&self) -> usize {
        self.parts.last().map_or(0, |p| p.end)
    }
}

impl SecretKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKey => "private-key",
            Self::AwsKey => "aws-key",
            Self::GithubToken => "github-token",
            Self::GitlabToken => "gitlab-token",
            Self::GoogleKey => "google-key",
            Self::SlackToken => "slack-token",
            Self::StripeKey => "stripe-key",
            Self::ModelKey => "model-key",
            Self::NpmToken => "npm-token",
            Self::PypiToken => "pypi-token",
            Self::SendgridKey => "sendgrid-key",
            Self::Jwt => "jwt",
            Self::ConnectionPassword => "connection-password",
            Self::Password => "password",
        }
    }

    /// Whether an issuer gave it a format that nothing else has.
    pub(crate) const fn is_service_token(self) -> bool {
        !matches!(self, Self::PrivateKey | Self::ConnectionPassword | Self::Password)
    }

    fn of_token(token: &str) -> Self {
        let kinds = [
            ("AKIA", Self::AwsKey),
            ("ASIA", Self::AwsKey),
            ("gh", Self::GithubToken),
            ("github_pat_", Self::GithubToken),
            ("glpat-", Self::GitlabToken),
            ("AIza", Self::GoogleKey),
            ("xox", Self::SlackToken),
            ("sk_", Self::StripeKey),
            ("rk_", Self::StripeKey),
            ("sk-", Self::ModelKey),
            ("npm_", Self::NpmToken),
            ("pypi-", Self::PypiToken),
            ("SG.", Self::SendgridKey),
        ];
        kinds.iter().find(|(prefix, _)| token.starts_with(prefix)).map_or(Self::Jwt, |(_, kind)| *kind)
    }
}

static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"A(?:KIA|SIA)[A-Z2-7]{16}|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{40,255}|glpat-[A-Za-z0-9_-]{20,64}",
        r"|AIza[A-Za-z0-9_-]{35}|xox[abeoprs]-[A-Za-z0-9-]{20,255}|[sr]k_live_[A-Za-z0-9]{16,255}",
        r"|sk-(?:ant-|proj-|svcacct-|or-)?[A-Za-z0-9_-]{24,255}|npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{40,255}",
        r"|SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{32,64}",
        r"|eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{16,1000}",
    ))
});

static KEY_BEGIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-{5}BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-{5}"));

static KEY_END: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"-{5}END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-{5}"));

static CONNECTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"://[^\s:/@"'`<>]{0,64}:(?P<value>[^\s/@"'`<>]{6,128})@(?P<host>[A-Za-z0-9._-]{1,255})"#)
});

static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?im)(?:passw(?:or)?d|passphrase|pwd|secret|(?:api|access|private|secret)[_-]?key|token)"#,
        r#"["'\]]{0,2}\s{0,8}(?::=|=>|=|:)\s{0,8}"#,
        r#"(?:"(?P<double>[^"\s]{8,200})"|'(?P<single>[^'\s]{8,200})'|(?P<bare>[A-Za-z0-9+/_=-]{16,200})(?:\s{0,4}$))"#,
    ))
});

fn pattern(text: &str) -> Regex {
    // Every pattern is a literal of this file, and the tests use them all.
    #[expect(clippy::expect_used, reason = "the patterns are literals that the tests use")]
    Regex::new(text).expect("a built-in pattern is valid")
}

/// All secrets of a text, in order, none within another.
pub(crate) fn find(text: &str) -> Vec<Secret> {
    let mut found = private_keys(text);
    found.extend(tokens(text));
    found.extend(connection_passwords(text));
    found.extend(named_values(text));
    // The more telling kind comes first and wins where two overlap.
    found.sort_by_key(Secret::start);
    let mut end = 0;
    found.retain(|secret| {
        let is_free = secret.start() >= end;
        if is_free {
            end = secret.end();
        }
        is_free
    });
    found
}

fn private_keys(text: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(begin) = KEY_BEGIN.find_at(text, from) {
        let limit = text.floor_char_boundary((begin.end() + MAX_KEY_BYTES).min(text.len()));
        // A second beginning before an end belongs to another key.
        let limit = KEY_BEGIN.find(&text[begin.end()..limit]).map_or(limit, |next| begin.end() + next.start());
        let body = KEY_END.find(&text[begin.end()..limit]).map_or_else(
            || begin.end()..unended_key(text, begin.end(), limit),
            |end| begin.end()..begin.end() + end.start(),
        );
        from = body.end.max(begin.end());
        let mut parts = base64_runs(text, body);
        if parts.iter().map(Range::len).sum::<usize>() >= MIN_KEY_BYTES {
            parts.dedup_by(|next, before| {
                // On one line, the pieces of a key are one.
                let joins = !text[before.end..next.start].contains('\n');
                if joins {
                    before.end = next.end;
                }
                joins
            });
            found.push(Secret { kind: SecretKind::PrivateKey, parts });
        }
    }
    found
}

/// Where a key ends whose last line is missing, as in a cut-off diff: before the first line without base64.
fn unended_key(text: &str, from: usize, limit: usize) -> usize {
    let mut end = from;
    for (index, line) in text[from..limit].split_inclusive('\n').enumerate() {
        if index > 0 && base64_runs(text, end..end + line.len()).iter().all(|r| r.len() < MIN_KEY_RUN * 4) {
            break;
        }
        end += line.len();
    }
    end
}

/// Runs of base64. A `+` in the first column is a diff's mark and no part of one.
fn base64_runs(text: &str, within: Range<usize>) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    let mut runs = Vec::new();
    let mut at = within.start;
    while at < within.end {
        let is_mark = bytes[at] == b'+' && (at == 0 || bytes[at - 1] == b'\n');
        let escaped = bytes[at] == b'n' && at > 0 && bytes[at - 1] == b'\\';
        if is_mark || escaped || !is_base64(bytes[at]) {
            at += 1;
            continue;
        }
        let length = bytes[at..within.end].iter().take_while(|b| is_base64(**b)).count();
        if length >= MIN_KEY_RUN {
            runs.push(at..at + length);
        }
        at += length;
    }
    runs
}

fn tokens(text: &str) -> impl Iterator<Item = Secret> {
    TOKEN.find_iter(text).filter_map(|found| {
        let token = found.as_str();
        let kind = SecretKind::of_token(token);
        let before = text[..found.start()].chars().next_back();
        let after = text[found.end()..].chars().next();
        let is_whole = !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '+'))
            && !after.is_some_and(char::is_alphanumeric);
        // `sk-` alone could begin a CSS class.
        let is_varied = kind != SecretKind::ModelKey || has_mixed_characters(token);
        (is_whole && is_varied && entropy(token) >= MIN_TOKEN_ENTROPY && !is_sample(token))
            .then(|| Secret { kind, parts: vec![found.range()] })
    })
}

fn connection_passwords(text: &str) -> impl Iterator<Item = Secret> {
    /// Hosts of one's own machine, where the password opens nothing to others.
    const LOCAL: [&str; 4] = ["localhost", "127.0.0.1", "0.0.0.0", "host.docker.internal"];
    CONNECTION.captures_iter(text).filter_map(|captures| {
        let (value, host) = (captures.name("value")?, captures.name("host")?.as_str());
        let is_public = host.contains('.') && !LOCAL.contains(&host) && !host.contains("example");
        (is_public && !is_placeholder(value.as_str()))
            .then(|| Secret { kind: SecretKind::ConnectionPassword, parts: vec![value.range()] })
    })
}

fn named_values(text: &str) -> impl Iterator<Item = Secret> {
    /// Words in a name that say that the value opens nothing.
    const FOR_SHOW: [&str; 8] = ["test", "fake", "dummy", "mock", "sample", "example", "placeholder", "public"];
    NAMED.captures_iter(text).filter_map(|captures| {
        let name = name_before(text, captures.get_match().start()).to_ascii_lowercase();
        let quoted = captures.name("double").or_else(|| captures.name("single"));
        let value = quoted.or_else(|| captures.name("bare"))?;
        let looks_secret = if quoted.is_some() { looks_like_password } else { looks_like_key };
        (!FOR_SHOW.iter().any(|w| name.contains(w)) && !is_placeholder(value.as_str()) && looks_secret(value.as_str()))
            .then(|| Secret { kind: SecretKind::Password, parts: vec![value.range()] })
    })
}

/// What stands before the telling word in its name.
fn name_before(text: &str, word: usize) -> &str {
    let is_of_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let length = text.as_bytes()[..word].iter().rev().take(MAX_NAME_BYTES).take_while(|b| is_of_name(b)).count();
    &text[word - length..word]
}

/// A quoted value is a password when no identifier, path or word looks like it.
fn looks_like_password(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    let has_sign =
        value.bytes().any(|b| matches!(b, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'?' | b'~'));
    value.is_ascii()
        && digits >= 1
        && letters >= 2
        && entropy(value) >= MIN_PASSWORD_ENTROPY
        && !value.contains(['(', ')', '{', '}', '[', ']', '<', '>', '\\', ','])
        && (has_sign && !value.contains(['/', ':', '=']) || looks_like_key(value))
}

/// An unquoted value could be code: only one that is plainly random counts.
fn looks_like_key(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    value.len() >= 16
        && digits >= 3
        && value.bytes().any(|b| b.is_ascii_alphabetic())
        && entropy(value) >= MIN_TOKEN_ENTROPY
        && longest_word(value) <= 7
        && !value.contains(['(', '.', ':', ' '])
        && value.bytes().filter(|b| *b == b'/').count() <= 3
}

/// The longest run of letters of one case: random text has short ones.
fn longest_word(value: &str) -> usize {
    let (mut longest, mut run, mut before) = (0, 0, 0_u8);
    for byte in value.bytes() {
        let case = if byte.is_ascii_lowercase() { 1 } else { u8::from(byte.is_ascii_uppercase()) * 2 };
        run = if case != 0 && case == before { run + 1 } else { usize::from(case != 0) };
        before = case;
        longest = longest.max(run);
    }
    longest
}

fn has_mixed_characters(token: &str) -> bool {
    token.bytes().filter(u8::is_ascii_digit).count() >= 2
        && token.bytes().filter(u8::is_ascii_uppercase).count() >= 2
        && token.bytes().filter(u8::is_ascii_lowercase).count() >= 2
}

/// A token that documentation shows.
fn is_sample(token: &str) -> bool {
    let lower = token.to_ascii_lowercase();
    ["example", "xxxx", "placeholder", "redacted", "dummy", "your", "1234567890", "abcdefgh", "00000000"]
        .iter()
        .any(|sample| lower.contains(sample))
}

/// A value that stands for the real one, or says where to find it.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    is_sample(value)
        || value.starts_with(['$', '%', '{', '<', '*', '.', '/', '@', ':', '#'])
        || ["${", "{{", "%(", "$(", "#{", "...", "process.env", "environ", "getenv"].iter().any(|w| lower.contains(w))
        || [
            "changeme",
            "change_me",
            "change-me",
            "password",
            "passwd",
            "secret",
            "token",
            "sample",
            "fake",
            "test",
            "todo",
            "insert",
            "replace",
            "123456",
            "foobar",
            "hunter2",
            "default",
            "postgres",
            "admin",
            "guest",
        ]
        .iter()
        .any(|w| lower.contains(w))
}

/// Shannon's entropy, in bits a byte.
#[expect(clippy::cast_precision_loss, reason = "a value is a few thousand bytes at most")]
fn entropy(value: &str) -> f64 {
    let mut counts = [0_usize; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    counts.iter().filter(|c| **c > 0).map(|c| *c as f64 / length).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests;

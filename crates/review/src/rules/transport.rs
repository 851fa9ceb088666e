//! Connections that trust whoever answers.

use super::{
    language::Language::{C, CSharp, Docker, Go, Java, JavaScript, Kotlin, Php, Python, Ruby, Rust, Shell, Yaml},
    rule::{Check, Rule, RuleInfo, Scope, code, raw, texts},
    source::Site,
};
use crate::Severity;

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "tls-verification-disabled",
            title: "The server's certificate is not checked",
            severity: Severity::Major,
            reason: "Anyone on the way can answer in the server's place and read or change all that is sent. Trust \
                     the issuing authority explicitly instead of trusting everyone.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Python], r"\bverify\s*=\s*False\b").when(speaks_http),
            code(&[Python], r"\bssl\._create_unverified_context\b|\bcheck_hostname\s*=\s*False\b"),
            code(&[Python], r"\b(?:verify_mode|cert_reqs)\s*=\s*ssl\.CERT_NONE\b"),
            code(&[Go], r"\bInsecureSkipVerify\s*[:=]\s*true\b"),
            code(&[JavaScript], r"(?:^|[^.\w])rejectUnauthorized\s*:\s*false\b|\brejectUnauthorized\s*=\s*false\b"),
            texts(&[JavaScript], r#"\bprocess\.env(?:\.|\[['"])NODE_TLS_REJECT_UNAUTHORIZED(?:['"]\])?\s*=\s*['"]?0"#),
            code(&[Rust], r"\bdanger_accept_invalid_(?:certs|hostnames)\(\s*true\s*\)"),
            code(&[Php, C], r"\bCURLOPT_SSL_VERIFY(?:PEER|HOST)\b[\s,=>]+(?:0L?|false|FALSE)\b"),
            code(&[Java, Kotlin], r"\b(?:NoopHostnameVerifier|ALLOW_ALL_HOSTNAME_VERIFIER|AllowAllHostnameVerifier)\b")
                .unless(r"^\s*import\b"),
            code(&[Ruby], r"\bOpenSSL::SSL::VERIFY_NONE\b"),
            code(&[CSharp], r"\bDangerousAcceptAnyServerCertificateValidator\b"),
            code(&[Shell, Docker], r"\bcurl\b(?:\s+[^|;&]*)?\s(?:-[a-zA-Z]*k[a-zA-Z]*|--insecure)(?:\s|$)")
                .unless(LOCAL),
            code(&[Shell, Docker], r"\bwget\b[^|;&]*\s--no-check-certificate\b").unless(LOCAL),
            code(&[Shell, Docker, Yaml], r"\bGIT_SSL_NO_VERIFY\s*[=:]\s*(?:1|true)\b|\bhttp\.sslVerify[ =]false\b"),
            code(&[Yaml], r"^\s*-?\s*(?:insecure_skip_verify|insecureSkipVerify|insecureSkipTLSVerify)\s*:\s*true\b"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "host-key-check-disabled",
            title: "The SSH server's key is not checked",
            severity: Severity::Major,
            reason: "Anyone on the way can pose as the server and take the commands, files and passwords sent to \
                     it. Ship the known host keys with the program.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Python], r"\bset_missing_host_key_policy\(.*\b(?:AutoAddPolicy|WarningPolicy)\b"),
            code(&[Go], r"\bssh\.InsecureIgnoreHostKey\(\s*\)"),
            code(&[Shell, Docker], r"\bStrictHostKeyChecking[= ]no\b"),
            raw(&[Yaml], r"^[^#]*\s-o\s*['\x22]?StrictHostKeyChecking=no\b"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "cors-any-origin-with-credentials",
            title: "Any website may call with the user's cookies",
            severity: Severity::Major,
            reason: "With credentials allowed for every origin, a page of an attacker acts as its visitor. List the \
                     origins that may.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(&[JavaScript], r#"\borigin\s*:\s*(?:['"]\*['"]|true\b)"#)
                .when(|site| near(site, &["credentials: true", "credentials:true"])),
            texts(&[Python], r#"\ballow_origins\s*=\s*\[\s*['"]\*['"]\s*\]"#)
                .when(|site| near(site, &["allow_credentials=True", "allow_credentials = True"])),
            texts(&[Java, Kotlin], r#"\.allowedOriginPatterns\(\s*"\*"\s*\)"#)
                .when(|site| near(site, &["allowCredentials(true)"])),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "debug-server",
            title: "The development server starts in debug mode",
            severity: Severity::Minor,
            reason: "Flask's debugger runs any Python that a visitor types into its error page. Take the flag from \
                     the environment, off by default.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[code(&[Python], r"\bapp\.run\(.*\bdebug\s*=\s*True\b")]),
    },
];

/// A server on one's own machine needs no authority.
const LOCAL: &str = r"\b(?:localhost|127\.0\.0\.1)\b|\[::1\]";

/// How far apart the settings of one call stand.
const SAME_CALL_LINES: usize = 6;

fn near(site: Site<'_>, wanted: &[&str]) -> bool {
    site.around(SAME_CALL_LINES).any(|l| wanted.iter().any(|w| l.code.contains(w)))
}

/// `verify=False` means other things elsewhere.
fn speaks_http(site: Site<'_>) -> bool {
    /// Clients that take the argument.
    const CLIENTS: [&str; 5] = ["requests.", "httpx.", "session.", "Session(", "aiohttp."];
    let call = site.above(SAME_CALL_LINES).chain([site.line()]);
    call.into_iter().any(|l| CLIENTS.iter().any(|c| l.code.contains(c))) && !site.line().code.contains("decode(")
}

//! Cryptography that does not protect.

use super::{
    language::Language::{C, Go, Java, JavaScript, Kotlin, Php, Python, Ruby, Rust},
    rule::{Check, Rule, RuleInfo, Scope, code, texts},
};
use crate::Severity;

/// A name of something that nobody may guess.
macro_rules! secret_name {
    () => {
        r"(?i:password|secret|otp|salt|(?:auth|access|reset|session|csrf|api)_?(?:token|key|id))"
    };
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        info: RuleInfo {
            id: "weak-password-hash",
            title: "A password is hashed with a fast, broken hash",
            severity: Severity::Major,
            reason: "MD5 and SHA-1 are computed billions of times a second, so a stolen table is read in hours. Use \
                     Argon2id, scrypt or bcrypt.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Python], r"\bhashlib\.(?:md5|sha1)\(\s*\w*(?i:passw|pwd)"),
            texts(&[JavaScript], r#"\bcreateHash\(\s*['"](?:md5|sha1)['"]\s*\)\s*\.update\(\s*\w*(?i:passw|pwd)"#),
            code(&[Php], r"(?:^|[^\w>:$])(?:md5|sha1)\(\s*\$\w*(?i:passw|pwd)"),
            code(&[Go], r"\b(?:md5|sha1)\.Sum\(\s*\[\]byte\(\s*\w*(?i:passw|pwd)"),
            code(&[Ruby], r"\bDigest::(?:MD5|SHA1)\.\w+\(\s*\w*(?i:passw|pwd)"),
            code(&[Java, Kotlin], r"\bDigestUtils\.(?:md5|sha1)\w*\(\s*\w*(?i:passw|pwd)"),
            code(&[Rust], r"\b(?:Md5|Sha1)::digest\(\s*&?\w*(?i:passw|pwd)|\bmd5::compute\(\s*&?\w*(?i:passw|pwd)"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "weak-cipher",
            title: "A broken cipher or mode of encryption",
            severity: Severity::Major,
            reason: "DES and RC4 are broken, and ECB shows which blocks are equal. Use AES-GCM or ChaCha20-Poly1305.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(&[Java, Kotlin], r#"\bCipher\.getInstance\(\s*"(?:AES/ECB\b[^"]*|DES(?:ede)?(?:/[^"]*)?|RC4|AES)""#),
            code(&[Python], r"\bAES\.MODE_ECB\b|\bmodes\.ECB\(|\b(?:DES|ARC4)\.new\("),
            texts(&[JavaScript], r#"\bcreateCipheriv\(\s*['"](?i:aes-\d+-ecb|des|des-[a-z]+|rc4)['"]"#),
            code(&[JavaScript], r"\bcrypto\.createCipher\("),
            code(&[Go], r"\b(?:des\.New(?:TripleDES)?Cipher|rc4\.NewCipher)\("),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "predictable-secret",
            title: "A secret is made from a predictable random number",
            severity: Severity::Major,
            reason: "The generator is made for simulations: whoever sees some of its numbers knows the next. Use \
                     the system's cryptographic source.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[JavaScript], concat!(secret_name!(), r"\w*\s*[:=][^=].*\bMath\.random\(")),
            code(
                &[Python],
                concat!(
                    secret_name!(),
                    r"\w*\s*=[^=].*\brandom\.(?:choices?|randint|random|sample|randrange|getrandbits)\("
                ),
            )
            .unless(r"SystemRandom|secrets\."),
            code(&[Java, Kotlin], concat!(secret_name!(), r"\w*\s*=[^=].*(?:\bnew Random\(|\bMath\.random\()")),
            code(
                &[Php],
                r"\$\w*(?i:password|secret|otp|salt|token)\w*\s*=[^=].*(?:^|[^\w>:$])(?:rand|mt_rand|uniqid)\(",
            ),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "jwt-verification-disabled",
            title: "A token is read without checking its signature",
            severity: Severity::Major,
            reason: "Anyone can write a token that says anything. Verify it with the issuer's key and a fixed \
                     algorithm.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            texts(&[Python], r#"['"]verify_signature['"]\s*:\s*False\b|\bjwt\.decode\(.*\bverify\s*=\s*False\b"#),
            texts(&[Python, JavaScript, Ruby], r#"\balgorithms?['"]?\s*[:=]\s*\[?\s*['"](?i:none)['"]"#),
            code(&[Rust], r"\binsecure_disable_signature_validation\(\s*\)|\bdangerous::insecure_decode\("),
            code(&[Go], r"\bjwt\.UnsafeAllowNoneSignatureType\b"),
            code(&[Ruby], r"\bJWT\.decode\(?\s*\w+\s*,\s*nil\s*,\s*false\b"),
        ]),
    },
    Rule {
        info: RuleInfo {
            id: "insecure-temporary-file",
            title: "A temporary file's name is given before the file exists",
            severity: Severity::Minor,
            reason: "Another process can put its own file or link there in between. Use the call that makes and \
                     opens the file in one step.",
        },
        scope: Scope::Product,
        check: Check::Lines(&[
            code(&[Python], r"\btempfile\.mktemp\("),
            code(&[C], r"(?:^|[^\w.>])(?:tmpnam|tempnam|mktemp)\s*\(").unless(r"^\s*#"),
        ]),
    },
];

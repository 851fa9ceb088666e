/// Bytes of an identifier; what is longer is data (a digest, base64), not a name.
const IDENTIFIER_BYTES_MAX: usize = 64;
/// Bytes of a part of an identifier; a single letter tells nothing.
const PART_BYTES_MIN: usize = 2;

/// Keywords of common languages and words of comments that stand everywhere, and so tell nothing. Lower case.
pub(super) const STOP_WORDS: &[&str] = &[
    "abstract",
    "an",
    "and",
    "are",
    "as",
    "async",
    "await",
    "be",
    "bool",
    "boolean",
    "break",
    "by",
    "case",
    "catch",
    "char",
    "class",
    "const",
    "continue",
    "crate",
    "def",
    "default",
    "defer",
    "del",
    "do",
    "double",
    "dyn",
    "elif",
    "else",
    "end",
    "enum",
    "err",
    "except",
    "export",
    "extends",
    "extern",
    "false",
    "final",
    "finally",
    "float",
    "fn",
    "for",
    "from",
    "func",
    "function",
    "go",
    "if",
    "impl",
    "implements",
    "import",
    "in",
    "include",
    "instanceof",
    "int",
    "interface",
    "is",
    "it",
    "lambda",
    "let",
    "long",
    "loop",
    "match",
    "mod",
    "module",
    "mut",
    "namespace",
    "new",
    "nil",
    "none",
    "not",
    "null",
    "of",
    "ok",
    "on",
    "or",
    "override",
    "package",
    "pass",
    "private",
    "protected",
    "pub",
    "public",
    "raise",
    "ref",
    "require",
    "return",
    "self",
    "short",
    "some",
    "static",
    "str",
    "string",
    "struct",
    "super",
    "switch",
    "the",
    "then",
    "this",
    "throw",
    "throws",
    "to",
    "trait",
    "true",
    "try",
    "type",
    "typedef",
    "typeof",
    "undefined",
    "union",
    "unsafe",
    "unsigned",
    "use",
    "using",
    "var",
    "virtual",
    "void",
    "where",
    "while",
    "with",
    "yield",
];

/// Whether a byte can stand in an identifier. All of UTF-8 beyond ASCII can, so that names in other scripts stay whole.
pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The identifiers of a text with the byte at which each starts. Numbers and what is too long to be a name are left out.
pub(super) fn identifiers(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + bytes[at..].iter().position(|b| is_word(*b))?;
            at = start + bytes[start..].iter().position(|b| !is_word(*b)).unwrap_or(bytes.len() - start);
            if !bytes[start].is_ascii_digit() && at - start <= IDENTIFIER_BYTES_MAX {
                // Bytes beyond ASCII are all word bytes, so that both ends stand between characters.
                return Some((start, &text[start..at]));
            }
        }
    })
}

/// Gives the terms of an identifier, in lower case: the whole, and its parts if it has several. `HTTPServer2_start` is
/// `httpserver2_start`, `http`, `server` and `start`. Case is folded in ASCII only.
pub(super) fn terms(identifier: &str, lower: &mut String, mut each: impl FnMut(&str)) {
    lower.clear();
    lower.push_str(identifier);
    lower.make_ascii_lowercase();
    each(lower);
    let bytes = identifier.as_bytes();
    let mut start = 0;
    for at in 1..=bytes.len() {
        if at == bytes.len() || is_boundary(bytes, at) {
            let part = lower[start..at].trim_matches('_');
            let whole = part.len() == lower.len();
            if !whole && part.len() >= PART_BYTES_MIN && !part.as_bytes()[0].is_ascii_digit() {
                each(part);
            }
            start = at;
        }
    }
}

/// Whether a part ends before `at`. Only between ASCII characters, so that a boundary never cuts a character.
fn is_boundary(bytes: &[u8], at: usize) -> bool {
    let (before, here) = (bytes[at - 1], bytes[at]);
    match (before, here) {
        (b'_', _) | (_, b'_') => before.is_ascii() && here.is_ascii(),
        _ if here.is_ascii_uppercase() => {
            let starts_word = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            before.is_ascii_lowercase() || before.is_ascii_digit() || (before.is_ascii_uppercase() && starts_word)
        }
        _ => before.is_ascii() && here.is_ascii() && before.is_ascii_digit() != here.is_ascii_digit(),
    }
}

/// Whether `text` holds `word` with no word byte around it.
pub(super) fn holds_word(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memmem::find_iter(bytes, word).any(|at| {
        let end = at + word.len();
        (at == 0 || !is_word(bytes[at - 1])) && bytes.get(end).is_none_or(|b| !is_word(*b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(identifier: &str) -> Vec<String> {
        let mut found = Vec::new();
        terms(identifier, &mut String::new(), |t| found.push(t.to_owned()));
        found
    }

    #[test]
    fn identifiers_are_split_where_a_reader_would() {
        assert_eq!(split("connection_pool"), ["connection_pool", "connection", "pool"]);
        assert_eq!(split("HTTPServer2_start"), ["httpserver2_start", "http", "server", "start"]);
        assert_eq!(split("parseJSON"), ["parsejson", "parse", "json"]);
        assert_eq!(split("sha256Digest"), ["sha256digest", "sha", "digest"]);
        assert_eq!(split("__init__"), ["__init__", "init"]);
        assert_eq!(split("größe_max"), ["größe_max", "größe", "max"]);
        assert_eq!(split("retry"), ["retry"]);
        assert_eq!(split("_"), ["_"]);
    }

    #[test]
    fn numbers_and_digests_are_no_identifiers() {
        let text = format!("let x1 = 0xff + 12; \"{}\" 日本 naïve", "a".repeat(65));
        let found: Vec<_> = identifiers(&text).map(|(at, word)| &text[at..at + word.len()]).collect();
        assert_eq!(found, ["let", "x1", "日本", "naïve"]);
    }

    #[test]
    fn a_word_inside_another_is_not_that_word() {
        assert!(holds_word("call(run_job);", "run_job") && holds_word("run", "run"));
        assert!(!holds_word("prerun_job run_jobs", "run_job"));
    }
}

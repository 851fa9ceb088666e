use std::ops::Range;

use super::words::is_word;
use crate::diff::RepoPath;

/// Words before a definition's own that are looked at.
const WORDS_MAX: usize = 10;
/// Bytes of the shortest name worth finding again.
const NAME_BYTES_MIN: usize = 2;

/// Languages whose definitions look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Rust,
    Go,
    Python,
    Ruby,
    /// JavaScript and TypeScript.
    Script,
    /// Java, Kotlin, Scala, C#, Swift, PHP, Dart.
    Managed,
    /// C, C++ and Objective-C.
    C,
    Shell,
    Sql,
    /// Text and data: nothing is defined there.
    Prose,
    /// A language that is not known: the common words.
    Other,
}

/// A definition in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// Where its name stands in the line.
    pub name: Range<usize>,
    /// Whether it only adds to something that is defined elsewhere, as `impl` does.
    pub extends: bool,
}

/// Words that may stand before a defining one.
const MODIFIERS: &[&str] = &[
    "abstract",
    "actual",
    "async",
    "companion",
    "const",
    "constexpr",
    "data",
    "declare",
    "default",
    "export",
    "expect",
    "extern",
    "external",
    "fileprivate",
    "final",
    "friend",
    "global",
    "implicit",
    "infix",
    "inline",
    "inner",
    "internal",
    "local",
    "mut",
    "mutating",
    "native",
    "open",
    "operator",
    "override",
    "partial",
    "private",
    "protected",
    "pub",
    "public",
    "readonly",
    "sealed",
    "static",
    "suspend",
    "synchronized",
    "template",
    "typedef",
    "unsafe",
    "virtual",
    "volatile",
];

/// Words after which `(` calls nothing, and before which nothing is defined.
const CONTROL: &[&str] = &[
    "assert",
    "await",
    "case",
    "catch",
    "do",
    "elif",
    "else",
    "elseif",
    "fixed",
    "for",
    "foreach",
    "function",
    "guard",
    "if",
    "lock",
    "match",
    "new",
    "not",
    "return",
    "sizeof",
    "super",
    "switch",
    "synchronized",
    "throw",
    "typeof",
    "unless",
    "until",
    "using",
    "when",
    "where",
    "while",
    "with",
    "yield",
];

impl Family {
    /// By a file's ending.
    pub(super) fn of(path: &RepoPath) -> Self {
        match path.extension().as_str() {
            "rs" => Self::Rust,
            "go" => Self::Go,
            "py" | "pyi" | "pyx" => Self::Python,
            "rb" | "rake" => Self::Ruby,
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "vue" | "svelte" => Self::Script,
            "java" | "kt" | "kts" | "scala" | "cs" | "swift" | "php" | "dart" | "groovy" => Self::Managed,
            "c" | "h" | "cc" | "hh" | "cpp" | "hpp" | "cxx" | "m" | "mm" => Self::C,
            "sh" | "bash" | "zsh" => Self::Shell,
            "sql" => Self::Sql,
            "md" | "markdown" | "rst" | "txt" | "adoc" | "json" | "yaml" | "yml" | "toml" | "xml" | "html" | "css" => {
                Self::Prose
            }
            _ => Self::Other,
        }
    }

    const fn definers(self) -> &'static [&'static str] {
        match self {
            Self::Rust => {
                &["fn", "struct", "enum", "trait", "union", "type", "mod", "const", "static", "impl", "macro_rules"]
            }
            Self::Go => &["func", "type", "const", "var"],
            Self::Python => &["def", "class"],
            Self::Ruby => &["def", "class", "module"],
            Self::Script => &["function", "class", "interface", "type", "enum", "namespace", "const", "let", "var"],
            Self::Managed => &[
                "class",
                "interface",
                "enum",
                "record",
                "struct",
                "object",
                "trait",
                "fun",
                "func",
                "function",
                "def",
                "namespace",
                "protocol",
                "extension",
                "mixin",
                "typealias",
            ],
            Self::C => &["struct", "class", "enum", "union", "namespace", "define"],
            Self::Shell => &["function"],
            Self::Sql => &["table", "view", "function", "procedure", "trigger", "index", "type", "schema"],
            Self::Other => {
                &["fn", "func", "function", "def", "class", "struct", "enum", "trait", "interface", "module"]
            }
            Self::Prose => &[],
        }
    }

    /// Whether functions are defined without a word for it, by `name(…) {`.
    const fn has_bare_functions(self) -> bool {
        matches!(self, Self::Script | Self::Managed | Self::C | Self::Shell)
    }
}

/// The definition that a line begins, found by its first words. It is a guess by form: what it misses is still found by
/// its words, and what it takes wrongly costs a place in an answer.
pub(super) fn definition(line: &str, family: Family) -> Option<Definition> {
    let found = match family {
        Family::Prose => None,
        Family::Sql => by_word(&line.to_ascii_lowercase(), family),
        _ => by_word(line, family),
    };
    found.or_else(|| if family.has_bare_functions() { bare_function(line, family) } else { None })
}

fn by_word(line: &str, family: Family) -> Option<Definition> {
    let definers = family.definers();
    let indented = line.starts_with([' ', '\t']);
    let mut at = skip_blanks(line, 0);
    if family == Family::C && line[at..].starts_with('#') {
        at = skip_blanks(line, at + 1);
    }
    let mut created = family != Family::Sql;
    for _ in 0..WORDS_MAX {
        let word = word_at(line, at)?;
        let after = skip_blanks(line, word.end);
        let text = &line[word.clone()];
        if created && definers.contains(&text) {
            let next = word_at(line, after).map(|w| &line[w]);
            // `const fn`, `enum class`, `export default class`: the next word says what it is.
            if !next.is_some_and(|n| definers.contains(&n)) {
                return named(line, after, text, family, indented);
            }
        } else if family == Family::Sql {
            created |= text == "create";
            if !created {
                return None;
            }
        } else if !MODIFIERS.contains(&text) {
            return None;
        }
        at = skip_group(line, after);
    }
    None
}

/// The name behind a defining word.
fn named(line: &str, mut at: usize, definer: &str, family: Family, indented: bool) -> Option<Definition> {
    if indented && matches!(definer, "const" | "let" | "var") && matches!(family, Family::Script | Family::Go) {
        return None;
    }
    let extends = matches!(definer, "impl" | "extension");
    match definer {
        "impl" => at = implemented(line, at),
        "static" => {
            at = word_at(line, at).filter(|w| &line[w.clone()] == "mut").map_or(at, |w| skip_blanks(line, w.end));
        }
        "func" | "fun" => at = skip_group(line, skip_group(line, at)),
        "macro_rules" | "function" => at = skip_blanks(line, at + usize::from(line[at..].starts_with(['!', '*']))),
        "table" | "index" | "view" | "schema" => {
            while let Some(w) = word_at(line, at).filter(|w| matches!(&line[w.clone()], "if" | "not" | "exists")) {
                at = skip_blanks(line, w.end);
            }
        }
        _ => {}
    }
    let mut name = word_at(line, at)?;
    // `def self.name`, `fun Receiver.name`, `schema.table`: the last part is the name.
    loop {
        let end = skip_angles(line, name.end);
        if !line[end..].starts_with('.') {
            break;
        }
        name = word_at(line, end + 1)?;
    }
    let rest = line[name.end..].trim_start();
    // `struct name x;` uses the type, and `class name;` only announces it.
    let only_used = family == Family::C
        && definer != "define"
        && !(rest.is_empty() || rest.starts_with('{') || rest.starts_with(':') || rest.starts_with("final"));
    (name.len() >= NAME_BYTES_MIN && !only_used).then_some(Definition { name, extends })
}

/// Where the name of the type stands that an `impl` is for.
fn implemented(line: &str, at: usize) -> usize {
    let start = skip_angles(line, at);
    let start = line[start..].find(" for ").map_or(start, |found| skip_blanks(line, start + found + 5));
    let path_end = line[start..].find(|c: char| !is_path(c)).map_or(line.len(), |end| start + end);
    line[start..path_end].rfind(':').map_or(start, |colon| start + colon + 1)
}

fn is_path(c: char) -> bool {
    c == ':' || c == '_' || c.is_alphanumeric()
}

/// `int name(args) {`, and in C also with the brace on the next line.
fn bare_function(line: &str, family: Family) -> Option<Definition> {
    let indented = line.starts_with([' ', '\t']);
    let ends_block = line.ends_with('{');
    let brace_below = family == Family::C && !indented && line.ends_with([')', ',']);
    if !(ends_block || brace_below) {
        return None;
    }
    let open = memchr::memchr(b'(', line.as_bytes())?;
    let bytes = line.as_bytes();
    let name_end = line[..open].trim_end().len();
    let name_start = bytes[..name_end].iter().rposition(|b| !is_word(*b)).map_or(0, |at| at + 1);
    let (before, name) = (&line[..name_start], &line[name_start..name_end]);
    let plain = before.bytes().all(|b| is_word(b) || b" \t*&:<>,[]~.?@".contains(&b));
    let controls = before.split(|c: char| !is_path(c)).any(|w| CONTROL.contains(&w)) || CONTROL.contains(&name);
    let balanced = memchr::memchr_iter(b'(', bytes).count() == memchr::memchr_iter(b')', bytes).count();
    let typed = ends_block || !before.trim().is_empty();
    let starts_right = name.len() >= NAME_BYTES_MIN && !name.as_bytes()[0].is_ascii_digit();
    (plain && !controls && typed && starts_right && (balanced || !ends_block))
        .then_some(Definition { name: name_start..name_end, extends: false })
}

fn word_at(line: &str, at: usize) -> Option<Range<usize>> {
    let bytes = &line.as_bytes()[at.min(line.len())..];
    let len = bytes.iter().position(|b| !is_word(*b)).unwrap_or(bytes.len());
    (len > 0 && !bytes[0].is_ascii_digit()).then_some(at..at + len)
}

fn skip_blanks(line: &str, at: usize) -> usize {
    let bytes = &line.as_bytes()[at.min(line.len())..];
    at + bytes.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(bytes.len())
}

/// Past `(crate)`, `"C"`, `<T>` or `[…]`, if one stands here, and the blanks behind it.
fn skip_group(line: &str, at: usize) -> usize {
    let close = match line.as_bytes().get(at) {
        Some(b'(') => b')',
        Some(b'"') => b'"',
        Some(b'<') => return skip_blanks(line, skip_angles(line, at)),
        _ => return at,
    };
    match line.as_bytes()[at + 1..].iter().position(|b| *b == close) {
        Some(len) => skip_blanks(line, at + len + 2),
        None => line.len(),
    }
}

/// Past `<…>` with whatever it nests, if it stands here, and the blanks behind it.
fn skip_angles(line: &str, at: usize) -> usize {
    if !line[at..].starts_with('<') {
        return at;
    }
    let mut depth = 0_usize;
    for (offset, byte) in line.bytes().enumerate().skip(at) {
        match byte {
            b'<' => depth += 1,
            b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return skip_blanks(line, offset + 1);
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(line: &str, family: Family) -> Option<&str> {
        definition(line, family).map(|d| &line[d.name])
    }

    #[test]
    fn definitions_are_found_in_common_languages() {
        for (family, line, expected) in [
            (Family::Rust, "    pub(crate) async fn claim<T>(&self) -> T {", "claim"),
            (Family::Rust, "pub const fn as_str(self) -> &'static str {", "as_str"),
            (Family::Rust, "pub struct Job<'a> {", "Job"),
            (Family::Rust, "impl<T: Into<X>> fmt::Display for store::Lease<T> {", "Lease"),
            (Family::Rust, "impl Job {", "Job"),
            (Family::Rust, "macro_rules! text_conversions {", "text_conversions"),
            (Family::Rust, "pub unsafe extern \"C\" fn callback() {", "callback"),
            (Family::Rust, "static mut COUNTER: u32 = 0;", "COUNTER"),
            (Family::Go, "func (s *Server) Handle(w http.ResponseWriter) {", "Handle"),
            (Family::Go, "func Map[T any](xs []T) []T {", "Map"),
            (Family::Go, "type Store interface {", "Store"),
            (Family::Python, "    async def fetch(self):", "fetch"),
            (Family::Python, "class Reader(Base):", "Reader"),
            (Family::Ruby, "  def self.parse(text)", "parse"),
            (Family::Script, "export default async function load() {", "load"),
            (Family::Script, "export const useThing = () => {", "useThing"),
            (Family::Script, "  async render(props) {", "render"),
            (Family::Script, "export interface Options {", "Options"),
            (Family::Managed, "    public static <T> List<T> copyOf(Collection<T> c) throws E {", "copyOf"),
            (Family::Managed, "data class User(val id: Int)", "User"),
            (Family::Managed, "fun <T> List<T>.second(): T {", "second"),
            (Family::Managed, "    suspend fun load(id: Int) =", "load"),
            (Family::C, "static int parse_header(const char *s, size_t n)", "parse_header"),
            (Family::C, "struct request {", "request"),
            (Family::C, "#define MAX_ITEMS 10", "MAX_ITEMS"),
            (Family::C, "enum class Color : int {", "Color"),
            (Family::C, "void Widget::paint() const {", "paint"),
            (Family::Shell, "stop_all() {", "stop_all"),
            (Family::Sql, "CREATE TABLE IF NOT EXISTS app.jobs (", "jobs"),
            (Family::Sql, "CREATE OR REPLACE FUNCTION claim_jobs(n int)", "claim_jobs"),
            (Family::Other, "function M.setup()", "setup"),
        ] {
            assert_eq!(name(line, family), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_a_definition_is_none() {
        for (family, line) in [
            (Family::Rust, "    let value = fn_call();"),
            (Family::Rust, "// fn commented() {"),
            (Family::Rust, "const _: () = ();"),
            (Family::Go, "    var inner = 1"),
            (Family::Script, "    const inner = 1;"),
            (Family::Script, "    if (ready(now)) {"),
            (Family::Script, "  describe(\"x\", () => {"),
            (Family::Script, "  } else if (x) {"),
            (Family::Managed, "        return new Thing(1) {"),
            (Family::Managed, "        for (int i = 0; i < n; i++) {"),
            (Family::C, "    struct request r;"),
            (Family::C, "struct request *next(struct request *r);"),
            (Family::C, "EXPORT_SYMBOL(parse_header);"),
            (Family::C, "#include <stdio.h>"),
            (Family::Sql, "DROP TABLE jobs"),
            (Family::Python, "    default = class_of(x)"),
            (Family::Prose, "class of its own"),
            (Family::C, ""),
            (Family::Rust, "pub(crate"),
            (Family::Rust, "impl<T"),
            (Family::Rust, "fn"),
            (Family::C, "#"),
        ] {
            assert_eq!(name(line, family), None, "{line}");
        }
    }
}

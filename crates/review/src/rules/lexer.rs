//! Which bytes of a line are code, text or comment: enough of each language's syntax that a rule about code stays
//! silent on prose, and no more. A diff shows a file in pieces, so that no real parser could read it anyway.

use super::language::Language;

/// What a byte belongs to. A text's quotes are code, so that a rule can tell where one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Code,
    Text,
    Comment,
}

/// What the end of one line leaves open for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Code,
    Comment { depth: u32 },
    Text(End),
}

/// What ends a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// This quote.
    Quote(u8),
    /// This quote, three times.
    Triple(u8),
    /// A quote and so many `#`.
    Hashes(usize),
    /// The slash of a JavaScript pattern.
    Slash,
}

/// Reads lines one after another.
pub(super) struct Lexer {
    language: Language,
    state: State,
}

impl Lexer {
    /// At the beginning of a file.
    pub(super) fn for_file(language: Language) -> Self {
        Self { language, state: State::Code }
    }

    /// `lines` are the hunk's: they tell whether it begins inside a comment or a documentation text.
    pub(super) fn for_hunk<'a>(language: Language, lines: impl Iterator<Item = &'a str> + Clone) -> Self {
        let state = if language.has_block_comments() && begins_in_comment(lines.clone()) {
            State::Comment { depth: 1 }
        } else if language == Language::Python
            && let Some(quote) = begins_in_docstring(lines)
        {
            State::Text(End::Triple(quote))
        } else {
            State::Code
        };
        Self { language, state }
    }

    /// The class of each byte of the next line.
    pub(super) fn classify(&mut self, line: &[u8]) -> Vec<Class> {
        let mut classes = Vec::with_capacity(line.len());
        while classes.len() < line.len() {
            // Every step takes at least one byte.
            let (taken, class) = match self.state {
                State::Code => self.code(line, classes.len()),
                State::Comment { depth } => self.comment(&line[classes.len()..], depth),
                State::Text(end) => self.text(&line[classes.len()..], end),
            };
            classes.resize((classes.len() + taken.max(1)).min(line.len()), class);
        }
        if let State::Text(End::Quote(quote)) = self.state
            && !self.language.spans_lines(quote)
        {
            self.state = State::Code;
        }
        if self.state == State::Text(End::Slash) {
            self.state = State::Code;
        }
        classes
    }

    fn code(&mut self, line: &[u8], at: usize) -> (usize, Class) {
        let rest = &line[at..];
        if self.language.line_comments().iter().any(|c| rest.starts_with(c.as_bytes()))
            && self.comment_may_begin(line, at)
        {
            return (rest.len(), Class::Comment);
        }
        if self.language.has_block_comments() && rest.starts_with(b"/*") {
            self.state = State::Comment { depth: 1 };
            return (2, Class::Comment);
        }
        if self.language == Language::Rust {
            if let Some((taken, hashes)) = raw_string(line, at) {
                self.state = State::Text(End::Hashes(hashes));
                return (taken, Class::Code);
            }
            if let Some(taken) = char_literal(rest) {
                return (taken, Class::Text);
            }
        }
        let first = rest[0];
        if self.language.has_triple_quotes() && matches!(first, b'"' | b'\'') && rest.starts_with(&[first; 3]) {
            self.state = State::Text(End::Triple(first));
            return (3, Class::Code);
        }
        if self.language.quotes().contains(&first) && self.text_may_begin(line, at) {
            self.state = State::Text(End::Quote(first));
        } else if self.language == Language::JavaScript && first == b'/' && pattern_may_begin(line, at) {
            self.state = State::Text(End::Slash);
        }
        (1, Class::Code)
    }

    fn comment(&mut self, rest: &[u8], depth: u32) -> (usize, Class) {
        let (taken, depth) = if rest.starts_with(b"*/") {
            (2, depth - 1)
        } else if self.language.nests_comments() && rest.starts_with(b"/*") {
            (2, depth.saturating_add(1))
        } else {
            (1, depth)
        };
        self.state = if depth == 0 { State::Code } else { State::Comment { depth } };
        (taken, Class::Comment)
    }

    fn text(&mut self, rest: &[u8], end: End) -> (usize, Class) {
        let first = rest[0];
        let (escapes, closing) = match end {
            End::Quote(quote) => (self.language.escapes(quote), (first == quote).then_some(1)),
            End::Triple(quote) => (true, rest.starts_with(&[quote; 3]).then_some(3)),
            End::Hashes(count) => {
                let closes = first == b'"' && rest.len() > count && rest[1..=count].iter().all(|b| *b == b'#');
                (false, closes.then_some(1 + count))
            }
            End::Slash => (true, (first == b'/').then_some(1)),
        };
        if let Some(taken) = closing {
            self.state = State::Code;
            return (taken, Class::Code);
        }
        (if escapes && first == b'\\' { 2 } else { 1 }, Class::Text)
    }

    /// `#` in a shell's word and `#[` of PHP open no comment.
    fn comment_may_begin(&self, line: &[u8], at: usize) -> bool {
        match self.language {
            Language::Shell | Language::Yaml | Language::Docker | Language::Ruby => {
                at == 0 || line[at - 1].is_ascii_whitespace()
            }
            Language::Php => !line[at..].starts_with(b"#["),
            _ => true,
        }
    }

    /// An apostrophe within a word of YAML opens no text.
    fn text_may_begin(&self, line: &[u8], at: usize) -> bool {
        self.language != Language::Yaml
            || last_visible(&line[..at]).is_none_or(|b| matches!(b, b':' | b'-' | b'[' | b'{' | b',' | b'&' | b'|'))
    }
}

fn last_visible(bytes: &[u8]) -> Option<u8> {
    bytes.iter().rev().find(|b| !b.is_ascii_whitespace()).copied()
}

/// A slash divides behind a value and opens a pattern anywhere else.
fn pattern_may_begin(line: &[u8], at: usize) -> bool {
    last_visible(&line[..at]).is_none_or(|b| b"(=,:[!&|?{};".contains(&b))
        || line[..at].trim_ascii_end().ends_with(b"return")
}

fn raw_string(line: &[u8], at: usize) -> Option<(usize, usize)> {
    if at > 0 && (line[at - 1].is_ascii_alphanumeric() || line[at - 1] == b'_') {
        return None;
    }
    let rest = &line[at..];
    let prefix = [&b"br"[..], b"cr", b"r"].into_iter().find(|p| rest.starts_with(p))?.len();
    let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
    (rest.get(prefix + hashes) == Some(&b'"')).then_some((prefix + hashes + 1, hashes))
}

/// `'x'` and `'\n'`, but no lifetime.
fn char_literal(rest: &[u8]) -> Option<usize> {
    /// `'\u{10FFFF}'`.
    const LONGEST: usize = 12;
    if rest.first() != Some(&b'\'') {
        return None;
    }
    let within = &rest[1..rest.len().min(LONGEST)];
    let (skip, is_escape) = if within.first() == Some(&b'\\') { (2, true) } else { (1, false) };
    let end = within.iter().skip(skip).position(|b| *b == b'\'')? + skip;
    // One character, of up to four bytes, unless it is an escape.
    let one = is_escape || std::str::from_utf8(&within[..end]).is_ok_and(|s| s.chars().count() == 1);
    one.then_some(end + 2)
}

/// Whether a comment ends in the hunk that did not begin in it.
fn begins_in_comment<'a>(mut lines: impl Iterator<Item = &'a str>) -> bool {
    lines
        .find_map(|line| {
            let trimmed = line.trim();
            let end = (trimmed.starts_with('*') || trimmed.ends_with("*/")).then(|| line.find("*/")).flatten();
            match (line.find("/*"), end) {
                (Some(begin), Some(end)) => Some(end < begin),
                (Some(_), None) => Some(false),
                (None, Some(_)) => Some(true),
                (None, None) => None,
            }
        })
        .unwrap_or(false)
}

/// Whether the first triple quote of the hunk closes a text. It does when prose stands before it on its line, or when
/// it stands alone behind a line that opens no block.
fn begins_in_docstring<'a>(lines: impl Iterator<Item = &'a str>) -> Option<u8> {
    let mut before: Option<&str> = None;
    for line in lines {
        let quote = ["\"\"\"", "'''"].into_iter().filter_map(|q| line.find(q).map(|at| (at, q))).min();
        let Some((at, quote)) = quote else {
            if !line.trim().is_empty() {
                before = Some(line.trim_end());
            }
            continue;
        };
        let (head, tail) = (line[..at].trim(), line[at + 3..].trim());
        let closes = if head.is_empty() {
            tail.is_empty() && before.is_some_and(|b| !b.ends_with([':', '(', '=', ',', '[', '{']))
        } else {
            tail.is_empty() && !opens_text(head)
        };
        return closes.then(|| quote.as_bytes()[0]);
    }
    None
}

fn opens_text(head: &str) -> bool {
    let without_prefix = head.trim_end_matches(['r', 'R', 'b', 'B', 'f', 'F', 'u', 'U']);
    without_prefix.is_empty() || without_prefix.ends_with(['=', '(', ',', '[', '{', ':', ' ', '%', '+'])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line with text as `t` and comments as `c`.
    fn shape(language: Language, lines: &[&str]) -> Vec<String> {
        let mut lexer = Lexer::for_hunk(language, lines.iter().copied());
        lines
            .iter()
            .map(|line| {
                let show = |(byte, class): (u8, Class)| match class {
                    Class::Code => char::from(byte),
                    Class::Text => 't',
                    Class::Comment => 'c',
                };
                line.bytes().zip(lexer.classify(line.as_bytes())).map(show).collect()
            })
            .collect()
    }

    #[test]
    fn texts_and_comments_are_told_from_code() {
        for (language, line, expected) in [
            (Language::Rust, r#"f("a\"b", 'x', '\n', &'a T) // z"#, r#"f("tttt", ttt, tttt, &'a T) cccc"#),
            (Language::Rust, "r#\"a\"b\"# + br\"c\"", "r#\"ttt\"# + br\"t\""),
            (Language::Rust, "a /* b /* c */ d */ e", "a ccccccccccccccccc e"),
            (Language::JavaScript, "x = a / b / `c`", "x = a / b / `t`"),
            (Language::JavaScript, "x = /'\"/, `c`", "x = /tt/, `t`"),
            (Language::Python, "x = 'a#b' # c", "x = 'ttt' ccc"),
            (Language::Shell, "echo $# ${x#y} 'it' # z", "echo $# ${x#y} 'tt' ccc"),
            (Language::Yaml, "- run: don't 'x' # c", "- run: don't 'x' ccc"),
            (Language::Sql, "a = 'b\\' -- c", "a = 'tt' cccc"),
        ] {
            assert_eq!(shape(language, &[line]), [expected], "{language:?}");
        }
    }

    #[test]
    fn what_spans_lines_is_carried_over() {
        assert_eq!(shape(Language::Rust, &["f(r#\"a", "b\"#, c)"]), ["f(r#\"t", "t\"#, c)"]);
        assert_eq!(shape(Language::Python, &["x = \"\"\"a", "b", "\"\"\" + c"]), ["x = \"\"\"t", "t", "\"\"\" + c"]);
        assert_eq!(shape(Language::Go, &["a /* b", "c */ d"]), ["a cccc", "cccc d"]);
        assert_eq!(shape(Language::JavaScript, &["it's", "fine"]), ["it't", "fine"]);
    }

    #[test]
    fn a_hunk_may_begin_inside_a_comment_or_a_docstring() {
        assert_eq!(shape(Language::Java, &[" * a", " */", "b"]), ["cccc", "ccc", "b"]);
        assert_eq!(shape(Language::JavaScript, &["glob('**/*.ts')"]), ["glob('ttttttt')"]);
        assert_eq!(shape(Language::Python, &["prose", "ends.\"\"\"", "b"]), ["ttttt", "ttttt\"\"\"", "b"]);
        assert_eq!(shape(Language::Python, &["prose", "\"\"\"", "b"]), ["ttttt", "\"\"\"", "b"]);
        assert_eq!(shape(Language::Python, &["def f():", "\"\"\"", "b"]), ["def f():", "\"\"\"", "t"]);
    }
}

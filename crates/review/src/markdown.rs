//! Untrusted text as Markdown that notifies nobody, refers to nothing and holds no HTML, and fences that nothing ends.

/// Between a sigil and what it would refer to: invisible, and enough to part the two.
const APART: char = '\u{200B}';

/// Text without what does not show or shows something else: control characters, carriage returns, and the marks that
/// turn a line's direction around.
pub(crate) fn printable(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|c| !hidden(*c)).collect()
}

/// A harmless single line of at most `chars_max` characters before it was made harmless.
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    let line = printable(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    match line.char_indices().nth(chars_max) {
        None => harmless_line(&line, true, &mut out),
        Some((end, _)) => {
            harmless_line(&line[..end], true, &mut out);
            out.push('…');
        }
    }
    out
}

/// Markdown that keeps its form, code above all, but mentions nobody, refers to no issue, loads no image and holds no HTML.
/// Whatever a renderer might not take for code is treated as text. Takes [`printable`] text.
pub(crate) fn harmless(text: &str) -> String {
    let pipes_part_cells = text.lines().any(is_table_rule);
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut open: Option<Fence> = None;
    for line in text.lines() {
        match (&open, fence(line)) {
            (None, Some(fence)) => {
                // Set to the margin, where a fence means the same to every renderer, within a list or not.
                fence.open(line, &mut out);
                open = Some(fence);
            }
            (Some(begin), Some(end)) if end.closes(begin) => {
                out.push_str(line.trim());
                open = None;
            }
            (Some(_), _) => out.push_str(line),
            (None, None) => harmless_line(line, pipes_part_cells, &mut out),
        }
        out.push('\n');
    }
    match open {
        Some(fence) => out.extend(std::iter::repeat_n(fence.mark, fence.length)),
        None => drop(out.pop()),
    }
    out
}

struct Fence {
    mark: char,
    length: usize,
    indent: usize,
    bare: bool,
}

impl Fence {
    /// Writes the opening line, with the language if it is a plain word. `suggestion` is none: it would make a button that
    /// writes the block's text into the file.
    fn open(&self, line: &str, out: &mut String) {
        let info = line.trim_start_matches([' ', '\t']).trim_start_matches(self.mark).trim();
        let word = info.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '.' | '_' | '-'));
        out.extend(std::iter::repeat_n(self.mark, self.length));
        if word && !info.eq_ignore_ascii_case("suggestion") {
            out.push_str(info);
        }
    }

    fn closes(&self, begin: &Self) -> bool {
        self.mark == begin.mark && self.length >= begin.length && self.bare && self.indent < 4
    }
}

fn fence(line: &str) -> Option<Fence> {
    let text = line.trim_start_matches([' ', '\t']);
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(mark);
    let length = text.len() - rest.len();
    // Behind backticks, another backtick makes it a code span.
    if length < 3 || (mark == '`' && rest.contains('`')) {
        return None;
    }
    // A tab reaches to the fourth column, wherever it stands.
    let indent = line[..line.len() - text.len()].chars().map(|c| if c == '\t' { 4 } else { 1 }).sum();
    Some(Fence { mark, length, indent, bare: rest.trim().is_empty() })
}

/// Whether a line can be the rule below a table's head. In a table a pipe ends a code span.
fn is_table_rule(line: &str) -> bool {
    line.contains('|')
        && line.contains('-')
        && line
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '|' | '-' | ':' | ' ' | '\t' | '>' | '*' | '+' | '.' | ')'))
}

fn harmless_line(line: &str, pipes_part_cells: bool, out: &mut String) {
    let mut at = 0;
    while let Some(c) = line[at..].chars().next() {
        let rest = &line[at + c.len_utf8()..];
        let next = rest.chars().next().unwrap_or(' ');
        match c {
            '\\' if matches!(next, '`' | '\\') => {
                out.extend([c, next]);
                at += 1;
            }
            '`' => {
                let run = line[at..].len() - line[at..].trim_start_matches('`').len();
                at += code_span(&line[at..], run, pipes_part_cells, out);
                continue;
            }
            '<' => out.push_str("&lt;"),
            // An entity would become a sigil again.
            '&' if next == '#' || next.is_ascii_alphabetic() => out.push_str("&amp;"),
            _ => {
                out.push(c);
                if refers(&line[..at], c, next) {
                    out.push(APART);
                }
            }
        }
        at += c.len_utf8();
    }
}

/// Writes the code span that `text` begins with, or else its `run` backticks as such, so that they pair with none in a
/// later line. Gives how many bytes are done.
fn code_span(text: &str, run: usize, pipes_part_cells: bool, out: &mut String) -> usize {
    let mut from = run;
    while let Some(found) = text[from..].find('`') {
        let begin = from + found;
        let length = text[begin..].len() - text[begin..].trim_start_matches('`').len();
        from = begin + length;
        if length == run {
            if pipes_part_cells && text[..from].contains('|') {
                break;
            }
            out.push_str(&text[..from]);
            return from;
        }
    }
    for _ in 0..run {
        out.push_str("\\`");
    }
    run
}

/// Whether a character makes a reference of what follows: `@name`, `#12`, `GH-12`, `/issues/12`, `![image]`.
fn refers(before: &str, c: char, next: char) -> bool {
    let behind = |word: &str| {
        before
            .len()
            .checked_sub(word.len())
            .and_then(|at| before.get(at..))
            .is_some_and(|b| b.eq_ignore_ascii_case(word))
    };
    match c {
        '@' => next.is_alphanumeric(),
        '#' => next.is_ascii_digit(),
        '-' => next.is_ascii_digit() && behind("gh"),
        '/' => next.is_ascii_digit() && ["issues", "pull", "discussions"].into_iter().any(behind),
        '!' => next == '[',
        _ => false,
    }
}

/// A fenced block that the text cannot end.
pub(crate) fn fenced(info: &str, text: &str) -> String {
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{info}\n{text}{end}{fence}")
}

/// A code span that the text cannot end; on one line.
pub(crate) fn code(text: &str) -> String {
    let text = printable(text).replace(['\n', '\t'], " ");
    let ticks = "`".repeat(longest_run(&text) + 1);
    let blank = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{blank}{text}{blank}{ticks}")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visible(text: &str) -> String {
        harmless(text).replace(APART, "^")
    }

    #[test]
    fn text_mentions_nobody_and_refers_to_nothing() {
        for (text, shown) in [
            ("@octocat, see #12", "@^octocat, see #^12"),
            ("(@acme/team) acme/w#3 gh-4 GH-5", "(@^acme/team) acme/w#^3 gh-^4 GH-^5"),
            ("https://github.com/a/b/issues/7", "https://github.com/a/b/issues/^7"),
            ("\\@octocat &#64;octocat &commat;octocat", "\\@^octocat &amp;#^64;octocat &amp;commat;octocat"),
            ("![x](http://e/?q=secret)", "!^[x](http://e/?q=secret)"),
            ("# Title, a @ b, x-1, a & b", "# Title, a @ b, x-1, a & b"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn html_and_comments_show_as_text() {
        assert_eq!(harmless("<!-- reviewfleet:sha=1 -->"), "&lt;!-- reviewfleet:sha=1 -->");
        assert_eq!(harmless("<img src=x>\n`<b>`"), "&lt;img src=x>\n`<b>`");
    }

    #[test]
    fn code_is_left_alone() {
        let text = "`@a #1` and ``@b ` #2`` ok\n```rust\n@derive #1 <T>\n```\n~~~\n```\n@c\n~~~";
        assert_eq!(harmless(text), text);
    }

    #[test]
    fn what_only_looks_like_code_is_text() {
        for (text, shown) in [
            // The first backtick would pair with the second line's first.
            ("a ` b\n` @x `", "a \\` b\n` @x `"),
            ("a ` @x", "a \\` @^x"),
            ("\\`@x`", "\\`@^x\\`"),
            ("``@x`", "\\`\\`@^x\\`"),
            ("``` @x ``` @y", "``` @x ``` @^y"),
            ("> ```\n> @x", "> \\`\\`\\`\n> @^x"),
            ("~~ @x", "~~ @^x"),
            // In a table the pipe ends the cell, and with it the code span.
            ("| a | b |\n|---|---|\n| `c | @x` |", "| a | b |\n|---|---|\n| \\`c | @^x\\` |"),
            ("`a || @b`", "`a || @b`"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn a_fence_stands_at_the_margin_and_is_always_closed() {
        assert_eq!(harmless("1. a\n\n   ```\n   x\n   ```\n@y"), format!("1. a\n\n```\n   x\n```\n@{APART}y"));
        assert_eq!(harmless("```suggestion\nx\n```\n~~~ Suggestion\n~~~"), "```\nx\n```\n~~~\n~~~");
        assert_eq!(harmless("```&#115;uggestion\n```\n```c++\n```"), "```\n```\n```c++\n```");
        assert_eq!(harmless("````\n```\n@x"), "````\n```\n@x\n````");
        assert_eq!(harmless("```\n    ```\n@x\n```"), "```\n    ```\n@x\n```");
    }

    #[test]
    fn hidden_characters_are_left_out() {
        assert_eq!(printable("a\u{202E}b\0c\u{7}\r\nd\re\tf"), "abc\nd\ne\tf");
        assert_eq!(one_line("  a\n\n b\tc ", 99), "a b c");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("<@abcdef", 3), format!("&lt;@{APART}a…"));
    }

    // reviewdog/reviewdog#1017, qodo-ai/pr-agent#2945
    #[test]
    fn nothing_within_a_fence_ends_it() {
        assert_eq!(fenced("suggestion", "a\n```\nb\n"), "````suggestion\na\n```\nb\n````");
        assert_eq!(fenced("", "`````"), "``````\n`````\n``````");
        assert_eq!(fenced("suggestion", ""), "```suggestion\n```");
        assert_eq!(fenced("suggestion", "\n"), "```suggestion\n\n```");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a\nb"), "`a b`");
    }
}

use super::definition::{Family, definition};

/// Lines that a window should have: enough for a function, few enough that several fit a prompt.
const LINES_TARGET: usize = 40;
/// Lines before which a window is not ended, if the file goes on.
const LINES_MIN: usize = 20;
/// Lines after which a window is ended.
const LINES_MAX: usize = 60;

/// A window of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// First line, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// First byte.
    pub start: u32,
    /// Byte after the last line's text.
    pub end: u32,
}

/// A definition that a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defined {
    /// Its line, from 1.
    pub line: u32,
    /// Where its name stands.
    pub start: u32,
    /// Where its name ends.
    pub end: u32,
    /// Whether it only adds to something that is defined elsewhere.
    pub extends: bool,
}

/// A line as far as windows are concerned.
struct LineFacts {
    start: u32,
    end: u32,
    blank: bool,
    /// How good it is to begin a window here: 3 a new block at the margin, 2 a definition, 1 after a blank line, 0 else.
    opens: u8,
}

/// Cuts a text into windows and finds its definitions. The text is shorter than 4 GiB: the index takes no such file.
pub(super) fn analyse(text: &str, family: Family) -> (Vec<Window>, Vec<Defined>) {
    let mut defined = Vec::new();
    let mut lines: Vec<LineFacts> = Vec::with_capacity(text.len() / 32);
    let mut start = 0;
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end();
        let blank = line.is_empty();
        let found = if blank { None } else { definition(line, family) };
        if let Some(found) = &found {
            let at = |offset: usize| offset_of(start + offset);
            let (line, start, end) = (offset_of(lines.len() + 1), at(found.name.start), at(found.name.end));
            defined.push(Defined { line, start, end, extends: found.extends });
        }
        let after_blank = lines.last().is_none_or(|l| l.blank);
        let margin = !line.starts_with([' ', '\t', '}', ')']);
        let opens = match (blank, after_blank, found.is_some()) {
            (true, ..) | (false, false, false) => 0,
            (false, true, true) => 3,
            (false, true, false) => 1 + 2 * u8::from(margin),
            (false, false, true) => 2,
        };
        lines.push(LineFacts { start: offset_of(start), end: offset_of(start + line.len()), blank, opens });
        start += raw.len();
    }
    (windows(&lines), defined)
}

fn windows(lines: &[LineFacts]) -> Vec<Window> {
    let mut windows = Vec::with_capacity(lines.len() / LINES_TARGET + 1);
    let mut first = 0;
    while let Some(skipped) = lines[first..].iter().position(|l| !l.blank) {
        first += skipped;
        let next = cut(lines, first);
        let last = lines[first..next].iter().rposition(|l| !l.blank).map_or(first, |at| first + at);
        windows.push(Window {
            start_line: offset_of(first + 1),
            end_line: offset_of(last + 1),
            start: lines[first].start,
            end: lines[last].end,
        });
        first = next;
    }
    windows
}

/// Where the window that begins at `first` ends: before the line that best begins another.
fn cut(lines: &[LineFacts], first: usize) -> usize {
    if lines.len() - first <= LINES_MAX {
        return lines.len();
    }
    let target = first + LINES_TARGET;
    (first + LINES_MIN..=first + LINES_MAX)
        .max_by_key(|at| (lines[*at].opens, std::cmp::Reverse(at.abs_diff(target))))
        .unwrap_or(target)
}

/// Files of the index are far below 4 GiB.
fn offset_of(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn windows_begin_at_functions_and_hold_every_written_line() {
        let mut text = String::from("\n\nuse a::b;\n");
        for n in 0..30 {
            write!(text, "\nfn function_{n}() {{\n").unwrap();
            text.push_str(&"    work();\n\n    more();\n".repeat(2 + n % 5));
            text.push_str("}\n");
        }
        let lines: Vec<&str> = text.lines().collect();
        let (windows, defined) = analyse(&text, Family::Rust);
        assert_eq!(defined.len(), 30);
        let mut next = 1;
        for (nth, window) in windows.iter().enumerate() {
            let (start, end) = (window.start_line as usize, window.end_line as usize);
            assert!(lines[next - 1..start - 1].iter().all(|l| l.is_empty()), "only blank lines are left out");
            assert!(end + 1 - start <= LINES_MAX);
            assert_eq!(&text[window.start as usize..window.end as usize], lines[start - 1..end].join("\n"));
            assert!(nth == 0 || lines[start - 1].starts_with("fn "), "{}", lines[start - 1]);
            next = end + 1;
        }
        assert_eq!(next, lines.len() + 1);
        assert_eq!(&text[defined[7].start as usize..defined[7].end as usize], "function_7");
        assert!(lines[defined[7].line as usize - 1].starts_with("fn function_7("));
    }

    #[test]
    fn a_text_without_any_structure_is_cut_all_the_same() {
        let text = "word\r\n".repeat(500);
        let (windows, _) = analyse(&text, Family::Prose);
        assert_eq!(windows.iter().map(|w| w.end_line + 1 - w.start_line).sum::<u32>(), 500);
        assert_eq!(windows[0], Window { start_line: 1, end_line: 40, start: 0, end: 40 * 6 - 2 });
        assert_eq!(analyse("\n \n\t\n", Family::Prose).0, []);
        assert_eq!(analyse("", Family::Prose).0, []);
    }
}

use std::collections::HashMap;

use super::{
    definition::{Family, definition},
    files::is_source,
    words::{STOP_WORDS, identifiers},
};
use crate::{
    ContextQuery, ShownLines,
    diff::{Diff, FileDiff, FileStatus, LineKind},
};

/// Bytes of the changed lines of all files.
const TEXT_BYTES_MAX: usize = 48 * 1_024;
/// Bytes of each file's changed lines that are taken at least, while there is room.
const TEXT_BYTES_PER_FILE_MIN: usize = 1_024;
/// Symbols of a query.
const SYMBOLS_MAX: usize = 24;
/// Bytes of a symbol's name; shorter ones stand for something else in each function.
const SYMBOL_BYTES_MIN: usize = 3;
/// Occurrences of a symbol that count.
const OCCURRENCES_MAX: u32 = 4;

/// How a change touches a symbol.
#[derive(Debug, Default)]
struct Touched {
    /// Its definition changed: whoever uses it may break.
    defined: bool,
    /// It encloses a change.
    encloses: bool,
    /// It is called in changed lines.
    calls: u32,
    /// It is named as a type there.
    names: u32,
    /// When it was seen first, which breaks ties.
    first: usize,
}

impl Touched {
    fn weight(&self) -> u32 {
        12 * u32::from(self.defined)
            + 4 * u32::from(self.encloses)
            + 2 * self.calls.min(OCCURRENCES_MAX)
            + self.names.min(OCCURRENCES_MAX)
    }
}

/// What a reviewer of a diff wants to see beside it: the definitions and users of the symbols that the changed lines
/// define, call or name, and code with words like theirs. Binary files, submodules, and files that nobody wrote by hand
/// have no say.
pub fn query_for(diff: &Diff, title: &str) -> ContextQuery {
    let files: Vec<&FileDiff> =
        diff.files.iter().filter(|f| !f.binary && !f.submodule && is_source(f.path())).collect();
    let mut text = title.to_owned();
    let mut symbols = HashMap::new();
    let share = (TEXT_BYTES_MAX / files.len().max(1)).max(TEXT_BYTES_PER_FILE_MIN);
    let end = text.len() + TEXT_BYTES_MAX;
    for file in &files {
        append_changed(&mut text, diff, file, share, end);
        touch(&mut symbols, diff, file);
    }
    let mut symbols: Vec<(String, Touched)> = symbols.into_iter().collect();
    symbols.sort_unstable_by_key(|(_, t)| (std::cmp::Reverse(t.weight()), t.first));
    let gone = |f: &&FileDiff| matches!(f.status, FileStatus::Deleted | FileStatus::Renamed);
    ContextQuery {
        text,
        symbols: symbols.into_iter().take(SYMBOLS_MAX).map(|(name, _)| name).collect(),
        exclude: diff.files.iter().filter(gone).filter_map(|f| f.old_path.clone()).collect(),
        shown: diff.files.iter().flat_map(shown_lines).collect(),
    }
}

/// Added lines first: they are what the change is about.
fn append_changed(text: &mut String, diff: &Diff, file: &FileDiff, share: usize, end: usize) {
    let end = end.min(text.len() + share);
    let removed = file.lines().filter(|l| l.kind == LineKind::Removed);
    for line in file.added().chain(removed) {
        let line = diff.text(line);
        if text.len() + line.len() < end {
            text.push('\n');
            text.push_str(&line);
        }
    }
}

fn touch(symbols: &mut HashMap<String, Touched>, diff: &Diff, file: &FileDiff) {
    let family = Family::of(file.path());
    if family == Family::Prose {
        return;
    }
    for hunk in &file.hunks {
        let section = diff.section(hunk);
        if let Some(found) = definition(&section, family)
            && let Some(touched) = touched(symbols, &section[found.name])
        {
            touched.encloses = true;
        }
        for line in hunk.lines.iter().filter(|l| l.kind != LineKind::Context) {
            touch_line(symbols, &diff.text(line), family);
        }
    }
}

/// Whether a line is a comment or an attribute, by its first characters: words in it are no symbols.
fn is_aside(line: &str, family: Family) -> bool {
    let line = line.trim_start();
    let hash = line.starts_with('#') && family != Family::C;
    hash || ["//", "/*", "* ", "--", "\"\"\"", "@"].iter().any(|mark| line.starts_with(mark))
}

fn touch_line(symbols: &mut HashMap<String, Touched>, line: &str, family: Family) {
    if is_aside(line, family) {
        return;
    }
    let definition = definition(line.trim_end(), family).filter(|d| !d.extends).map(|d| d.name);
    for (at, name) in identifiers(line) {
        let rest = &line[at + name.len()..];
        let calls = rest.starts_with('(') || rest.starts_with("!(") || rest.starts_with("::<");
        let is_type =
            name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().any(|b| b.is_ascii_lowercase());
        let defines = definition.as_ref().is_some_and(|d| d.start == at);
        if (defines || calls || is_type)
            && let Some(touched) = touched(symbols, name)
        {
            touched.defined |= defines;
            touched.calls += u32::from(calls && !defines);
            touched.names += u32::from(is_type && !calls);
        }
    }
}

fn touched<'a>(symbols: &'a mut HashMap<String, Touched>, name: &str) -> Option<&'a mut Touched> {
    if name.len() < SYMBOL_BYTES_MIN || STOP_WORDS.contains(&name.to_ascii_lowercase().as_str()) {
        return None;
    }
    let first = symbols.len();
    Some(symbols.entry(name.to_owned()).or_insert_with(|| Touched { first, ..Touched::default() }))
}

fn shown_lines(file: &FileDiff) -> impl Iterator<Item = ShownLines> {
    let hunks = file.hunks.iter().filter(|h| h.new_count > 0);
    file.new_path.iter().flat_map(move |path| {
        hunks.clone().map(move |h| ShownLines {
            path: path.clone(),
            start_line: h.new_start,
            end_line: h.new_start.saturating_add(h.new_count - 1),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(diff: &str) -> ContextQuery {
        query_for(&Diff::parse(diff.to_owned()).unwrap(), "Renew leases")
    }

    fn added(path: &str, lines: &[&str]) -> String {
        let (count, body) = (lines.len(), lines.join("\n+"));
        let header = format!("diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n");
        format!("{header}@@ -0,0 +1,{count} @@\n+{body}\n")
    }

    #[test]
    fn what_a_change_defines_outranks_what_it_calls() {
        let query = query(
            "diff --git a/src/lease.rs b/src/lease.rs\n--- a/src/lease.rs\n+++ b/src/lease.rs\n\
             @@ -10,3 +10,4 @@ impl Lease {\n context_only();\n-    fn renew(&self) {\n\
             +    fn renew(&mut self, clock: &Clock) {\n+        if extend_lease(clock) { extend_lease(clock); }\n     }\n",
        );
        assert_eq!(query.symbols, ["renew", "Lease", "extend_lease", "Clock"]);
        assert!(query.text.starts_with("Renew leases\n    fn renew(&mut self, clock"));
        assert!(query.text.ends_with("    fn renew(&self) {") && !query.text.contains("context_only"));
        let shown = ShownLines { path: "src/lease.rs".into(), start_line: 10, end_line: 13 };
        assert_eq!((query.shown, query.exclude), (vec![shown], vec![]));
    }

    #[test]
    fn what_is_taken_away_is_left_out_and_has_no_lines_to_show() {
        let query = query(
            "diff --git a/old.rs b/old.rs\ndeleted file mode 100644\n--- a/old.rs\n+++ /dev/null\n@@ -1 +0,0 @@\n\
             -fn used_elsewhere() {}\n\
             diff --git a/a.rs b/b.rs\nsimilarity index 100%\nrename from a.rs\nrename to b.rs\n",
        );
        assert_eq!(query.exclude, ["old.rs".into(), "a.rs".into()]);
        assert_eq!((query.symbols, query.shown), (vec!["used_elsewhere".to_owned()], vec![]));
    }

    #[test]
    fn generated_files_and_prose_name_no_symbols() {
        let query = query(&(added("Cargo.lock", &["fn locked() {}"]) + &added("a.md", &["Call it()."])));
        assert_eq!(query.symbols, Vec::<String>::new());
        assert!(!query.text.contains("locked") && query.text.contains("Call it"));
    }

    #[test]
    fn comments_and_attributes_name_no_symbols() {
        let lines = ["/// See Clock and call_me().", "#[derive(Debug)]", "struct Lease;", " * Other", "/* More() */"];
        assert_eq!(query(&added("a.rs", &lines)).symbols, ["Lease"]);
        assert_eq!(query(&added("a.h", &["#define LEASE_MAX limit_of(3)"])).symbols, ["LEASE_MAX", "limit_of"]);
    }

    #[test]
    fn a_huge_file_leaves_room_for_the_others() {
        let lines: Vec<String> = (0..20_000).map(|n| format!("let x{n} = call_{n}();")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let query = query(&(added("big.rs", &lines) + &added("small.rs", &["fn small_one() {}"])));
        assert!(query.text.len() <= TEXT_BYTES_MAX + 100 && query.text.contains("fn small_one"));
        assert_eq!(query.symbols.len(), SYMBOLS_MAX);
        assert_eq!(query.symbols[0], "small_one");
    }
}

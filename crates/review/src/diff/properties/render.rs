//! A second way from a parsed diff to its text, so that parsing twice can be compared.

use std::fmt::Write;

use crate::diff::{Diff, FileDiff, FileStatus, LineKind, RepoPath};

pub(super) const PIECES: &[&str] = &[
    "diff --git a/x b/x",
    "diff --git a/y b/y",
    "--- a/x",
    "+++ b/x",
    "--- /dev/null",
    "+++ /dev/null",
    "@@ -1 +1 @@",
    "@@ -0,0 +1 @@",
    "@@ -3,0 +4,2 @@ f",
    "-a",
    "+b",
    " c",
    "",
    "\\ No newline at end of file",
    "new file mode 100644",
    "deleted file mode 100644",
    "old mode 100644",
    "rename from x",
    "rename to y",
    "copy from x",
    "Binary files a/x and b/x differ",
    "GIT binary patch",
    "literal 0",
    "HcmV?d00001",
    "index 1..2 160000",
    "-- ",
    "From x",
];

/// Checks that a text which the parser takes has a meaning that survives being written down and read again.
pub(super) fn understood_as_a_whole(text: Vec<u8>) {
    let Ok(diff) = Diff::parse(text) else { return };
    let rendered = render(&diff);
    let again = Diff::parse(rendered.clone()).unwrap_or_else(|e| panic!("{e}\n{rendered}"));
    assert_eq!(again.files.len(), diff.files.len());
    for (a, b) in again.files.iter().zip(&diff.files) {
        assert_eq!(facts(&again, a), facts(&diff, b));
    }
}

fn facts(diff: &Diff, file: &FileDiff) -> String {
    let mut out = format!("{:?} {:?} {:?}", file.old_path, file.new_path, (file.status, file.binary, file.submodule));
    for hunk in &file.hunks {
        let numbers = (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count);
        write!(out, "\n{numbers:?} {}", diff.section(hunk)).unwrap();
        for l in &hunk.lines {
            write!(out, "\n{:?} {} {} {} {:?}", l.kind, l.old, l.new, l.no_newline, diff.text(l)).unwrap();
        }
    }
    out
}

fn render(diff: &Diff) -> String {
    let moved = |f: &FileDiff| f.status == FileStatus::Modified && f.old_path != f.new_path;
    let plain = diff.files.iter().any(moved);
    diff.files.iter().map(|f| render_file(diff, f, plain)).collect()
}

fn render_file(diff: &Diff, file: &FileDiff, plain: bool) -> String {
    let mut out = String::new();
    let old = file.old_path.as_ref().map_or("/dev/null".to_owned(), |p| quoted("a/", p));
    let new = file.new_path.as_ref().map_or("/dev/null".to_owned(), |p| quoted("b/", p));
    if !plain {
        writeln!(out, "diff --git {} {}", quoted("a/", file.path()), quoted("b/", file.path())).unwrap();
        let mode = if file.submodule { "160000" } else { "100644" };
        match (file.status, &file.old_path, &file.new_path) {
            (FileStatus::Added, ..) => writeln!(out, "new file mode {mode}").unwrap(),
            (FileStatus::Deleted, ..) => writeln!(out, "deleted file mode {mode}").unwrap(),
            (FileStatus::Modified, ..) => writeln!(out, "index 1..2 {mode}").unwrap(),
            (status, Some(from), Some(to)) => {
                let verb = if status == FileStatus::Copied { "copy" } else { "rename" };
                let (from, to) = (quoted("", from), quoted("", to));
                writeln!(out, "index 1..2 {mode}\n{verb} from {from}\n{verb} to {to}").unwrap();
            }
            _ => panic!("a moved file without both paths: {file:?}"),
        }
    }
    if file.binary {
        writeln!(out, "Binary files {old} and {new} differ").unwrap();
    } else if !file.hunks.is_empty() {
        writeln!(out, "--- {old}\n+++ {new}").unwrap();
    }
    for hunk in &file.hunks {
        let (a, b, c, d) = (hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count);
        writeln!(out, "@@ -{a},{b} +{c},{d} @@ {}", diff.section(hunk)).unwrap();
        for line in &hunk.lines {
            let prefix = match line.kind {
                LineKind::Added => '+',
                LineKind::Removed => '-',
                LineKind::Context => ' ',
            };
            // A carriage return at the end of a text is content only if another one follows.
            writeln!(out, "{prefix}{}\r", diff.text(line)).unwrap();
            if line.no_newline {
                writeln!(out, "\\ No newline at end of file").unwrap();
            }
        }
    }
    out
}

pub(super) fn quoted(prefix: &str, path: &RepoPath) -> String {
    let bytes = path.as_bytes();
    let plain = |b: &u8| (0x20..0x7f).contains(b) && !matches!(b, b'"' | b'\\');
    if bytes.iter().all(plain) && !prefix.is_empty() {
        return format!("{prefix}{path}");
    }
    let escape = |b: &u8| if plain(b) { char::from(*b).to_string() } else { format!("\\{b:03o}") };
    format!("\"{prefix}{}\"", bytes.iter().map(escape).collect::<String>())
}

use super::*;
use crate::diff::{FileStatus, LineKind};

fn parse(text: impl AsRef<[u8]>) -> Diff {
    Diff::parse(text.as_ref().to_vec()).unwrap_or_else(|e| panic!("{e}\n{}", String::from_utf8_lossy(text.as_ref())))
}

fn fault(text: impl AsRef<[u8]>) -> (usize, &'static str) {
    let error = Diff::parse(text.as_ref().to_vec()).expect_err("should be refused");
    (error.line, error.what)
}

/// A change of one file `x` with these hunks.
fn file(hunks: &str) -> String {
    format!("diff --git a/x b/x\nindex 1111111..2222222 100644\n--- a/x\n+++ b/x\n{hunks}")
}

/// `old|new|path before|path after`, for each file.
fn paths(diff: &Diff) -> Vec<(FileStatus, String, String)> {
    let show = |p: &Option<crate::diff::RepoPath>| p.as_ref().map_or("-".to_owned(), ToString::to_string);
    diff.files.iter().map(|f| (f.status, show(&f.old_path), show(&f.new_path))).collect()
}

/// Each line as `-old+new text`, with `$` where the file ends without a newline.
fn lines(diff: &Diff) -> Vec<String> {
    let end = |l: &crate::diff::Line| if l.no_newline { "$" } else { "" };
    diff.files
        .iter()
        .flat_map(FileDiff::lines)
        .map(|l| match l.kind {
            LineKind::Added => format!("+{} {}{}", l.new, diff.text(l), end(l)),
            LineKind::Removed => format!("-{} {}{}", l.old, diff.text(l), end(l)),
            LineKind::Context => format!("{}={} {}{}", l.old, l.new, diff.text(l), end(l)),
        })
        .collect()
}

fn same(status: FileStatus, path: &str) -> (FileStatus, String, String) {
    (status, path.to_owned(), path.to_owned())
}

#[test]
fn lines_carry_their_numbers_on_both_sides() {
    let diff = parse(file("@@ -3,3 +3,4 @@ fn main() {\n a\n-b\n+B\n+BB\n c\n@@ -10 +11 @@\n-x\n+y\n"));
    assert_eq!(lines(&diff), ["3=3 a", "-4 b", "+4 B", "+5 BB", "5=6 c", "-10 x", "+11 y"]);
    assert_eq!(diff.section(&diff.files[0].hunks[0]), "fn main() {");
    assert_eq!(diff.section(&diff.files[0].hunks[1]), "");
    assert_eq!(diff.changed_lines(), 5);
}

// sourcegraph/go-diff#53
#[test]
fn content_that_looks_like_a_header_is_content() {
    let diff = parse(file(
        "@@ -1,4 +1,4 @@\n--- a/x\n+++ b/x\n--- \n+++ /dev/null\n-@@ -1 +1 @@\n+diff --git a/y b/y\n z\n@@ -9 +9 @@\n-- a/x\n++ b/x\n",
    ));
    assert_eq!(
        lines(&diff),
        [
            "-1 -- a/x",
            "+1 ++ b/x",
            "-2 -- ",
            "+2 ++ /dev/null",
            "-3 @@ -1 +1 @@",
            "+3 diff --git a/y b/y",
            "4=4 z",
            "-9 - a/x",
            "+9 + b/x",
        ]
    );
    assert_eq!(diff.files.len(), 1);
}

// open-code-review#451
#[test]
fn prose_about_binary_files_is_text() {
    let diff = parse(file("@@ -1 +1,2 @@\n Binary files a/x and b/x differ\n+Binary files a/x and b/x differ\n"));
    assert!(!diff.files[0].binary);
    assert_eq!(lines(&diff)[1], "+2 Binary files a/x and b/x differ");
}

// open-code-review#1492, #1472
#[test]
fn odd_paths_are_decoded_and_never_merged() {
    let diff = parse(concat!(
        "diff --git a/x b/x b/x b/x\nold mode 100644\nnew mode 100755\n",
        "diff --git \"a/t\\tab\\\"q\\\\\" \"b/t\\tab\\\"q\\\\\"\nindex 1..2 100644\n",
        "--- \"a/t\\tab\\\"q\\\\\"\n+++ \"b/t\\tab\\\"q\\\\\"\n@@ -1 +1 @@\n-a\n+b\n",
        "diff --git a/with blank b/with blank\n--- a/with blank\t\n+++ b/with blank\t\n@@ -1 +1 @@\n-a\n+b\n",
        "diff --git \"a/\\303\\244\" \"b/\\303\\244\"\nnew file mode 100644\nindex 0000000..e69de29\n",
        "diff --git a/p b/p b/q\nsimilarity index 90%\nrename from p b/p\nrename to q\n",
        "diff --git \"a/n\\n\" b/a b/c\nsimilarity index 100%\ncopy from \"n\\n\"\ncopy to a b/c\n",
    ));
    let expected = [
        same(FileStatus::Modified, "x b/x"),
        same(FileStatus::Modified, "t\tab\"q\\"),
        same(FileStatus::Modified, "with blank"),
        (FileStatus::Added, "-".into(), "ä".into()),
        (FileStatus::Renamed, "p b/p".into(), "q".into()),
        (FileStatus::Copied, "n\n".into(), "a b/c".into()),
    ];
    assert_eq!(paths(&diff), expected);
}

// open-code-review#933
#[test]
fn a_diff_with_crlf_line_ends_has_clean_paths() {
    let text = "diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1,2 @@\n+a\n+\n\
                diff --git a/m b/m\nold mode 100644\nnew mode 100755\n\
                diff --git a/x b/y\nsimilarity index 9%\nrename from x\nrename to y\n--- a/x\n+++ b/y\n@@ -1,2 +1 @@ f\n-a\n b\n\\ No newline at end of file\n";
    let (lf, crlf) = (parse(text), parse(text.replace('\n', "\r\n")));
    assert_eq!(paths(&crlf), paths(&lf));
    assert_eq!(lines(&crlf), lines(&lf));
    assert_eq!(paths(&crlf)[0], (FileStatus::Added, "-".into(), "new".into()));
    assert_eq!(crlf.section(&crlf.files[2].hunks[0]), "f");
}

#[test]
fn a_line_that_only_lost_its_carriage_return_is_a_change() {
    let diff = parse(file("@@ -1,2 +1,2 @@\n-a\r\n+a\n b\r\n"));
    assert_eq!(lines(&diff), ["-1 a", "+1 a", "2=2 b"]);
}

// qodo-ai/pr-agent#2677
#[test]
fn a_count_that_is_left_out_is_one() {
    let diff = parse(file("@@ -5 +5 @@\n-a\n+b\n@@ -7 +7,2 @@\n a\n+b\n"));
    let counts: Vec<_> = diff.files[0].hunks.iter().map(|h| (h.old_count, h.new_count)).collect();
    assert_eq!(counts, [(1, 1), (1, 2)]);
}

// qodo-ai/pr-agent#2621, #2683
#[test]
fn a_hunk_that_only_deletes_loses_and_leaks_nothing() {
    let diff = parse(file("@@ -2,2 +1,0 @@\n-a\n-b\n@@ -9,2 +7,3 @@\n c\n+d\n e\n@@ -20 +18,0 @@ end\n-z\n"));
    assert_eq!(lines(&diff), ["-2 a", "-3 b", "9=7 c", "+8 d", "10=9 e", "-20 z"]);
    let sizes: Vec<_> = diff.files[0].hunks.iter().map(|h| h.lines.len()).collect();
    assert_eq!(sizes, [2, 3, 1]);
}

#[test]
fn a_missing_newline_belongs_to_the_line_before() {
    let diff = parse(file("@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n"));
    assert_eq!(lines(&diff), ["1=1 a", "-2 b$", "+2 b"]);
    let both = parse(file("@@ -1 +1,2 @@\n+a\n b\n\\ Kein Zeilenumbruch am Dateiende.\n"));
    assert_eq!(lines(&both), ["+1 a", "1=2 b$"]);
}

#[test]
fn files_without_hunks_are_kept() {
    let diff = parse(concat!(
        "diff --git a/run b/run\nold mode 100644\nnew mode 100755\n",
        "diff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n",
        "diff --git a/gone b/gone\ndeleted file mode 100644\nindex e69de29..0000000\n",
        "diff --git a/old/p b/new/p\nsimilarity index 100%\nrename from old/p\nrename to new/p\n",
        "diff --git a/e b/e\nnew file mode 100644\nindex 0000000..e69de29\n--- /dev/null\n+++ b/e\n",
    ));
    let expected = [
        same(FileStatus::Modified, "run"),
        (FileStatus::Added, "-".into(), "empty".into()),
        (FileStatus::Deleted, "gone".into(), "-".into()),
        (FileStatus::Renamed, "old/p".into(), "new/p".into()),
        (FileStatus::Added, "-".into(), "e".into()),
    ];
    assert_eq!(paths(&diff), expected);
    assert!(diff.files.iter().all(|f| f.hunks.is_empty() && !f.binary));
}

#[test]
fn binaries_are_known_in_both_forms() {
    let diff = parse(concat!(
        "diff --git a/i.png b/i.png\nindex 1..2 100644\nBinary files a/i.png and b/i.png differ\n",
        "diff --git a/n b b/n b\nnew file mode 100644\nindex 0..2\nBinary files /dev/null and b/n b differ\n",
        "diff --git a/p b/p\nindex 1..2 100644\nGIT binary patch\nliteral 3\nKc-jL10\n\n",
    ));
    let seen: Vec<_> = diff.files.iter().map(|f| (f.binary, f.path().to_string())).collect();
    assert_eq!(seen, [(true, "i.png".into()), (true, "n b".into()), (true, "p".into())]);
    let two = "diff --git a/p b/p\nGIT binary patch\ndelta 5\nMc-jL100\n\nliteral 0\nHcmV?d00001\n\n";
    assert_eq!(parse(format!("{two}{}", file("@@ -1 +1 @@\n-a\n+b\n"))).files.len(), 2);
}

#[test]
fn submodules_are_known_by_their_mode() {
    let diff = parse(concat!(
        "diff --git a/lib b/lib\nindex 1111111..2222222 160000\n--- a/lib\n+++ b/lib\n@@ -1 +1 @@\n",
        "-Subproject commit 1111111111111111111111111111111111111111\n",
        "+Subproject commit 2222222222222222222222222222222222222222\n",
        "diff --git a/l2 b/l2\nnew file mode 160000\n--- /dev/null\n+++ b/l2\n@@ -0,0 +1 @@\n+Subproject commit 3\n",
        "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+Subproject commit 3\n",
    ));
    assert_eq!(diff.files.iter().map(|f| f.submodule).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn a_file_that_becomes_a_link_is_deleted_and_added() {
    let diff = parse(concat!(
        "diff --git a/l b/l\ndeleted file mode 100644\n--- a/l\n+++ /dev/null\n@@ -1 +0,0 @@\n-text\n",
        "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+target\n\\ No newline at end of file\n",
    ));
    assert_eq!(diff.files.iter().map(|f| f.status).collect::<Vec<_>>(), [FileStatus::Deleted, FileStatus::Added]);
}

#[test]
fn mailed_patches_are_read_around_their_prose() {
    let one = file("@@ -1 +1 @@\n-a\n+b\n");
    let mail = format!("From 1234 Mon Sep 17 00:00:00 2001\nSubject: x\n\n---\n x | 2 +-\n\n{one}-- \n2.51.0\n\n");
    assert_eq!(parse(&mail).files.len(), 1);
    assert_eq!(parse(format!("{mail}{mail}")).files.len(), 2);
    assert_eq!(fault(format!("{one}-- \n+more\n")).0, 8);
}

#[test]
fn plain_diffs_need_no_line_of_git_s() {
    let diff = parse(concat!(
        "--- a/x\t2026-01-01 00:00:00\n+++ b/x\t2026-01-02 00:00:00\n@@ -1 +1 @@\n-a\n+b\n",
        "--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+c\n",
    ));
    assert_eq!(paths(&diff), [same(FileStatus::Modified, "x"), (FileStatus::Added, "-".into(), "y".into())]);
    let bare = parse("--- x.orig\n+++ x\n@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(paths(&bare), [(FileStatus::Modified, "x.orig".into(), "x".into())]);
}

#[test]
fn bytes_that_are_no_utf_8_are_content() {
    let mut text = file("@@ -1 +1 @@\n-a\n+").into_bytes();
    text.extend(b"\xff\0z\n");
    assert_eq!(lines(&parse(text)), ["-1 a", "+1 \u{FFFD}\0z"]);
}

#[test]
fn an_empty_diff_has_no_files() {
    assert!(parse("").files.is_empty());
    assert!(parse("\n\n").files.is_empty());
}

#[test]
fn a_combined_diff_is_refused_by_name() {
    for text in ["diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,2 @@@\n", "diff --combined x\n"] {
        assert_eq!(fault(text), (1, COMBINED));
        assert_eq!(fault(format!("{}{text}", file("@@ -1 +1 @@\n-a\n+b\n"))), (8, COMBINED));
    }
    assert_eq!(fault(file("@@@ -1 -1 +1 @@@\n")), (5, COMBINED));
}

#[test]
fn what_cannot_be_understood_is_an_error_with_its_line() {
    let bad = [
        (1, "hello\n".to_owned()),
        (1, "@@ -1 +1 @@\n-a\n+b\n".to_owned()),
        (7, file("@@ -1,2 +1 @@\n-a\n")),
        (7, file("@@ -1,2 +1,2 @@\n a\ndiff --git a/y b/y\n")),
        (7, file("@@ -1,2 +1 @@\n-a\n@@ -5 +5 @@\n")),
        (7, file("@@ -1 +1,2 @@\n-a\n-b\n+c\n")),
        (8, file("@@ -1 +1 @@\n-a\n+b\n+c\n")),
        (8, file("@@ -1 +1 @@\n-a\n+b\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n")),
        (6, format!("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n{}", file("@@ -1 +1 @@\n-a\n+b\n"))),
        (8, file("@@ -9 +9 @@\n-a\n+b\n@@ -3 +3 @@\n-a\n+b\n")),
        (8, file("@@ -9 +9 @@\n-a\n+b\nGarbage\n")),
        (8, file("@@ -1,2 +1 @@\n-a\n\\ No newline\n-b\n+c\n")),
        (9, file("@@ -1 +1 @@\n-a\n+b\n\\ No newline\n\\ No newline\n")),
        (5, file("@@ -0,0 +0,0 @@\n")),
        (5, file("@@ -0 +1 @@\n-a\n+b\n")),
        (5, file("@@ -4294967296 +1 @@\n-a\n+b\n")),
        (5, file("@@ -4294967295,2 +1 @@\n-a\n-b\n+b\n")),
        (5, file("@@ -99999999999999999999999 +1 @@\n-a\n+b\n")),
        (5, file("@@ -1, +1 @@\n-a\n+b\n")),
        (5, file("@@ -1 @@\n-a\n")),
        (5, file("@@ -1 +1 @\n-a\n")),
        (1, "diff --git a/x b/y\nold mode 100644\nnew mode 100755\n".to_owned()),
        (1, "diff --git x x\nold mode 100644\nnew mode 100755\n".to_owned()),
        (1, "diff --git a/ b/\n".to_owned()),
        (1, "diff --git \n".to_owned()),
        (2, "diff --git a/x b/x\nold mode rwxr-x\n".to_owned()),
        (3, "diff --git a/x b/x\nnew file mode 100644\ndeleted file mode 100644\n".to_owned()),
        (1, "diff --git a/x b/y\nrename from x\n".to_owned()),
        (1, "diff --git a/x b/x\n--- /dev/null\n+++ /dev/null\n".to_owned()),
        (1, "diff --git a/x b/y\n--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n".to_owned()),
        (3, "diff --git a/x b/x\n--- a/x\n--- a/y\n+++ b/x\n".to_owned()),
        (1, "diff --git a/x b/x\n--- a/x\n@@ -1 +1 @@\n-a\n+b\n".to_owned()),
        (2, "diff --git \"a/x b/x\n--- \"a/x\n+++ b/x\n".to_owned()),
        (1, "diff --git \"a/\\000\" \"b/\\000\"\nnew file mode 100644\n".to_owned()),
        (3, "diff --git a/x b/x\nGIT binary patch\nnothing\n".to_owned()),
        (4, "diff --git a/x b/x\nGIT binary patch\nliteral 3\n-no base\n".to_owned()),
        (5, "diff --git a/x b/x\nGIT binary patch\nliteral 3\nKc-jL10\n".to_owned()),
        (3, "diff --git a/x b/x\nBinary files a/x and b/x differ\n@@ -1 +1 @@\n-a\n+b\n".to_owned()),
    ];
    for (line, text) in bad {
        let (at, what) = fault(&text);
        assert_eq!(at, line, "{what}\n{text}");
    }
}

#[test]
fn a_path_longer_than_any_system_s_is_refused() {
    let text = |n: usize| format!("diff --git a/{0} b/{0}\nnew file mode 100644\n", "p".repeat(n));
    assert_eq!(parse(text(4096)).files.len(), 1);
    assert_eq!(fault(text(4097)), (1, "a path is longer than 4096 bytes"));
}

#[test]
fn each_limit_is_an_error_at_its_line() {
    let text = file("@@ -1 +1 @@\n-a\n+b\n") + "diff --git a/y b/y\nold mode 100644\nnew mode 100755\n";
    let within = |bytes, files, lines| {
        Diff::parse_within(text.clone().into(), Limits { bytes, files, lines }).map(|d| d.files.len())
    };
    assert_eq!(within(text.len(), 2, 2), Ok(2));
    assert_eq!(within(text.len() - 1, 2, 2).unwrap_err().line, 1);
    assert_eq!(within(text.len(), 1, 2).unwrap_err().line, 8);
    assert_eq!(within(text.len(), 2, 1).unwrap_err().line, 7);
}

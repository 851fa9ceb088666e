//! What the rules are asked of: added lines, facts of files, any text at all, and little time.

use proptest::prelude::*;

use super::{added, cases, changed, found, parse};
use crate::rules::{MAX_FINDINGS_PER_RULE, MAX_FINDINGS_PER_RULE_AND_FILE, review_by_rules};

/// The rules that these tests are about.
pub(super) const COVERED: &[&str] = &[
    "merge-conflict-marker",
    "deleted-test",
    "build-artifact-added",
    "stray-file-added",
    "key-file-added",
    "large-file-added",
];

fn conflict(indent: &str) -> String {
    format!("a\n{indent}{} HEAD\nb\n{indent}{}\nc\n{indent}{} topic\nd", "<".repeat(7), "=".repeat(7), ">".repeat(7))
}

fn deleted(path: &str) -> String {
    format!("diff --git a/{path} b/{path}\ndeleted file mode 100644\n--- a/{path}\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n")
}

fn binary(path: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\nindex 0000000..1111111\nBinary files /dev/null and b/{path} differ\n"
    )
}

#[test]
fn only_added_lines_are_judged() {
    assert_eq!(found(&changed("src/a.rs", "", &[" dbg!(a);", "-dbg!(b);", "+f();"])), []);
    assert_eq!(found(&changed("src/a.rs", "", &[" f();", "+dbg!(b);"])), [("debugging-leftover".to_owned(), Some(51))]);
}

#[test]
fn a_conflict_needs_all_three_markers_at_the_margin() {
    assert_eq!(found(&added("src/a.rs", &conflict(""))), [("merge-conflict-marker".to_owned(), Some(2))]);
    assert_eq!(found(&added("notes.txt", &conflict(""))), [("merge-conflict-marker".to_owned(), Some(2))]);
    assert_eq!(found(&added("src/a.rs", &conflict("  "))), []);
    assert_eq!(found(&added("README.md", &format!("```\n{}\n```", conflict("")))), []);
    assert_eq!(found(&added("README.md", "Title\n=======\ntext")), []);
    assert_eq!(found(&added("src/a.py", &format!("x = \"\"\"\n{}\n\"\"\"", conflict("")))), []);
}

#[test]
fn a_hunk_inside_a_module_of_tests_is_one() {
    assert_eq!(found(&changed("src/a.rs", "mod tests {", &["     f();", "+    todo!();"])), []);
    assert_eq!(found(&changed("src/a.rs", "mod tests {", &[" }", "+fn f() { todo!() }"])).len(), 1);
}

#[test]
fn a_deleted_test_is_reported_unless_its_subject_went_too_or_it_moved() {
    let one = deleted("tests/test_pay.py");
    assert_eq!(found(&parse(one.clone())), [("deleted-test".to_owned(), None)]);
    assert_eq!(found(&parse(one.clone() + &deleted("app/pay.py"))), []);
    let moved = "diff --git a/tests/unit/test_pay.py b/tests/unit/test_pay.py\nnew file mode 100644\n--- /dev/null\n+++ b/tests/unit/test_pay.py\n@@ -0,0 +1 @@\n+y\n";
    assert_eq!(found(&parse(one + moved)), []);
    assert_eq!(found(&parse(deleted("tests/fixtures/a.py"))), []);
}

#[test]
fn files_that_belong_to_no_change_are_named() {
    for (rule, path) in [
        ("build-artifact-added", "bin/tool.exe"),
        ("build-artifact-added", "app/__pycache__/a.pyc"),
        ("stray-file-added", "src/.DS_Store"),
        ("key-file-added", "deploy/release.jks"),
        ("key-file-added", "deploy/id_rsa"),
    ] {
        let diff = parse(binary(path));
        let findings = review_by_rules(&diff, &[]);
        assert_eq!(findings.iter().map(super::id).collect::<Vec<_>>(), [rule], "{path}");
    }
    for path in ["docs/logo.png", "tests/fixtures/a.exe", "app/debug.keystore", "fonts/a.woff2"] {
        assert_eq!(found(&parse(binary(path))), [], "{path}");
    }
}

#[test]
fn a_very_long_new_file_is_noted() {
    let text = |lines: usize| "f()\n".repeat(lines);
    assert_eq!(found(&added("src/a.py", &text(2_001))), [("large-file-added".to_owned(), Some(1))]);
    assert_eq!(found(&added("src/a.py", &text(2_000))), []);
    assert_eq!(found(&added("data/a.json", &text(2_001))), []);
}

#[test]
fn one_rule_cannot_bury_the_others() {
    let file = |i: usize| {
        format!(
            "diff --git a/{i}.rs b/{i}.rs\nnew file mode 100644\n--- /dev/null\n+++ b/{i}.rs\n@@ -0,0 +1,9 @@\n{}",
            "+dbg!(1);\n".repeat(9)
        )
    };
    assert_eq!(found(&parse(file(1))).len(), MAX_FINDINGS_PER_RULE_AND_FILE);
    assert_eq!(found(&parse((0..9).map(file).collect())).len(), MAX_FINDINGS_PER_RULE);
}

#[test]
fn files_that_are_not_reviewed_and_indexes_beyond_the_diff_are_left_alone() {
    let diff = added("src/a.rs", "dbg!(1);");
    assert_eq!(review_by_rules(&diff, &[]), []);
    assert_eq!(review_by_rules(&diff, &[7, 0, 0]).len(), 1);
}

/// Paths of every language, and of none.
const PATHS: [&str; 17] = [
    "a.rs",
    "a.ts",
    "a.py",
    "a.go",
    "A.java",
    "a.kt",
    "a.c",
    "A.cs",
    "a.rb",
    "a.php",
    "a.sh",
    "a.sql",
    "a.yml",
    "Dockerfile",
    "a.tf",
    "a.json",
    "a.md",
];

proptest! {
    #[test]
    fn any_text_is_reviewed_without_a_panic(
        lines in proptest::collection::vec("[ -~]{0,60}|.{0,60}|[\"'`/*#<>{}\\\\-]{0,12}", 1..12),
        path in proptest::sample::select(&PATHS[..]),
    ) {
        found(&added(path, &lines.join("\n")));
    }

    #[test]
    fn mutilated_samples_are_reviewed_without_a_panic(
        which in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        junk in "\\PC{0,3}",
    ) {
        let all: Vec<_> = cases().flat_map(|(_, path, bad, good)| bad.iter().chain(*good).map(move |s| (path, s))).collect();
        let (path, sample) = which.get(&all);
        let at = sample.floor_char_boundary(cut.index(sample.len() + 1));
        found(&added(path, &format!("{}{junk}{}", &sample[..at], &sample[at..])));
    }
}

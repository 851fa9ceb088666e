use proptest::{prelude::*, sample::select};

use super::*;
use crate::{comment_markdown, diff::RepoPath};

/// Lines 1 to 5 (2 and 4 added), 21 and 22 (a deletion between), 40 to 42 (41 added) of `x`.
const TEXT: &str = "\
diff --git a/x b/x
--- a/x
+++ b/x
@@ -1,4 +1,5 @@
 1
-two
+2
 3
+4
 5
@@ -20,3 +21,2 @@
 21
-gone
 22
@@ -39,2 +40,3 @@
 40
+41
 42
diff --git a/gone b/gone
deleted file mode 100644
--- a/gone
+++ /dev/null
@@ -1 +0,0 @@
-text
diff --git a/image b/image
index 1..2 100644
Binary files a/image and b/image differ
diff --git a/lib b/lib
index 1..2 160000
--- a/lib
+++ b/lib
@@ -1 +1 @@
-Subproject commit 1
+Subproject commit 2
diff --git a/from b/to
similarity index 90%
rename from from
rename to to
--- a/from
+++ b/to
@@ -1 +1 @@
-a
+b
";

const ALL: VerifySettings = VerifySettings { severity_floor: Severity::Note, findings_max: 100 };

fn diff() -> Diff {
    Diff::parse(TEXT).unwrap()
}

fn draft(path: &str, start_line: Option<u32>, line: Option<u32>) -> DraftFinding {
    DraftFinding {
        source: Source::Model("m".into()),
        severity: Severity::Minor,
        path: path.into(),
        start_line,
        line,
        title: "Title".into(),
        body: "Why.".into(),
        suggestion: None,
    }
}

fn rule(id: &str, severity: Severity, line: u32, title: &str) -> DraftFinding {
    DraftFinding { source: Source::Rule(id.into()), severity, title: title.into(), ..draft("x", None, Some(line)) }
}

fn model(severity: Severity, line: u32, title: &str) -> DraftFinding {
    DraftFinding { severity, title: title.into(), ..draft("x", None, Some(line)) }
}

fn one(draft: DraftFinding) -> Finding {
    let verified = verify(&diff(), vec![draft], &ALL);
    verified.findings.into_iter().next().unwrap_or_else(|| panic!("{:?}", verified.dropped))
}

fn placed(start_line: Option<u32>, line: u32) -> Placement {
    one(draft("x", start_line, Some(line))).placement
}

fn inline(start_line: Option<u32>, line: u32) -> Placement {
    Placement::Inline { start_line, line }
}

fn titles(verified: &Verified) -> Vec<&str> {
    verified.findings.iter().map(|f| f.title.as_str()).collect()
}

fn reasons(verified: &Verified) -> Vec<DropReason> {
    verified.dropped.iter().map(|(_, reason)| *reason).collect()
}

// qodo-ai/pr-agent#592
#[test]
fn a_line_outside_the_hunks_moves_and_its_siblings_stay() {
    let drafts = vec![draft("x", None, Some(2)), draft("x", None, Some(8)), draft("x", None, Some(100))];
    let verified = verify(&diff(), drafts, &ALL);
    let places: Vec<_> = verified.findings.iter().map(|f| (f.placement, f.body.as_str())).collect();
    assert_eq!(
        places,
        [
            (inline(None, 2), "Why."),
            (inline(None, 4), "Why.\n\n_About line 8._"),
            (Placement::Body, "Why.\n\n_About line 100._"),
        ]
    );
}

#[test]
fn a_line_moves_ten_lines_at_most() {
    assert_eq!(placed(None, 15), inline(None, 21));
    assert_eq!(placed(None, 32), inline(None, 41));
    assert_eq!(placed(None, 52), inline(None, 41));
    assert_eq!(placed(None, 53), Placement::Body);
    assert_eq!(placed(None, u32::MAX), Placement::Body);
}

// qodo-ai/pr-agent#592
#[test]
fn a_range_over_two_hunks_is_cut_to_the_one_of_its_last_line() {
    assert_eq!(placed(Some(2), 22), inline(Some(21), 22));
    assert_eq!(placed(Some(2), 21), inline(None, 21));
    assert_eq!(placed(Some(10), 41), inline(Some(40), 41));
    assert_eq!(placed(Some(3), 15), inline(Some(3), 5));
    assert_eq!(placed(Some(42), 99), inline(None, 42));
    assert_eq!(one(draft("x", Some(2), Some(22))).body, "Why.\n\n_About lines 2 to 22._");
}

// ubuntu/WSL#244
#[test]
fn a_range_of_one_line_has_no_first_line() {
    assert_eq!(placed(Some(2), 2), inline(None, 2));
    assert_eq!(placed(Some(4), 2), inline(None, 2));
    assert_eq!(placed(Some(0), 2), inline(None, 2));
    assert_eq!(placed(Some(2), 4), inline(Some(2), 4));
}

#[test]
fn a_file_without_lines_to_stand_on_is_told_of_in_the_body() {
    for (path, line) in [("gone", Some(1)), ("image", Some(1)), ("lib", Some(1)), ("x", None), ("x", Some(0))] {
        assert_eq!(one(draft(path, None, line)).placement, Placement::Body, "{path}");
    }
}

#[test]
fn a_file_that_the_diff_does_not_have_is_dropped() {
    let verified = verify(&diff(), vec![draft("invented", None, Some(1)), draft("x", None, Some(2))], &ALL);
    assert_eq!((verified.findings.len(), reasons(&verified)), (1, vec![DropReason::UnknownFile]));
}

#[test]
fn a_renamed_file_is_known_by_both_its_paths() {
    let found = one(draft("from", None, Some(1)));
    assert_eq!((found.path, found.placement), (RepoPath::from("to"), inline(None, 1)));
}

#[test]
fn a_suggestion_stays_only_where_it_fits() {
    let with = |start, line| DraftFinding { suggestion: Some("new```".into()), ..draft("x", start, Some(line)) };
    for fits in [with(None, 2), with(Some(2), 4), with(Some(2), 2), with(None, 21)] {
        assert_eq!(one(fits).suggestion.as_deref(), Some("new```"));
    }
    for moved in [with(None, 8), with(Some(2), 22), with(Some(3), 2), with(None, 100)] {
        let found = one(moved);
        assert_eq!(found.suggestion, None);
        assert!(found.body.ends_with("Suggested:\n\n````\nnew```\n````"), "{}", found.body);
    }
}

#[test]
fn an_empty_suggestion_deletes_its_lines_or_is_nothing() {
    let with = |line| DraftFinding { suggestion: Some(String::new()), ..draft("x", None, Some(line)) };
    assert!(comment_markdown(&one(with(2))).contains("\n\n```suggestion\n```\n\n"));
    assert_eq!(one(with(8)).body, "Why.\n\n_About line 8._");
}

#[test]
fn the_same_title_or_rule_on_a_line_is_said_once() {
    let drafts = vec![
        model(Severity::Minor, 2, "Off by one"),
        model(Severity::Major, 2, "off  by one"),
        model(Severity::Minor, 4, "Off by one"),
        rule("debug", Severity::Minor, 4, "A print"),
        rule("debug", Severity::Minor, 4, "Another"),
    ];
    let verified = verify(&diff(), drafts, &ALL);
    assert_eq!(titles(&verified), ["off by one", "A print", "Off by one"]);
    assert_eq!(reasons(&verified), [DropReason::Duplicate; 2]);
}

#[test]
fn of_a_rule_and_a_model_that_mean_the_same_the_more_severe_stays() {
    let same = |of_rule, of_model| {
        let drafts = vec![
            model(of_model, 2, "Hard-coded secrets are committed"),
            rule("secret.aws", of_rule, 2, "An AWS key"),
            model(Severity::Note, 2, "Misleading name"),
        ];
        verify(&diff(), drafts, &ALL).findings.into_iter().map(|f| f.title).collect::<Vec<_>>()
    };
    assert_eq!(same(Severity::Critical, Severity::Major), ["An AWS key", "Misleading name"]);
    assert_eq!(same(Severity::Major, Severity::Major), ["An AWS key", "Misleading name"]);
    assert_eq!(same(Severity::Minor, Severity::Major), ["Hard-coded secrets are committed", "Misleading name"]);
}

#[test]
fn the_most_severe_stay_in_a_stable_order() {
    let drafts = vec![
        model(Severity::Note, 2, "a"),
        model(Severity::Minor, 41, "b"),
        model(Severity::Minor, 4, "c"),
        model(Severity::Critical, 42, "d"),
        DraftFinding { path: "to".into(), line: Some(1), ..model(Severity::Minor, 1, "e") },
    ];
    let settings = VerifySettings { severity_floor: Severity::Minor, findings_max: 3 };
    let verified = verify(&diff(), drafts.clone(), &settings);
    assert_eq!(titles(&verified), ["d", "e", "c"]);
    assert_eq!(reasons(&verified), [DropReason::BelowFloor, DropReason::OverMaximum]);
    let backwards = drafts.into_iter().rev().collect();
    assert_eq!(verify(&diff(), backwards, &settings).findings, verified.findings);
}

#[test]
fn texts_are_bounded_harmless_and_never_empty() {
    let found =
        one(DraftFinding { title: " \n".into(), body: "\n\nAsk @me\nabout #1".into(), ..draft("x", None, Some(2)) });
    assert_eq!((found.title.as_str(), found.body.as_str()), ("Ask @\u{200B}me", "Ask @\u{200B}me\nabout #\u{200B}1"));
    let verified =
        verify(&diff(), vec![DraftFinding { title: "\0".into(), body: " ".into(), ..draft("x", None, None) }], &ALL);
    assert_eq!(reasons(&verified), [DropReason::Empty]);
    let long = one(DraftFinding {
        title: "t".repeat(300),
        body: format!("```\n{}", "b".repeat(9_000)),
        suggestion: Some("s".repeat(6_001)),
        ..draft("x", None, Some(2))
    });
    assert_eq!((long.title.chars().count(), long.suggestion), (201, None));
    let end = "bbb\n```\n\n_The rest is cut off._\n\n_A suggestion is left out: it is longer than 6000 characters._";
    assert!(long.body.ends_with(end) && long.body.len() < 6_200, "{}", long.body.len());
}

/// GitHub's limit.
const COMMENT_CHARS_MAX: usize = 65_536;

fn any_text(chars_max: usize) -> impl Strategy<Value = String> {
    let piece = select(&["`", "<", "&a", "@a", "#1", "\n", "```\n", " word ", "|-|\n", "ä", "\\", "\r", "\0"][..]);
    prop_oneof![
        prop::collection::vec(piece, 0..30).prop_map(|p| p.concat()),
        (select(&["`", "<", "&a", "x", "\u{1F680}"][..]), 0..chars_max).prop_map(|(c, n)| c.repeat(n)),
    ]
}

fn any_draft() -> impl Strategy<Value = DraftFinding> {
    let line = || prop::option::of(prop_oneof![9 => 0..60u32, 1 => any::<u32>()]);
    let source = select(vec![Source::Rule("r.one".into()), Source::Rule("r.two".into()), Source::Model("m".into())]);
    let path = select(&["x", "gone", "image", "lib", "to", "from", "invented", ""][..]);
    let texts = (any_text(400), any_text(20_000), prop::option::of(any_text(20_000)));
    (source, select(&Severity::ALL[..]), path, line(), line(), texts).prop_map(
        |(source, severity, path, start_line, line, (title, body, suggestion))| DraftFinding {
            source,
            severity,
            path: path.into(),
            start_line,
            line,
            title,
            body,
            suggestion,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_comment_is_one_that_github_would_refuse(
        drafts in prop::collection::vec(any_draft(), 0..12),
        severity_floor in select(&Severity::ALL[..]),
        findings_max in 0..10usize,
    ) {
        let diff = diff();
        let settings = VerifySettings { severity_floor, findings_max };
        let verified = verify(&diff, drafts.clone(), &settings);
        prop_assert_eq!(verified.findings.len() + verified.dropped.len(), drafts.len());
        prop_assert!(verified.findings.len() <= findings_max);
        for found in &verified.findings {
            let file = diff.file(&found.path).expect("a file of the diff");
            prop_assert!(found.severity >= severity_floor);
            prop_assert!(!found.title.trim().is_empty() && !found.title.contains('\n'));
            let comment = comment_markdown(found);
            prop_assert!(comment.chars().count() <= COMMENT_CHARS_MAX);
            prop_assert!(!comment.contains(['\0', '\r']));
            if let Placement::Inline { start_line, line } = found.placement {
                let hunk = file.hunk_at(line).expect("a line that the diff shows");
                prop_assert!(start_line.is_none_or(|s| s < line && hunk.new_lines().contains(&s)));
            } else {
                prop_assert_eq!(&found.suggestion, &None);
            }
        }
    }
}

//! Commits of every shape that git can hold: each ends as a completed review with sound output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Entry, Repo, Service, configure, reviewfleet, run};

const FILE: i32 = 0o100_644;
const PROGRAM: i32 = 0o100_755;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

/// A commit of an odd shape, and the files that its review counts.
struct Odd {
    what: &'static str,
    head: String,
    files: u64,
}

/// A repository of odd commits.
fn odd() -> (Repo, Vec<Odd>) {
    let repo = Repo::new();
    let mut commits = Vec::new();
    let mut add = |what, head, files| commits.push(Odd { what, head, files });
    repo.write("run.sh", b"#!/bin/sh\necho one\n");
    repo.write("a.rs", b"fn a() {}\n");
    let root = repo.commit("root");
    repo.write("b.rs", b"fn b() {}\nfn c() {}\n");
    repo.commit("second");
    let side = repo.commit_beside(&root, "side.rs", b"fn side() {}\n");
    add("merge", repo.merge(&side, "side.rs", "Merge branch 'x'\n\nBoth."), 1);
    let text = b"#!/bin/sh\necho one\n";
    add("mode alone", repo.commit_entry(b"run.sh", PROGRAM, Entry::Blob(text), b"Make it run"), 0);
    let (first, second) = ("1".repeat(40), "2".repeat(40));
    add("new submodule", repo.commit_entry(b"lib", SUBMODULE, Entry::Commit(&first), b"Add lib"), 0);
    add("submodule moved on", repo.commit_entry(b"lib", SUBMODULE, Entry::Commit(&second), b"Bump lib"), 0);
    add("link", repo.commit_entry(b"link", LINK, Entry::Blob(b"../../etc/passwd"), b"Link"), 1);
    let code = Entry::Blob(b"fn f() {}\n");
    for (what, name) in [
        ("spaces", b" two  spaces .rs".as_slice()),
        ("quotes", b"\"quoted\" 'name' `code`.rs"),
        ("backslash and tab", b"back\\slash\there.rs"),
        ("line end", b"two\nlines.rs"),
        ("no UTF-8", b"caf\xe9\xff.rs"),
        ("escape sequence", b"\x1b[31mred\x07.rs"),
        ("Markdown and HTML", b"<img src=x>](x)|**b**.rs"),
        ("right to left", "a\u{202e}sr.b".as_bytes()),
        ("like an option", b"--help"),
        ("like a diff", b"b and b"),
    ] {
        add(what, repo.commit_entry(name, FILE, code, b"Add a file"), 1);
    }
    let message = b"Caf\xe9 \xff\xfe\n\nBody \x80\x1b[2J and \r more\x07.";
    add("message of no UTF-8", repo.commit_entry(b"d.rs", FILE, code, message), 1);
    add("contents of no UTF-8", repo.commit_entry(b"e.txt", FILE, Entry::Blob(b"\xe9t\xe9 \xff\n\xfe\r\n"), b"e"), 1);
    add("no message", repo.commit_entry(b"f.rs", FILE, code, b""), 1);
    add("nothing changed", repo.commit_entry(b"f.rs", FILE, code, b"Nothing"), 0);
    add("emptied file", repo.commit_entry(b"f.rs", FILE, Entry::Blob(b""), b"Empty"), 1);
    add("binary", repo.commit_entry(b"x.bin", FILE, Entry::Blob(&[0, 159, 146, 150].repeat(500)), b"bin"), 0);
    add("file becomes link", repo.commit_entry(b"a.rs", LINK, Entry::Blob(b"b.rs"), b"Link it"), 2);
    let lines = "let x = y();\n".repeat(50_000);
    add("50,000 lines", repo.commit_entry(b"many.rs", FILE, Entry::Blob(lines.as_bytes()), b"many"), 1);
    (repo, commits)
}

/// Text that a reader may print: no control characters but line ends, nothing that turns the line around.
#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(bad), "{what}: {text:?}");
}

#[test]
fn each_is_reviewed_and_its_review_can_be_read_as_json_and_as_markdown() {
    let (repo, commits) = odd();
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "", "");
    let service = Service::start(dir.path());
    let jobs: Vec<String> = commits.iter().map(|odd| service.review("acme/widgets", &odd.head, "ann")).collect();
    for (Odd { what, head, files }, job) in commits.iter().zip(jobs) {
        let view = service.ended(&job);
        assert_eq!((&view["state"], &view["attempt"]), (&json!("completed"), &json!(1)), "{what}: {view}");
        let link = view["links"]["review"].as_str().unwrap();
        let review = service.get(link).1;
        assert_eq!(review["pull_request"]["head"], json!(head), "{what}: {review}");
        assert_eq!(review["size"]["files"], json!(files), "{what}: {review}");
        assert!(review["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{what}: {review}");
        let markdown = service.markdown(link);
        assert_harmless(what, &markdown);
        assert!(markdown.contains(&head[..10]) && !markdown.contains("<img"), "{what}: {markdown}");
    }
}

#[test]
fn the_demo_reviews_them_all_in_harmless_lines() {
    let (repo, commits) = odd();
    let folder = tempfile::tempdir().unwrap();
    let (out, shown) = (demo(folder.path(), &repo, &[]), demo(folder.path(), &repo, &["--json"]));
    assert_harmless("demo", &out);
    // And the two commits from which the odd ones start.
    let jobs = commits.len() + 2;
    assert!(out.contains(&format!("{jobs} jobs, {jobs} completed, {jobs} attempts")), "{out}");
    assert_harmless("demo --json", &shown);
    let lines: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), jobs + 1);
    for Odd { what, head, .. } in &commits {
        let line = lines.iter().find(|line| line["commit"] == json!(head));
        assert!(line.is_some_and(|line| line["review"].is_object()), "{what}: {line:?}");
    }
}

fn demo(folder: &Path, repo: &Repo, more: &[&str]) -> String {
    let mut command = reviewfleet(folder);
    command.env("TMPDIR", folder).arg("demo").arg(repo.path()).args(["--commits", "100"]).args(more);
    let (status, out, err) = run(command);
    assert!(status.success() && err.is_empty(), "{out}{err}");
    out
}

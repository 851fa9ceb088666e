//! The demo as a newcomer starts it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use support::{FakeModel, Repo, reviewfleet, run, until};

/// A demo whose temporary folder is the test's own, so that what it leaves behind can be seen.
fn demo(temporary: &Path, repo: &Path) -> Command {
    let mut command = reviewfleet(temporary);
    command.env("TMPDIR", temporary).env_remove("REVIEWFLEET_API_KEY").arg("demo").arg(repo);
    command
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn it_reviews_as_many_commits_as_there_are_and_leaves_nothing_behind() {
    let (repo, commits) = Repo::with_commits(3);
    let folder = tempfile::tempdir().unwrap();
    let (status, out, err) = run(demo(folder.path(), repo.path()));
    assert!(status.success(), "{out}{err}");
    assert!(out.contains("the last 3 commits of"), "{out}");
    assert!(out.contains("built-in rule reviewer alone"), "{out}");
    assert!(commits.iter().all(|commit| out.contains(&commit[..10])), "{out}");
    assert!(out.contains("3 jobs, 3 completed, 3 attempts"), "{out}");
    assert!(!out.contains('\u{1b}'), "no colour in a pipe: {out:?}");
    assert_eq!(err, "");
    assert!(is_empty(folder.path()));
}

#[test]
fn a_folder_inside_a_repository_with_spaces_in_its_path_is_reviewed_as_json() {
    let repo = Repo::new();
    repo.write("with space/a.rs", b"fn a() {}\n");
    repo.commit("\u{1b}[31mred\u{7}");
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo(folder.path(), &repo.path().join("with space"));
    command.arg("--json");
    let (status, out, err) = run(command);
    assert!(status.success(), "{out}{err}");
    assert!(!out.contains('\u{1b}'), "{out:?}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), &lines[1]["summary"]["completed"]), (2, &Value::from(1)));

    let (_, out, _) = run(demo(folder.path(), repo.path()));
    assert!(out.contains("the last commit of") && out.contains("1 job, 1 completed"), "{out}");
    assert!(!out.contains(['\u{1b}', '\u{7}']), "{out:?}");
}

#[test]
fn what_is_no_repository_with_commits_is_named_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let (temporary, file) = (folder.path().join("tmp"), folder.path().join("file"));
    std::fs::create_dir(&temporary).unwrap();
    std::fs::write(&file, "").unwrap();
    let empty = Repo::new();
    for (path, why) in [
        (temporary.as_path(), "is in no git repository"),
        (&folder.path().join("nowhere"), "does not exist"),
        (&file, "is not a folder"),
        (empty.path(), "has no commit yet"),
    ] {
        let (status, out, err) = run(demo(&temporary, path));
        assert_eq!(status.code(), Some(1), "{err}");
        assert!(err.starts_with("error: ") && err.contains(why), "{err}");
        assert_eq!(out, "");
    }
    let mut none = demo(&temporary, empty.path());
    none.args(["--commits", "0"]);
    let (status, _, err) = run(none);
    assert_eq!(status.code(), Some(2), "{err}");
    assert!(err.contains("1..=1000"), "{err}");
    assert!(is_empty(&temporary));
}

#[test]
fn what_is_kept_can_be_looked_at() {
    let (repo, _) = Repo::with_commits(1);
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo(folder.path(), repo.path());
    command.arg("--keep");
    let (status, out, err) = run(command);
    assert!(status.success(), "{out}{err}");
    let kept = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    assert!(out.contains(&format!("--data-dir {} jobs list", kept.display())), "{out}");
    let mut list = reviewfleet(folder.path());
    list.arg("--data-dir").arg(&kept).args(["jobs", "list", "--json"]);
    let (status, out, err) = run(list);
    assert!(status.success(), "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["state"], "completed");
}

#[test]
fn a_base_url_alone_is_enough_for_a_model_and_the_first_lines_say_so() {
    let (repo, _) = Repo::with_commits(2);
    let model = FakeModel::writing(r#"{"summary":"Fine.","findings":[]}"#);
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo(folder.path(), repo.path());
    command.env("OPENAI_BASE_URL", &model.base_url);
    let (status, out, err) = run(command);
    assert!(status.success(), "{out}{err}");
    let line = out.lines().nth(1).unwrap();
    assert!(line.contains(&format!("openai (the first model that {} lists)", model.base_url)), "{line}");
    assert_eq!(out.matches("by openai (fake-1)").count(), 2, "{out}");
    let asked: Vec<Value> = model.requests().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert!(asked.len() == 2 && asked.iter().all(|body| body["model"] == "fake-1"));
}

#[test]
fn an_interrupt_ends_it_soon_and_leaves_nothing_behind() {
    let (repo, _) = Repo::with_commits(3);
    let model = FakeModel::holding_after(0);
    let folder = tempfile::tempdir().unwrap();
    let mut command = demo(folder.path(), repo.path());
    command.env("OPENAI_BASE_URL", &model.base_url).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    until("a model call", || (model.waiting() > 0).then_some(()));
    let told = Instant::now();
    assert!(Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap().success());
    let status = until("the end", || process.try_wait().unwrap());
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    assert_eq!(status.code(), Some(130));
    assert!(is_empty(folder.path()));
}

#[test]
fn a_bare_repository_is_reviewed_from_its_root_or_a_folder_within_it() {
    let (repo, commits) = Repo::with_commits(3);
    let folder = tempfile::tempdir().unwrap();
    let (temporary, bare) = (folder.path().join("tmp"), folder.path().join("widgets.git"));
    std::fs::create_dir(&temporary).unwrap();
    git2::build::RepoBuilder::new().bare(true).clone(repo.path().to_str().unwrap(), &bare).unwrap();
    for path in [bare.clone(), bare.join("objects")] {
        let mut command = demo(&temporary, &path);
        command.args(["--commits", "2"]);
        let (status, out, err) = run(command);
        assert!(status.success() && err.is_empty(), "{out}{err}");
        assert!(out.contains("the last 2 commits of") && out.contains("2 jobs, 2 completed"), "{out}");
        assert!(out.contains(&commits[2][..10]) && !out.contains(&commits[0][..10]), "{out}");
        assert!(out.contains("Context:  3 files of"), "{out}");
    }
    git2::Repository::init_bare(folder.path().join("empty.git")).unwrap();
    let (status, out, err) = run(demo(&temporary, &folder.path().join("empty.git")));
    assert_eq!((status.code(), out.as_str()), (Some(1), ""), "{err}");
    assert!(err.starts_with("error: ") && err.contains("has no commit yet"), "{err}");
    assert!(is_empty(&temporary));
}

#[test]
fn a_branch_with_a_merge_a_head_on_no_branch_and_a_linked_tree_are_reviewed() {
    let (repo, commits) = Repo::with_commits(2);
    let side = repo.commit_beside(&commits[0], "side.rs", b"fn side() {}\n");
    let merge = repo.merge(&side, "side.rs", "Merge");
    let folder = tempfile::tempdir().unwrap();
    let (temporary, linked) = (folder.path().join("tmp"), folder.path().join("linked"));
    std::fs::create_dir(&temporary).unwrap();
    let (status, out, err) = run(demo(&temporary, repo.path()));
    assert!(status.success() && out.contains("3 jobs, 3 completed"), "{out}{err}");
    // What a merge has brought is its own change: the commits of its side are not shown again.
    assert!(out.contains(&merge[..10]) && !out.contains(&side[..10]), "{out}");

    let git = git2::Repository::open(repo.path()).unwrap();
    git.worktree("linked", &linked, None).unwrap();
    let (status, out, err) = run(demo(&temporary, &linked));
    assert!(status.success() && out.contains("3 jobs, 3 completed"), "{out}{err}");
    git.set_head_detached(git2::Oid::from_str(&commits[1]).unwrap()).unwrap();
    let (status, out, err) = run(demo(&temporary, repo.path()));
    assert!(status.success() && out.contains("the last 2 commits of"), "{out}{err}");
    assert!(!out.contains(&merge[..10]), "{out}");
}

#[test]
fn a_shallow_clone_is_reviewed_to_its_end_and_the_last_review_says_that_it_is_one() {
    for depth in [3, 1] {
        let (repo, commits) = Repo::with_commits(5);
        let kept = &commits[5 - depth..];
        repo.end_history_at(&kept[0]);
        let folder = tempfile::tempdir().unwrap();
        let (status, out, err) = run(demo(folder.path(), repo.path()));
        assert!(status.success() && err.is_empty(), "{out}{err}");
        assert!(out.contains(&format!("{depth} completed")), "{out}");
        assert!(kept.iter().all(|commit| out.contains(&commit[..10])), "{out}");
        assert_eq!(out.matches("The history of this clone ends with this commit").count(), 1, "{out}");
    }
}

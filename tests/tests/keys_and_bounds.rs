//! Keys, limits and values out of bounds, with the exit code and the sentence for each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::path::Path;

use serde_json::json;
use support::{KEY, Repo, Service, configure, reviewfleet, run};

/// A folder with a served repository, and queues that were made.
fn served() -> (tempfile::TempDir, Repo, String) {
    let (repo, commits) = Repo::with_commits(1);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "", "");
    drop(Service::start(dir.path()));
    (dir, repo, commits[0].clone())
}

/// Asserts how a command ends and that standard error, or standard output where it is done, has these words.
#[track_caller]
fn ends(dir: &Path, arguments: &[&str], code: i32, words: &str) {
    let mut command = reviewfleet(dir);
    command.args(arguments);
    let (status, out, err) = run(command);
    assert_eq!(status.code(), Some(code), "{arguments:?}: {out}{err}");
    let (says, silent) = if code == 0 { (&out, &err) } else { (&err, &out) };
    assert!(says.contains(words) && silent.is_empty(), "{arguments:?}: {out}{err}");
    assert!(code == 0 || (err.starts_with("error: ") && !err.contains("panicked")), "{arguments:?}: {err}");
}

#[test]
fn an_enqueue_out_of_bounds_says_what_is_allowed() {
    let (dir, _repo, head) = served();
    let enqueue = |repository: &str, head: &str, user: &str, more: &[&str], code: i32, words: &str| {
        let line = ["enqueue", "--repository", repository, "--head", head, "--user", user];
        ends(dir.path(), &[&line, more].concat(), code, words);
    };
    let widgets = "acme/widgets";
    enqueue("acme/other", &head, "ann", &[], 1, "there is no repository acme/other here: allowed are acme/widgets");
    enqueue(widgets, &head, "ann", &["--tier", "GOLD"], 1, "allowed are ENTERPRISE, FREE, PRO, TEAM");
    for user in ["", "a\nb", &"x".repeat(129)] {
        enqueue(widgets, &head, user, &[], 1, "is no user: allowed are 1 to 128 bytes without control characters");
    }
    for sha in ["", &head[..39], &format!("{head}1"), &"g".repeat(40)] {
        enqueue(widgets, sha, "ann", &[], 2, "expected its whole SHA, 40 or 64 hexadecimal digits");
        enqueue(widgets, &head, "ann", &["--base", sha], 2, "expected its whole SHA");
    }
    for name in ["widgets", "a/b/c", "../..", "acme/", &format!("{}/w", "x".repeat(101))] {
        enqueue(name, &head, "ann", &[], 2, "expected owner/name, each of 1 to 100 characters");
    }
    ends(dir.path(), &["jobs", "list"], 0, "no jobs");
    // The greatest values that are allowed.
    enqueue(widgets, &head, &"x".repeat(128), &["--tier", "ENTERPRISE"], 0, "job ");
    enqueue(widgets, &head, "ann", &[], 0, "(it was there already)");
}

#[test]
fn a_limit_out_of_bounds_says_what_is_allowed() {
    let (dir, ..) = served();
    let limit = |arguments: &[&str], code: i32, words: &str| {
        ends(dir.path(), &[&["queues", "limit"], arguments].concat(), code, words);
    };
    limit(&["review", "4294967296"], 2, "4294967296 is not in 0..=4294967295");
    limit(&["review", "1.5"], 2, "invalid value '1.5'");
    limit(&["review", "-1"], 2, "unexpected argument '-1'");
    limit(&["Review", "1"], 2, "allowed are a-z, 0-9, '.', '_' and '-'");
    limit(&["nope", "1"], 1, "there is no queue nope: allowed are review");
    for key in ["", &"x".repeat(257)] {
        limit(&["review", "--key", key, "1"], 2, "concurrency key must have 1 to 256 bytes");
    }
    ends(dir.path(), &["queues", "--json"], 0, "\"limit\":200");
    limit(&["review", "4294967295"], 0, "queue review: limited to 4294967295 at once");
    limit(&["review", "--key", &"x".repeat(256), "0"], 0, "limited to 0 at once");
    limit(&["review"], 0, "queue review: without a limit");
    ends(dir.path(), &["queues", "--json"], 0, "\"limit\":null");
}

#[test]
fn a_key_that_is_missing_short_or_unreadable_is_named_and_nothing_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nowhere");
    let short = dir.path().join("short");
    std::fs::write(&short, "0123456789\n").unwrap();
    for (variables, words) in [
        (vec![], "REVIEWFLEET_API_KEY: the API needs a key of at least 16 characters"),
        (vec![("REVIEWFLEET_API_KEY", "")], "REVIEWFLEET_API_KEY"),
        (vec![("REVIEWFLEET_API_KEY", "0123456789")], "REVIEWFLEET_API_KEY"),
        (vec![("REVIEWFLEET_API_KEY_FILE", missing.to_str().unwrap())], "REVIEWFLEET_API_KEY_FILE"),
        (vec![("REVIEWFLEET_API_KEY_FILE", short.to_str().unwrap())], "REVIEWFLEET_API_KEY"),
    ] {
        let mut command = reviewfleet(dir.path());
        command.env_remove("REVIEWFLEET_API_KEY").envs(variables.clone()).args(["up", "--listen", "127.0.0.1:0"]);
        let (status, out, err) = run(command);
        assert_eq!((status.code(), out.as_str()), (Some(2), ""), "{variables:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(words), "{variables:?}: {err}");
        assert!(!err.contains("0123456789"), "a key is told: {err}");
    }
    assert!(!dir.path().join("reviewfleet-data").exists());
}

#[test]
fn a_request_with_a_wrong_key_or_none_is_refused_and_probes_need_none() {
    let (dir, ..) = served();
    let service = Service::start(dir.path());
    let unknown = "/v1/jobs/0198c0de-0000-7000-8000-000000000000";
    for (authorization, kind) in [
        (None, "missing-key"),
        (Some(KEY.to_owned()), "missing-key"),
        (Some(format!("Basic {KEY}")), "missing-key"),
        (Some("Bearer ".to_owned()), "missing-key"),
        (Some(format!("Bearer {KEY}x")), "wrong-key"),
        (Some(format!("Bearer {}", &KEY[1..])), "wrong-key"),
    ] {
        let (status, answer) = service.get_as(authorization.as_deref(), unknown);
        let found = (status, &answer["type"]);
        assert_eq!(found, (401, &json!(format!("/problems/{kind}"))), "{authorization:?}: {answer}");
        assert!(!answer.to_string().contains(KEY), "{answer}");
    }
    assert_eq!(service.get(unknown).0, 404);
    for probe in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(service.status_without_key(probe), 200, "{probe}");
    }
}

//! Pushes to a pull request: only the newest is reviewed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::path::Path;

use ledger::{Ledger, ReviewFilter, ReviewStatus, ReviewedPlace, SqliteLedger, SqliteOptions};
use serde_json::{Value, json};
use support::{FakeModel, Repo, Service, asking, block_on, configure, reviewfleet, run, until};

/// Posts the review of a push at this second.
#[track_caller]
fn push(service: &Service, user: &str, pull_request: u32, head: &str, second: u32) -> Value {
    let body = json!({
        "repository": "acme/widgets", "head": head, "user": user, "pull_request": pull_request,
        "pushed_at": format!("2026-11-25T12:00:{second:02}Z"),
    });
    let (status, answer) = service.post("/v1/reviews", &body);
    assert_eq!(status, 202, "{answer}");
    answer
}

fn id(answer: &Value) -> &str {
    answer["job_id"].as_str().unwrap()
}

#[track_caller]
fn is_superseded(service: &Service, push: &Value) {
    let view = service.ended(id(push));
    assert_eq!((&view["state"], &view["cancelled_because"]), (&json!("cancelled"), &json!("superseded")), "{view}");
    assert_eq!(view["links"]["review"], json!(null), "{view}");
}

/// What the ledger has of a pull request: head and status.
fn recorded(dir: &Path, number: u32) -> Vec<(String, Option<ReviewStatus>)> {
    block_on(async {
        let ledger = SqliteLedger::open(&SqliteOptions::new(dir.join("reviewfleet-data/ledger.db"))).await.unwrap();
        let of = ReviewedPlace::PullRequest { repository: "acme/widgets".into(), number };
        let reviews = ledger.list(&ReviewFilter { of, limit: 10, ..ReviewFilter::default() }).await.unwrap();
        reviews.into_iter().map(|record| (record.review.head, record.review.status)).collect()
    })
}

#[test]
fn of_the_pushes_to_a_pull_request_the_newest_alone_is_reviewed() {
    let (repo, commits) = Repo::with_commits(6);
    let model = FakeModel::holding_after(0);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "concurrency = 1", &asking(&[&model], 40));
    let service = Service::start(dir.path());
    let running = push(&service, "ann", 1, &commits[0], 1);
    until("the model's call", || (model.waiting() == 1).then_some(()));

    let queued = push(&service, "ann", 7, &commits[1], 10);
    let newest = push(&service, "bob", 7, &commits[2], 20);
    is_superseded(&service, &queued);
    let late = push(&service, "ann", 7, &commits[3], 15);
    assert_eq!((id(&late), &late["superseded"], &late["duplicate"]), (id(&newest), &json!(true), &json!(false)));
    let again = push(&service, "bob", 7, &commits[2], 20);
    assert_eq!((id(&again), &again["superseded"], &again["duplicate"]), (id(&newest), &json!(false), &json!(true)));

    let enqueue = |more: &[&str]| {
        let mut command = reviewfleet(dir.path());
        command.args(["enqueue", "--repository", "acme/widgets", "--user", "ann", "--head", &commits[4]]).args(more);
        run(command)
    };
    let (status, out, _) = enqueue(&["--pull-request", "7", "--pushed-at", "2026-11-25T12:00:19Z"]);
    assert!(status.success() && out.contains(id(&newest)) && out.contains("newer push"), "{out}");
    let (status, _, error) = enqueue(&["--pull-request", "7"]);
    assert!(status.code() == Some(2) && error.contains("--pushed-at"), "{error}");
    let (status, _, error) = enqueue(&["--pull-request", "0", "--pushed-at", "2026-11-25T12:00:19Z"]);
    assert!(status.code() == Some(1) && error.contains("from 1 to 2147483647"), "{error}");

    // A push back to a head that was superseded, and one that finds the older running.
    let newest_of_all = push(&service, "ann", 7, &commits[1], 30);
    is_superseded(&service, &newest);
    let instead = push(&service, "bob", 1, &commits[5], 2);
    is_superseded(&service, &running);
    model.open();
    assert_eq!(service.completed(id(&newest_of_all))["reviewer"]["by"], "model");
    assert_eq!(service.completed(id(&instead))["reviewer"]["by"], "model");
    assert_eq!(service.get(&format!("/v1/jobs/{}", id(&instead))).1["pull_request"], 1);
    for (number, head) in [(7, &commits[1]), (1, &commits[5])] {
        assert_eq!(recorded(dir.path(), number), [(head.clone(), Some(ReviewStatus::Complete))]);
    }
}

//! A disk that is full for a while under a service that runs on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::collections::BTreeSet;

use serde_json::json;
use support::{FakeModel, Repo, Service, asking, configure, until};

/// How far the queue's files may grow: far more than a service needs to start, and soon reached by posts.
const FILE_KIB_MAX: u32 = 1_000;
/// More posts than fit.
const POSTS_MAX: usize = 2_000;
/// Jobs whose commits are there.
const COMMITS: usize = 12;

#[test]
fn a_service_goes_on_by_itself_once_a_full_disk_has_room_again() {
    let (repo, commits) = Repo::with_commits(COMMITS);
    let model = FakeModel::holding_after(0);
    let dir = tempfile::tempdir().unwrap();
    let more = format!("{}[tiers.FREE]\ndaily = \"unlimited\"\n", asking(&[&model], 30));
    configure(dir.path(), repo.path(), "lease_secs = 60", &more);
    let service = Service::start_on_full_disk(dir.path(), FILE_KIB_MAX);

    let mut taken: Vec<String> = commits.iter().map(|head| service.review("acme/widgets", head, "ann")).collect();
    until("all slots waiting for the model", || (model.waiting() == 8).then_some(()));
    let post = |i: usize| {
        let body = json!({"repository": "acme/widgets", "head": format!("{i:040x}"), "user": "ann"});
        service.post("/v1/reviews", &body)
    };
    let refused = (0..POSTS_MAX).find(|i| {
        let (status, answer) = post(*i);
        if status == 202 {
            taken.push(answer["job_id"].as_str().unwrap().to_owned());
        }
        status != 202
    });
    let refused = refused.expect("the disk becomes full");
    for i in refused..refused + 5 {
        let (status, answer) = post(i);
        assert_eq!((status, &answer["type"]), (503, &json!("/problems/store-unavailable")), "{answer}");
    }
    assert_eq!(service.status_without_key("/readyz"), 503);
    for job in &taken {
        assert_eq!(service.get(&format!("/v1/jobs/{job}")).0, 200, "reading goes on");
    }

    // Running jobs come to their end while nothing can be written of it.
    model.open();
    until("the model's answers", || (model.waiting() == 0).then_some(()));
    assert_eq!(post(refused).0, 503);
    service.free_disk();

    let last = until("a post that is taken", || match post(refused) {
        (202, answer) => Some(answer["job_id"].as_str().unwrap().to_owned()),
        (status, answer) => {
            assert_eq!(status, 503, "{answer}");
            None
        }
    });
    assert_eq!(service.status_without_key("/readyz"), 200);
    let mut reviews = BTreeSet::new();
    for job in &taken[..COMMITS] {
        let view = service.ended(job);
        assert_eq!(view["state"], "completed", "{view}");
        reviews.insert(view["links"]["review"].as_str().unwrap().to_owned());
    }
    assert_eq!(reviews.len(), COMMITS, "each has a review of its own");
    for job in taken[COMMITS..].iter().chain([&last]) {
        let view = service.ended(job);
        assert!(view["errors"][0]["message"].as_str().unwrap().contains("has no commit"), "{view}");
    }
    service.signal("TERM");
    assert!(service.wait().success());
}

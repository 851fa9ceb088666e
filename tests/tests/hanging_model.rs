//! Models that accept a call and never answer it, or fail before they work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{FakeModel, Repo, Service, asking, configure, until};

const FINE: &str = r#"{"summary":"Adds a function.","findings":[]}"#;

#[test]
fn a_call_that_hangs_is_given_up_and_the_next_model_reviews() {
    let (repo, commits) = Repo::with_commits(1);
    let (hangs, works) = (FakeModel::holding_after(0), FakeModel::writing(FINE));
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "", &asking(&[&hangs, &works], 1));
    let service = Service::start(dir.path());
    let review = service.completed(&service.review("acme/widgets", &commits[0], "ann"));
    assert_eq!(review["reviewer"], json!({"by": "model", "name": "fake1", "version": "fake-1"}), "{review}");
    assert_eq!(review["notes"][0]["note"], "model_failed", "{review}");
    assert_eq!(review["notes"][0]["model"], "fake0", "{review}");
}

#[test]
fn a_job_whose_models_all_hang_times_out_is_retried_and_keeps_no_other_job_from_its_slot() {
    let (repo, commits) = Repo::with_commits(2);
    let models: Vec<FakeModel> = (0..4).map(|_| FakeModel::holding_after(0)).collect();
    let dir = tempfile::tempdir().unwrap();
    // One call after the other gives up after a second: the job's own time is over before the last one.
    let more = format!(
        "{}[tiers.PRO]\ntimeout_secs = 3\n[retry]\nretries = 1\nbase_ms = 1\n",
        asking(&models.iter().collect::<Vec<_>>(), 1)
    );
    configure(dir.path(), repo.path(), "concurrency = 1", &more);
    let service = Service::start(dir.path());
    let job = service.review("acme/widgets", &commits[0], "ann");
    let view = service.ended(&job);
    assert_eq!((&view["state"], &view["attempt"]), (&json!("dead"), &json!(2)), "{view}");
    for error in view["errors"].as_array().unwrap() {
        assert_eq!(error["message"], "the attempt ran into the job's timeout", "{view}");
    }

    models.iter().for_each(FakeModel::open);
    let review = service.completed(&service.review("acme/widgets", &commits[1], "ann"));
    assert_eq!(review["reviewer"]["by"], "model", "{review}");
}

#[test]
fn a_job_that_hangs_is_cancelled_at_once_and_its_slot_is_free() {
    let (repo, commits) = Repo::with_commits(2);
    let model = FakeModel::holding_after(0);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "concurrency = 1", &asking(&[&model], 40));
    let service = Service::start(dir.path());
    let hangs = service.review("acme/widgets", &commits[0], "ann");
    until("the model's call", || (model.waiting() == 1).then_some(()));
    let next = service.review("acme/widgets", &commits[1], "ann");

    let told = Instant::now();
    assert_eq!(service.delete(&format!("/v1/jobs/{hangs}")).0, 202);
    let view = service.ended(&hangs);
    assert_eq!(view["state"], "cancelled", "{view}");
    // Well below the lease's renewal, by which a cancel would come through without a wake-up.
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());

    model.open();
    assert_eq!(service.completed(&next)["reviewer"]["by"], "model");
    assert_eq!(service.get(&format!("/v1/jobs/{hangs}")).1["links"]["review"], json!(null));
}

#[test]
fn a_review_that_may_not_be_left_to_the_rules_waits_for_its_model() {
    let (repo, commits) = Repo::with_commits(1);
    let model = FakeModel::writing_after_faults(2, FINE);
    let dir = tempfile::tempdir().unwrap();
    let more =
        format!("{}[review]\non_model_failure = \"retry\"\n[retry]\nretries = 3\nbase_ms = 1\n", asking(&[&model], 10));
    configure(dir.path(), repo.path(), "", &more);
    let service = Service::start(dir.path());
    let job = service.review("acme/widgets", &commits[0], "ann");
    let review = service.completed(&job);
    assert_eq!(review["reviewer"]["by"], "model", "{review}");
    let view = service.get(&format!("/v1/jobs/{job}")).1;
    assert_eq!((&view["attempt"], view["errors"].as_array().unwrap().len()), (&json!(3), 2), "{view}");
    assert!(view["errors"][0]["message"].as_str().unwrap().starts_with("no model answered: "), "{view}");
    assert_eq!(model.requests().len(), 3);
}

#[test]
fn a_review_whose_model_never_works_is_a_dead_letter_that_says_why() {
    let (repo, commits) = Repo::with_commits(1);
    let model = FakeModel::writing_after_faults(usize::from(u8::MAX), FINE);
    let dir = tempfile::tempdir().unwrap();
    let more =
        format!("{}[review]\non_model_failure = \"retry\"\n[retry]\nretries = 1\nbase_ms = 1\n", asking(&[&model], 10));
    configure(dir.path(), repo.path(), "", &more);
    let service = Service::start(dir.path());
    let view = service.ended(&service.review("acme/widgets", &commits[0], "ann"));
    assert_eq!((&view["state"], &view["attempt"]), (&json!("dead"), &json!(2)), "{view}");
    assert_eq!((&view["links"]["review"], model.requests().len()), (&json!(null), 2), "{view}");
}

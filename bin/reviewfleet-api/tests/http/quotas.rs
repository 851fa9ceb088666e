//! Daily quotas, over the stores that a fleet has where nothing is installed.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::StatusCode};
use fleet::Fleet;
use jiff::Timestamp;
use job::{Attempt, ClaimId, Jitter, JobId, JobState, Outcome, QueueName, RetryPolicy, WorkerId, decide};
use ledger::{HeldUnit, NewReview, ReviewId, Usage};
use reviewfleet_api::{Api, ApiSettings, router};
use serde_json::{Value, json};
use store::{ClaimRequest, JobFilter, QueueBackend};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::{Answer, FakeQueue, Mood, Service, config_in, delete, metrics_handle, post, send};

/// A fleet with a quota for users of the tier FREE.
struct Shop {
    folder: TempDir,
    daily: u32,
}

impl Shop {
    fn with_daily(daily: u32) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), daily }
    }

    async fn open(&self) -> Fleet {
        let more = format!("[tiers.FREE]\ndaily = {}\n", self.daily);
        Fleet::open(config_in(self.folder.path(), &more)).await.unwrap()
    }

    /// Another API of the fleet.
    async fn api(&self) -> Router {
        let fleet = self.open().await;
        api(&fleet, fleet.queue.clone())
    }
}

fn api(fleet: &Fleet, queue: Arc<dyn QueueBackend>) -> Router {
    let settings = ApiSettings::of(&fleet.config).unwrap();
    router(Api { queue, ledger: fleet.ledger.clone(), settings, metrics: metrics_handle() })
}

fn change(number: u32) -> Value {
    json!({ "repository": "acme/widgets", "head": format!("{number:040x}"), "user": "ann" })
}

async fn posted(api: &Router, body: &Value) -> Answer {
    send(api, post(body.to_string())).await
}

#[track_caller]
fn job_of(answer: &Answer) -> JobId {
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    answer.json()["job_id"].as_str().unwrap().parse().unwrap()
}

async fn stored(fleet: &Fleet) -> usize {
    let everything = JobFilter { limit: 500, ..JobFilter::default() };
    fleet.queue.list(&everything).await.unwrap().jobs.len()
}

/// Settles the job that starts next.
async fn end(fleet: &Fleet, outcome: Outcome) -> JobId {
    let request = ClaimRequest {
        id: ClaimId::from(Uuid::now_v7()),
        queues: vec![QueueName::new("review").unwrap()],
        max: 1,
        worker: WorkerId::new("test").unwrap(),
        lease: Duration::from_mins(1),
    };
    let leased = fleet.queue.claim(&request).await.unwrap().jobs.pop().unwrap();
    let id = leased.job.id;
    let attempt = Attempt { number: leased.job.attempt, max: leased.job.max_attempts, crashes: leased.job.crashes };
    let transition = decide(attempt, &outcome, &RetryPolicy::default(), Jitter::from_bits(0));
    fleet.queue.settle(&[leased.settle(transition)]).await.unwrap();
    id
}

fn review(job: JobId) -> NewReview {
    NewReview {
        id: ReviewId(Uuid::now_v7()),
        job,
        user: "ann".into(),
        repository: "acme/widgets".into(),
        base: None,
        head: "a".repeat(40),
        title: "Turn faster".into(),
        model: "rules".into(),
        findings: 0,
        usage: Usage::default(),
        duration_ms: 1,
        document: "{}".into(),
        markdown: String::new(),
        pull_request: None,
        status: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_of_fifty_posts_to_two_apis_are_taken_as_a_day_has_units() {
    let shop = Shop::with_daily(10);
    let apis = [shop.api().await, shop.api().await];
    let posts = (0..50).map(|i| {
        let api = apis[i as usize % 2].clone();
        tokio::spawn(async move { posted(&api, &change(i)).await })
    });
    let (mut taken, posts) = (0, posts.collect::<Vec<_>>());
    for answer in posts {
        let answer = answer.await.unwrap();
        if answer.status == StatusCode::ACCEPTED {
            taken += 1;
            continue;
        }
        let problem = answer.problem(429, "quota-used-up");
        let secs: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=24 * 60 * 60).contains(&secs), "{secs}");
        let start = "The user \"ann\" has had all reviews of this day (UTC), of which the tier FREE has 10. The next begins in ";
        assert!(problem["detail"].as_str().unwrap().starts_with(start), "{problem}");
    }
    assert_eq!((taken, stored(&shop.open().await).await), (10, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_one_unit_however_often_it_is_posted() {
    let shop = Shop::with_daily(2);
    let apis = [shop.api().await, shop.api().await];
    let posts = (0..50).map(|i| {
        let api = apis[i % 2].clone();
        tokio::spawn(async move { job_of(&posted(&api, &change(1)).await) })
    });
    let mut jobs = Vec::new();
    for job in posts.collect::<Vec<_>>() {
        jobs.push(job.await.unwrap());
    }
    jobs.dedup();
    let [job] = jobs[..] else { panic!("one job: {jobs:?}") };
    job_of(&posted(&apis[0], &change(2)).await);
    posted(&apis[1], &change(3)).await.problem(429, "quota-used-up");

    let fleet = shop.open().await;
    fleet.ledger.record(&review(job)).await.unwrap();
    assert_eq!(end(&fleet, Outcome::Completed).await, job);
    let again = posted(&apis[1], &change(1)).await;
    assert_eq!((job_of(&again), &again.json()["duplicate"]), (job, &json!(true)), "with the day used up, too");
    posted(&apis[0], &change(4)).await.problem(429, "quota-used-up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_keeps_its_unit_and_an_end_without_a_review_gives_it_back() {
    let shop = Shop::with_daily(1);
    let fleet = shop.open().await;
    // An API of its own for each post: none remembers what it has refused a moment ago.
    let first = job_of(&posted(&shop.api().await, &change(1)).await);
    let passing = Outcome::Transient { error: "busy".into(), retry_after: Some(Duration::from_mins(1)) };
    assert_eq!(end(&fleet, passing).await, first);
    posted(&shop.api().await, &change(2)).await.problem(429, "quota-used-up");

    let cancelled = send(&shop.api().await, delete(&format!("/v1/jobs/{first}"))).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    let second = job_of(&posted(&shop.api().await, &change(2)).await);
    posted(&shop.api().await, &change(1)).await.problem(429, "quota-used-up");

    assert_eq!(end(&fleet, Outcome::Permanent { error: "no such commit".into() }).await, second);
    job_of(&posted(&shop.api().await, &change(3)).await);
    posted(&shop.api().await, &change(2)).await.problem(429, "quota-used-up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_push_takes_over_the_unit_of_the_one_that_it_supersedes() {
    let shop = Shop::with_daily(1);
    let api = shop.api().await;
    let push = |head: u32, second: u32| {
        let mut body = change(head);
        body["pull_request"] = json!(7);
        body["pushed_at"] = json!(format!("2026-11-25T12:00:{second:02}Z"));
        body
    };
    let first = job_of(&posted(&api, &push(1, 1)).await);
    job_of(&posted(&api, &push(2, 2)).await);
    let state = shop.open().await.queue.get(first).await.unwrap().unwrap().state;
    assert!(matches!(state, JobState::Cancelled { .. }), "{state:?}");
    posted(&api, &change(3)).await.problem(429, "quota-used-up");
    let late = posted(&api, &push(1, 1)).await;
    assert_eq!(late.json()["superseded"], true, "{}", late.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_not_stored_gives_its_unit_back_and_one_that_may_have_been_keeps_it() {
    let shop = Shop::with_daily(1);
    let (fleet, queue) = (shop.open().await, Arc::new(FakeQueue::default()));
    let api = api(&fleet, queue.clone());
    for mood in [Mood::Full, Mood::Rejects, Mood::Throttles] {
        queue.set_mood(mood);
        assert_ne!(posted(&api, &change(1)).await.status, StatusCode::ACCEPTED);
        assert!(fleet.ledger.held_units("ann").await.unwrap().is_empty());
    }
    queue.set_mood(Mood::Away);
    posted(&api, &change(2)).await.problem(503, "store-unavailable");
    queue.set_mood(Mood::Answers);
    posted(&api, &change(3)).await.problem(429, "quota-used-up");
    job_of(&posted(&api, &change(2)).await);
    assert_eq!(queue.jobs().len(), 1);
}

#[tokio::test]
async fn nothing_is_stored_while_units_cannot_be_counted() {
    let service = Service::start();
    *service.ledger.mood.lock().unwrap() = Mood::Away;
    posted(&service.router, &change(1)).await.problem(503, "ledger-unavailable");
    assert!(service.queue.jobs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_without_a_quota_counts_nothing_and_an_unknown_one_takes_nothing() {
    let shop = Shop::with_daily(1);
    let api = shop.api().await;
    for i in 0..12 {
        let mut body = change(i);
        body["tier"] = json!("ENTERPRISE");
        job_of(&posted(&api, &body).await);
        body["tier"] = json!("GOLD");
        posted(&api, &body).await.problem(422, "invalid-field");
    }
    assert!(shop.open().await.ledger.held_units("ann").await.unwrap().is_empty());
    job_of(&posted(&api, &change(100)).await);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_no_job_was_stored_for_comes_back_after_some_minutes() {
    let service = Service::start();
    let held = |age| (0..10).map(|_| HeldUnit { job: JobId::from(Uuid::now_v7()), age }).collect::<Vec<_>>();
    *service.ledger.held.lock().unwrap() = held(Duration::from_mins(4));
    let answer = posted(&service.router, &change(1)).await;
    answer.problem(429, "quota-used-up");
    assert_eq!(answer.header("retry-after"), "2", "not too early");
    let calls = service.queue.calls();

    *service.ledger.held.lock().unwrap() = held(Duration::from_mins(6));
    posted(&service.router, &change(1)).await.problem(429, "quota-used-up");
    assert_eq!(service.queue.calls(), calls, "what was found a moment ago holds");
    tokio::time::advance(Duration::from_secs(2)).await;
    job_of(&posted(&service.router, &change(1)).await);
    assert!(service.ledger.held.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_completed_job_outside_of_its_window_is_no_answer_to_its_change() {
    let shop = Shop::with_daily(1);
    let (mut fleet, queue) = (shop.open().await, Arc::new(FakeQueue::default()));
    let mut config = (*fleet.config).clone();
    config.queues.values_mut().for_each(|queue| queue.unique_window = Duration::ZERO);
    fleet.config = Arc::new(config);
    let api = api(&fleet, queue.clone());
    let job = job_of(&posted(&api, &change(1)).await);
    fleet.ledger.record(&review(job)).await.unwrap();
    queue.set_state(job, JobState::Completed { at: Timestamp::UNIX_EPOCH }, Vec::new());
    posted(&api, &change(1)).await.problem(429, "quota-used-up");
}

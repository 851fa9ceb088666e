use axum::http::{StatusCode, header};
use fleet::ReviewJob;
use jiff::Timestamp;
use job::{AttemptError, AttemptErrorKind, BuryReason, CancelReason, JobState, StateName, WorkerId};
use serde_json::json;

use crate::support::{BASE, HEAD, Mood, OTHER_KEY, Service, delete, get, post, review_by, until, with_key};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn leased() -> JobState {
    JobState::Leased {
        worker: WorkerId::new("host-7.internal").unwrap(),
        since: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
        cancel_requested: None,
    }
}

#[tokio::test]
async fn a_post_becomes_a_job_of_its_tier() {
    let service = Service::start();
    let body = json!({
        "repository": "acme/widgets", "head": HEAD.to_uppercase(), "base": BASE, "user": "alice ü", "tier": "ENTERPRISE",
    });
    let request = with_key("POST", "/v1/reviews")
        .header(header::CONTENT_TYPE, "Application/JSON; charset=utf-8")
        .header("traceparent", TRACE);
    let answer = service.send(request.body(body.to_string().into()).unwrap()).await;

    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let [job] = &service.queue.jobs()[..] else { panic!("one job") };
    let link = format!("/v1/jobs/{}", job.id);
    assert_eq!(answer.header(header::LOCATION), link);
    assert_eq!(
        answer.json(),
        json!({ "job_id": job.id, "duplicate": false, "superseded": false, "links": { "job": link } })
    );
    assert_eq!((job.kind.as_str(), job.queue.as_str()), ("review", "review"));
    assert_eq!((job.priority.0, job.weight.get(), job.timeout.as_secs(), job.max_attempts), (100, 8, 300, 4));
    let concurrency = job.concurrency.as_ref().unwrap();
    assert_eq!((concurrency.key.as_str(), concurrency.class.as_str()), ("user:alice ü", "user"));
    assert_eq!(job.trace_parent.as_deref(), Some(TRACE));
    let payload: ReviewJob = job.payload.to().unwrap();
    assert_eq!((payload.change.head.as_str(), payload.change.base.unwrap().as_str()), (HEAD, BASE));
    assert_eq!((payload.user.as_str(), payload.tier.as_str()), ("alice ü", "ENTERPRISE"));
}

#[tokio::test]
async fn the_same_change_twice_is_one_job() {
    let service = Service::start();
    let first = service.post(&review_by("alice")).await;
    let again = service.send(post(review_by("alice"))).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
    assert_eq!(again.header(header::LOCATION), format!("/v1/jobs/{first}"));
    assert_eq!((&again.json()["job_id"], &again.json()["duplicate"]), (&json!(first), &json!(true)));

    let other = json!({ "repository": "acme/widgets", "head": HEAD, "base": BASE, "user": "alice" });
    assert_ne!(service.post(&other.to_string()).await, first);
    assert_eq!(service.queue.jobs().len(), 2);
}

#[tokio::test]
async fn an_older_push_that_is_posted_late_is_answered_with_the_newer_ones_job() {
    let service = Service::start();
    let push = |head: &str, user: &str, number: u32, pushed_at: &str| {
        let body = json!({
            "repository": "acme/widgets", "head": head, "user": user, "pull_request": number, "pushed_at": pushed_at,
        });
        post(body.to_string())
    };
    let newer = service.send(push(HEAD, "alice", 123, "2026-11-25T12:00:00.5Z")).await;
    assert_eq!((newer.status, &newer.json()["superseded"]), (StatusCode::ACCEPTED, &json!(false)), "{}", newer.body);
    let id = newer.json()["job_id"].clone();
    // Before it by an hour, though its clock shows a later time.
    let older = service.send(push(BASE, "bob", 123, "2026-11-25T13:00:00.5+02:00")).await;
    assert_eq!(older.status, StatusCode::ACCEPTED);
    let link = newer.header(header::LOCATION);
    let answer = json!({ "job_id": id, "duplicate": false, "superseded": true, "links": { "job": link } });
    assert_eq!((older.json(), older.header(header::LOCATION)), (answer, link));
    let [job] = &service.queue.jobs()[..] else { panic!("one job") };
    let supersede = job.supersede.as_ref().unwrap();
    assert_eq!((supersede.key.as_str(), supersede.version.id.as_str()), ("acme/widgets#123", HEAD));
    assert_eq!(supersede.version.at.to_string(), "2026-11-25T12:00:00.5Z");
    assert_eq!(service.send(get(link)).await.json()["pull_request"], 123);
    let other = service.send(push(BASE, "bob", 124, "2026-11-25T11:00:00Z")).await;
    assert_eq!((&other.json()["superseded"], service.queue.jobs().len()), (&json!(false), 2), "another pull request");

    let reason = CancelReason::Superseded;
    service.queue.set_state(job.id, JobState::Cancelled { at: Timestamp::UNIX_EPOCH, reason }, Vec::new());
    assert_eq!(service.send(get(link)).await.json()["cancelled_because"], "superseded");
}

#[tokio::test]
async fn a_post_without_a_tier_or_with_null_gets_the_default_one() {
    let service = Service::start();
    let body = json!({ "repository": "acme/widgets", "head": HEAD, "base": null, "user": "alice", "tier": null });
    service.post(&body.to_string()).await;
    let payload: ReviewJob = service.queue.jobs()[0].payload.to().unwrap();
    assert_eq!((payload.tier.as_str(), payload.change.base), ("FREE", None));
}

#[tokio::test]
async fn each_of_the_keys_opens_and_the_scheme_is_read_in_any_case() {
    let service = Service::start();
    for key in [format!("bearer {OTHER_KEY}"), format!("BEARER  {OTHER_KEY}")] {
        let mut request = post(review_by("alice"));
        request.headers_mut().insert(header::AUTHORIZATION, key.parse().unwrap());
        assert_eq!(service.send(request).await.status, StatusCode::ACCEPTED, "{key}");
    }
}

#[tokio::test]
async fn a_malformed_trace_parent_does_not_cost_the_review() {
    let service = Service::start();
    let mut request = post(review_by("alice"));
    request.headers_mut().insert("traceparent", "00-zz".parse().unwrap());
    assert_eq!(service.send(request).await.status, StatusCode::ACCEPTED);
    assert_eq!(service.queue.jobs()[0].trace_parent, None);
}

#[tokio::test]
async fn nothing_is_answered_before_the_job_is_durable() {
    let service = Service::start();
    service.queue.set_mood(Mood::Hangs);
    let mut answer = std::pin::pin!(service.send(post(review_by("alice"))));
    assert!(futures_util::poll!(answer.as_mut()).is_pending());
    until("the call to the store", || service.queue.calls() == 1).await;
    assert!(futures_util::poll!(answer.as_mut()).is_pending());
    assert!(service.queue.jobs().is_empty());
    service.queue.release();
    assert_eq!(answer.await.status, StatusCode::ACCEPTED);
    assert_eq!(service.queue.jobs().len(), 1);
}

#[tokio::test]
async fn a_job_shows_what_its_state_knows_and_not_who_runs_it() {
    let service = Service::start();
    let id = service.post(&review_by("alice")).await;
    let path = format!("/v1/jobs/{id}");
    let ready = service.send(get(&path)).await.json();
    assert_eq!(ready["state"], "ready");
    assert_eq!((&ready["repository"], &ready["head"]), (&json!("acme/widgets"), &json!(HEAD)));
    assert_eq!((&ready["user"], &ready["attempt"], &ready["max_attempts"]), (&json!("alice"), &json!(1), &json!(4)));
    assert_eq!(ready["links"], json!({ "self": path }));

    service.queue.set_state(id, leased(), Vec::new());
    let running = service.send(get(&path)).await;
    assert_eq!((&running.json()["state"], &running.json()["cancel_requested"]), (&json!("leased"), &json!(false)));
    assert!(!running.body.contains("host-7"), "{}", running.body);

    let error = AttemptError::new(1, AttemptErrorKind::Permanent, "no such commit");
    let dead = JobState::Dead { at: Timestamp::UNIX_EPOCH, reason: BuryReason::Permanent };
    service.queue.set_state(id, dead, vec![error]);
    let dead = service.send(get(&path)).await.json();
    assert_eq!((&dead["state"], &dead["dead_because"]), (&json!("dead"), &json!("permanent")));
    assert_eq!(dead["ended_at"], "1970-01-01T00:00:00Z");
    assert_eq!(
        (&dead["errors"][0]["kind"], &dead["errors"][0]["message"]),
        (&json!("permanent"), &json!("no such commit"))
    );
}

#[tokio::test]
async fn a_completed_job_links_to_its_review() {
    let service = Service::start();
    let id = service.post(&review_by("alice")).await;
    let review = service.ledger.add(&service.queue.jobs()[0]);
    service.queue.set_state(id, JobState::Completed { at: Timestamp::UNIX_EPOCH }, Vec::new());
    let job = service.send(get(&format!("/v1/jobs/{id}"))).await.json();
    let link = job["links"]["review"].as_str().unwrap();
    assert_eq!(link, format!("/v1/reviews/{review}"));

    let document = service.send(get(link)).await;
    assert_eq!(document.header(header::CONTENT_TYPE), "application/json");
    assert_eq!(document.json(), json!({ "findings": [] }));
}

#[tokio::test]
async fn a_review_is_markdown_for_those_who_ask_for_it_first() {
    let service = Service::start();
    service.post(&review_by("alice")).await;
    let path = format!("/v1/reviews/{}", service.ledger.add(&service.queue.jobs()[0]));
    for (accept, markdown) in [
        ("text/markdown", true),
        ("Text/Markdown; charset=utf-8, */*", true),
        ("text/html, text/markdown;q=0.9", true),
        ("application/json, text/markdown", false),
        ("*/*", false),
        ("text/html", false),
    ] {
        let request = with_key("GET", &path).header(header::ACCEPT, accept);
        let answer = service.send(request.body(axum::body::Body::empty()).unwrap()).await;
        let media_type = if markdown { "text/markdown; charset=utf-8" } else { "application/json" };
        assert_eq!(answer.header(header::CONTENT_TYPE), media_type, "{accept}");
        assert_eq!(answer.body == "# Review\n", markdown, "{accept}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}

#[tokio::test]
async fn a_cancelled_job_waits_no_more_and_a_running_one_is_told_to_stop() {
    let service = Service::start();
    let id = service.post(&review_by("alice")).await;
    let path = format!("/v1/jobs/{id}");
    service.queue.set_state(id, leased(), Vec::new());
    assert_eq!(service.send(delete(&path)).await.status, StatusCode::ACCEPTED);
    assert_eq!(service.send(get(&path)).await.json()["cancel_requested"], true);

    service.queue.set_state(id, JobState::Parked, Vec::new());
    for _ in 0..2 {
        let answer = service.send(delete(&path)).await;
        assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::ACCEPTED, &json!("cancelled")));
    }
}

#[tokio::test]
async fn a_job_that_has_ended_cannot_be_cancelled() {
    let service = Service::start();
    let id = service.post(&review_by("alice")).await;
    let at = Timestamp::UNIX_EPOCH;
    for state in [JobState::Completed { at }, JobState::Dead { at, reason: BuryReason::AttemptsExhausted }] {
        service.queue.set_state(id, state.clone(), Vec::new());
        let document = service.send(delete(&format!("/v1/jobs/{id}"))).await.problem(409, "already-ended");
        assert!(document["detail"].as_str().unwrap().contains(state.name().as_str()), "{document}");
        assert_eq!(service.queue.state(id), state);
    }
}

#[tokio::test]
async fn a_job_cancelled_before_its_start_stays_cancelled() {
    let service = Service::start();
    let id = service.post(&review_by("alice")).await;
    service.send(delete(&format!("/v1/jobs/{id}"))).await;
    let JobState::Cancelled { reason, .. } = service.queue.state(id) else { panic!("it is cancelled") };
    assert_eq!(reason, CancelReason::Requested);
    assert_eq!(service.queue.state(id).name(), StateName::Cancelled);
}

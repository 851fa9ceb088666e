use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use jiff::Timestamp;
use job::JobState;

use crate::support::{Answer, Mood, Service, get, post, review_by, until, with_key};

fn open(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_store_that_is_away_costs_a_retry_and_nothing_else() {
    let service = Service::start();
    service.queue.set_mood(Mood::Away);
    let answer = service.send(post(review_by("alice"))).await;
    answer.problem(503, "store-unavailable");
    assert!(!answer.body.contains("connection refused"), "{}", answer.body);
    service.queue.set_mood(Mood::Answers);
    service.post(&review_by("alice")).await;
}

#[tokio::test]
async fn a_ledger_that_is_away_is_said_to_be() {
    let service = Service::start();
    let id = service.post(&review_by("alice")).await;
    service.queue.set_state(id, JobState::Completed { at: Timestamp::UNIX_EPOCH }, Vec::new());
    *service.ledger.mood.lock().unwrap() = Mood::Away;
    service.send(get(&format!("/v1/jobs/{id}"))).await.problem(503, "ledger-unavailable");
    service.send(get("/v1/reviews/0198c0de-0000-7000-8000-000000000000")).await.problem(503, "ledger-unavailable");
}

#[tokio::test]
async fn faults_of_the_service_are_answered_without_their_details() {
    for mood in [Mood::Panics, Mood::Corrupt, Mood::Rejects] {
        let service = Service::start();
        service.queue.set_mood(mood);
        let answer = service.send(post(review_by("alice"))).await;
        answer.problem(500, "internal");
        assert!(!answer.body.contains("secret") && !answer.body.contains("queue review"), "{}", answer.body);
        assert!(!answer.header("x-request-id").is_empty());
        service.queue.set_mood(Mood::Answers);
        service.post(&review_by("alice")).await;
    }
}

#[tokio::test]
async fn a_store_that_hangs_is_given_up_after_the_request_timeout() {
    let service = Service::start_with(|settings| settings.request_timeout = Duration::from_millis(50));
    service.queue.set_mood(Mood::Hangs);
    let answer = service.send(post(review_by("alice"))).await;
    answer.problem(504, "timeout");
    assert_eq!(answer.header(header::RETRY_AFTER), "2");
}

#[tokio::test]
async fn a_request_beyond_the_limit_in_flight_is_refused_while_probes_are_answered() {
    let service = Service::start_with(|settings| settings.in_flight_max = 2);
    service.queue.set_mood(Mood::Hangs);
    let in_flight: Vec<_> = ["alice", "bob"]
        .map(|user| {
            let router = service.router.clone();
            tokio::spawn(
                async move { tower::ServiceExt::oneshot(router, post(review_by(user))).await.unwrap().status() },
            )
        })
        .into();
    until("two requests in flight", || service.queue.calls() == 2).await;
    service.send(post(review_by("carol"))).await.problem(503, "busy");
    assert_eq!(service.send(open("/healthz")).await.status, StatusCode::OK);
    service.queue.release();
    for answer in in_flight {
        assert_eq!(answer.await.unwrap(), StatusCode::ACCEPTED);
    }
    service.queue.set_mood(Mood::Answers);
    service.post(&review_by("carol")).await;
}

#[tokio::test]
async fn a_throttled_post_is_told_when_to_come_again() {
    let service = Service::start();
    service.queue.set_mood(Mood::Throttles);
    let answer = service.send(post(review_by("carol"))).await;
    assert_eq!(answer.header("retry-after"), "2", "not too early");
    answer.problem(429, "throttled");
    service.queue.set_mood(Mood::Answers);
    assert_eq!(service.send(post(review_by("carol"))).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_service_is_ready_only_while_store_and_ledger_answer() {
    let service = Service::start();
    assert_eq!(service.send(open("/readyz")).await.status, StatusCode::OK);
    service.queue.set_mood(Mood::Away);
    service.send(open("/readyz")).await.problem(503, "store-unavailable");
    assert_eq!(service.send(open("/healthz")).await.status, StatusCode::OK);
    service.queue.set_mood(Mood::Hangs);
    service.send(open("/readyz")).await.problem(503, "store-unavailable");
    service.queue.set_mood(Mood::Answers);
    *service.ledger.mood.lock().unwrap() = Mood::Away;
    service.send(open("/readyz")).await.problem(503, "ledger-unavailable");
}

#[tokio::test]
async fn metrics_are_labelled_by_pattern_and_never_by_what_a_caller_wrote() {
    let service = Service::start();
    service.post(&review_by("metrics-user")).await;
    service.send(get("/v1/jobs/0198c0de-0000-7000-8000-00000000beef")).await;
    service.send(get("/made-up/path")).await;
    let mut brewed = get("/v1/reviews");
    *brewed.method_mut() = "BREW".parse().unwrap();
    service.send(brewed).await;

    let Answer { body: text, headers, .. } = service.send(open("/metrics")).await;
    assert!(headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    for line in [
        "# TYPE reviewfleet_api_requests_total counter",
        "# HELP reviewfleet_api_request_seconds ",
        r#"reviewfleet_api_requests_total{method="POST",route="/v1/reviews",status="202"}"#,
        r#"reviewfleet_api_requests_total{method="GET",route="/v1/jobs/{id}",status="404"}"#,
        r#"reviewfleet_api_requests_total{method="GET",route="none",status="404"}"#,
        r#"reviewfleet_api_requests_total{method="other",route="/v1/reviews",status="405"}"#,
        r#"reviewfleet_api_request_seconds_count{route="/v1/reviews"}"#,
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    for written in ["metrics-user", "beef", "made-up", "BREW"] {
        assert!(!text.contains(written), "{written}");
    }
}

#[tokio::test]
async fn a_request_id_is_the_callers_where_it_is_plain_and_a_new_one_where_not() {
    let service = Service::start();
    let send = async |id: &str| {
        let request = Request::builder().uri("/healthz").header("x-request-id", id).body(Body::empty()).unwrap();
        service.send(request).await.header("x-request-id").to_owned()
    };
    assert_eq!(send("relay-7.A_b").await, "relay-7.A_b");
    let long = "x".repeat(129);
    for id in ["", "two words", "a\"b", long.as_str()] {
        let made = send(id).await;
        assert_ne!(made, id);
        assert_eq!(made.len(), 36, "{made}");
    }
    assert_ne!(
        service.send(open("/x")).await.header("x-request-id"),
        service.send(open("/x")).await.header("x-request-id")
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_fault_is_logged_under_its_request_and_nothing_that_a_caller_wrote_is() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());

    let service = Service::start();
    service.post(&review_by("MARKER-user")).await;
    service.send(post(review_by("MARKER\0"))).await;
    service.send(post("{MARKER")).await;
    service.send(post(r#"{"MARKER":1}"#)).await;
    service.send(get("/v1/jobs/MARKER?MARKER=MARKER")).await;
    service.send(get("/MARKER")).await;
    let mut wrong_key = post(review_by("MARKER"));
    wrong_key.headers_mut().insert(header::AUTHORIZATION, "Bearer MARKER".parse().unwrap());
    service.send(wrong_key).await;
    for mood in [Mood::Away, Mood::Corrupt, Mood::Rejects] {
        service.queue.set_mood(mood);
        let request = with_key("POST", "/v1/reviews").header(header::CONTENT_TYPE, "application/json");
        let request = request.header("x-request-id", "relay-42").body(review_by("MARKER").into()).unwrap();
        service.send(request).await;
    }

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let fault = log.lines().find(|line| line.contains("WARN")).unwrap();
    assert!(fault.contains("relay-42") && fault.contains("connection refused"), "{fault}");
    assert!(log.contains("there is no queue review"), "{log}");
    for written in ["MARKER", crate::support::KEY, "secret-of-another"] {
        assert!(!log.contains(written), "{written} in\n{log}");
    }
}

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

use crate::support::{Answer, Mood, Service, delete, get, post, review_by, until, with_key};

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

/// Waits until what was found before is looked at anew.
async fn later() {
    tokio::time::advance(Duration::from_secs(11)).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_is_ready_only_while_store_and_ledger_answer() {
    let service = Service::start();
    let ready = async || service.send(open("/readyz")).await;
    assert_eq!(ready().await.status, StatusCode::OK);
    for mood in [Mood::Away, Mood::Full, Mood::Hangs] {
        service.queue.set_mood(mood);
        later().await;
        ready().await.problem(503, "store-unavailable");
    }
    assert_eq!(service.send(open("/healthz")).await.status, StatusCode::OK);
    service.queue.set_mood(Mood::Answers);
    later().await;
    *service.ledger.mood.lock().unwrap() = Mood::Away;
    ready().await.problem(503, "ledger-unavailable");
    *service.ledger.mood.lock().unwrap() = Mood::Answers;
    assert_eq!(ready().await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_is_refused_ends_readiness_at_once() {
    let service = Service::start();
    assert_eq!(service.send(open("/readyz")).await.status, StatusCode::OK);
    service.queue.set_mood(Mood::Full);
    service.send(post(review_by("alice"))).await.problem(503, "store-unavailable");
    service.send(open("/readyz")).await.problem(503, "store-unavailable");
    service.queue.set_mood(Mood::Answers);
    service.post(&review_by("alice")).await;
    assert_eq!(service.send(open("/readyz")).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn readiness_costs_no_write_where_posts_are_proof_and_few_where_there_are_none() {
    let service = Service::start();
    let scrape_for = async |seconds| {
        for _ in 0..seconds * 10 {
            service.send(open("/readyz")).await;
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        service.queue.probes()
    };
    service.post(&review_by("alice")).await;
    assert_eq!(scrape_for(9).await, 0, "a post is proof");
    service.post(&review_by("alice")).await;
    assert_eq!(scrape_for(2).await, 1, "one that was a duplicate is none");
    let idle = scrape_for(100).await - 1;
    assert!((9..=10).contains(&idle), "{idle} probes in 100 s");
    service.queue.set_mood(Mood::Full);
    later().await;
    let full = scrape_for(100).await - 1 - idle;
    assert!((80..=101).contains(&full), "{full} probes in 100 s");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_two_lines_in_the_log_however_many_posts_it_refuses() {
    let log = Log::default();
    let _guard = log.listen(tracing::Level::INFO);
    let service = Service::start();
    let id = service.post(&review_by("alice")).await;
    service.queue.set_mood(Mood::Full);
    for user in 0..20 {
        service.send(post(review_by(&format!("user-{user}")))).await.problem(503, "store-unavailable");
        assert_eq!(service.send(get(&format!("/v1/jobs/{id}"))).await.status, StatusCode::OK);
        service.send(open("/readyz")).await.problem(503, "store-unavailable");
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    service.send(delete(&format!("/v1/jobs/{id}"))).await.problem(503, "store-unavailable");
    assert_eq!(log.lines().len(), 1, "{:?}", log.lines());
    assert!(log.lines()[0].contains("disk is full"), "{:?}", log.lines());
    service.queue.set_mood(Mood::Answers);
    later().await;
    assert_eq!(service.send(open("/readyz")).await.status, StatusCode::OK);
    assert_eq!(log.lines().len(), 2, "{:?}", log.lines());
    assert!(log.lines()[1].contains("the store answers again"), "{:?}", log.lines());
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

impl Log {
    /// Takes the lines from this level up, as long as the answer lives.
    fn listen(&self, level: tracing::Level) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone());
        tracing::subscriber::set_default(lines.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn a_fault_is_logged_under_its_request_and_nothing_that_a_caller_wrote_is() {
    let log = Log::default();
    let _guard = log.listen(tracing::Level::TRACE);

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

    let log = log.text();
    let fault = log.lines().find(|line| line.contains("WARN")).unwrap();
    assert!(fault.contains("relay-42") && fault.contains("connection refused"), "{fault}");
    assert!(log.contains("there is no queue review"), "{log}");
    for written in ["MARKER", crate::support::KEY, "secret-of-another"] {
        assert!(!log.contains(written), "{written} in\n{log}");
    }
}

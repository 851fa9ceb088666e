use axum::{
    body::Body,
    http::{Request, header},
};
use fleet::{ApiAccess, Intake};
use serde_json::{Value, json};

use crate::support::{HEAD, KEY, Mood, Service, config, delete, get, post, review_by, with_key};

const MISSING: &str = "/v1/jobs/0198c0de-0000-7000-8000-000000000000";

struct Row {
    name: &'static str,
    request: Request<Body>,
    status: u16,
    problem: &'static str,
    field: Option<&'static str>,
}

fn row(name: &'static str, request: Request<Body>, status: u16, problem: &'static str) -> Row {
    Row { name, request, status, problem, field: None }
}

/// A good post but for one field; `Value::Null` takes it out.
fn field(name: &'static str, field: &'static str, value: Value, problem: &'static str) -> Row {
    let mut body = json!({ "repository": "acme/widgets", "head": HEAD, "user": "alice", "tier": "FREE" });
    if value.is_null() {
        body.as_object_mut().unwrap().remove(field);
    } else {
        body[field] = value;
    }
    Row { field: Some(field), ..row(name, post(body.to_string()), 422, problem) }
}

fn authorized(value: &'static str) -> Request<Body> {
    let request = Request::builder().method("POST").uri("/v1/reviews").header(header::CONTENT_TYPE, "application/json");
    request.header(header::AUTHORIZATION, value).body(review_by("alice").into()).unwrap()
}

fn typed(content_type: &'static str) -> Request<Body> {
    with_key("POST", "/v1/reviews").header(header::CONTENT_TYPE, content_type).body(review_by("a").into()).unwrap()
}

fn bodies() -> Vec<Row> {
    let big = format!("{{\"user\":\"{}\"}}", "x".repeat(64 * 1024));
    vec![
        row("an empty body", post(""), 400, "invalid-json"),
        row("no JSON", post("repository=acme/widgets"), 400, "invalid-json"),
        row("JSON that ends early", post(r#"{"repository":"acme/wid"#), 400, "invalid-json"),
        row("JSON with more behind it", post(format!("{} x", review_by("alice"))), 400, "invalid-json"),
        row("bytes that are no UTF-8", post(&b"{\"user\":\"\xff\"}"[..]), 400, "invalid-json"),
        row("half of a surrogate pair", post(r#"{"user":"\ud800"}"#), 400, "invalid-json"),
        row("a field nested too deep", post(format!("{{\"user\":{}", "[".repeat(10_000))), 400, "invalid-json"),
        row("arrays nested deep", post("[".repeat(10_000)), 422, "not-an-object"),
        row("an array", post(format!("[{}]", review_by("alice"))), 422, "not-an-object"),
        row("a text", post(r#""acme/widgets""#), 422, "not-an-object"),
        row("null", post("null"), 422, "not-an-object"),
        row("an object without fields", post("{}"), 422, "missing-field"),
        row("a body over the limit", post(big), 413, "body-too-large"),
        row("a form", typed("application/x-www-form-urlencoded"), 415, "unsupported-media-type"),
        row("a type that starts like JSON", typed("application/json5"), 415, "unsupported-media-type"),
        row(
            "no content type",
            with_key("POST", "/v1/reviews").body(review_by("alice").into()).unwrap(),
            415,
            "unsupported-media-type",
        ),
        Row {
            field: Some("user"),
            ..row("a field twice", post(r#"{"user":"alice","user":"bob"}"#), 422, "unknown-field")
        },
    ]
}

fn fields() -> Vec<Row> {
    let long = "x".repeat(129);
    vec![
        field("no repository", "repository", Value::Null, "missing-field"),
        field("no head", "head", Value::Null, "missing-field"),
        field("no user", "user", Value::Null, "missing-field"),
        field("an unknown field", "priority", json!(100), "unknown-field"),
        field("a field in other letters", "Head", json!(HEAD), "unknown-field"),
        field("a number for a text", "repository", json!(7), "invalid-field"),
        field("an object for a text", "head", json!({ "sha": HEAD }), "invalid-field"),
        field("an array for a text", "user", json!(["alice"]), "invalid-field"),
        field("a flag for a text", "tier", json!(true), "invalid-field"),
        field("an empty repository", "repository", json!(""), "invalid-field"),
        field("a path out of the forge", "repository", json!("../../etc/passwd"), "invalid-field"),
        field("a path within a name", "repository", json!("acme/.."), "invalid-field"),
        field("a URL for a repository", "repository", json!("https://evil.example/acme/widgets"), "invalid-field"),
        field("a repository that is not here", "repository", json!("acme/other"), "unknown-repository"),
        field("a repository in other letters", "repository", json!("Acme/widgets"), "unknown-repository"),
        field("a short SHA", "head", json!("0123456"), "invalid-field"),
        field("a branch for a SHA", "head", json!("main"), "invalid-field"),
        field("an option for a SHA", "head", json!("--upload-pack=touch /tmp/x"), "invalid-field"),
        field("a SHA with a line behind it", "head", json!(format!("{HEAD}\n")), "invalid-field"),
        field("an option for a base", "base", json!(format!("--{}", &HEAD[2..])), "invalid-field"),
        field("an empty user", "user", json!(""), "invalid-field"),
        field("a user too long", "user", json!(long), "invalid-field"),
        field("a NUL in a user", "user", json!("ali\0ce"), "invalid-field"),
        field("a line break in a user", "user", json!("alice\nadmin"), "invalid-field"),
        field("an unknown tier", "tier", json!("GOLD"), "invalid-field"),
        field("a tier in other letters", "tier", json!("free"), "invalid-field"),
    ]
}

/// A good post of a push but for some fields; the answer names `field`.
fn push(name: &'static str, changes: &Value, field: &'static str, problem: &'static str) -> Row {
    let mut body = json!({
        "repository": "acme/widgets", "head": HEAD, "user": "alice", "pull_request": 7, "pushed_at": "2026-11-25T12:00:00Z",
    });
    for (field, value) in changes.as_object().unwrap() {
        body[field] = value.clone();
    }
    Row { field: Some(field), ..row(name, post(body.to_string()), 422, problem) }
}

fn pushes() -> Vec<Row> {
    let number = |name, value: Value| push(name, &json!({ "pull_request": value }), "pull_request", "invalid-field");
    let time = |name, value: Value| push(name, &json!({ "pushed_at": value }), "pushed_at", "invalid-field");
    vec![
        number("pull request 0", json!(0)),
        number("a pull request below 0", json!(-1)),
        number("a pull request beyond 31 bits", json!(2_147_483_648_u32)),
        number("a pull request beyond 32 bits", json!(4_294_967_297_u64)),
        number("a half of a pull request", json!(7.5)),
        number("a text for a number", json!("7")),
        number("an array for a number", json!([7])),
        time("a number for a time", json!(1_764_072_000)),
        time("an empty time", json!("")),
        time("a time without its zone", json!("2026-11-25T12:00:00")),
        time("a day for a time", json!("2026-11-25")),
        time("a time that no day has", json!("2026-11-25T25:00:00Z")),
        time("a day that no year has", json!("2026-02-30T12:00:00Z")),
        push("a number alone", &json!({ "pushed_at": null }), "pushed_at", "missing-field"),
        push("a time alone", &json!({ "pull_request": null }), "pull_request", "missing-field"),
    ]
}

fn requests() -> Vec<Row> {
    let open = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
    vec![
        row("no such route", get("/v1/review"), 404, "no-such-route"),
        row("the root", open("/"), 404, "no-such-route"),
        row("a slash too much", post("{}").map_path("/v1/reviews/"), 404, "no-such-route"),
        row("a list of reviews", get("/v1/reviews"), 405, "method-not-allowed"),
        row("a method of its own", post("{}").map_method("BREW"), 405, "method-not-allowed"),
        row("a deletion of a review", delete("/v1/reviews/x"), 405, "method-not-allowed"),
        row("a post to a probe", post("{}").map_path("/healthz"), 405, "method-not-allowed"),
        row("a job that is not there", get(MISSING), 404, "no-such-job"),
        row("a cancellation of it", delete(MISSING), 404, "no-such-job"),
        row("a review that is not there", get(&MISSING.replace("jobs", "reviews")), 404, "no-such-review"),
        Row { field: Some("id"), ..row("a bad id", get("/v1/jobs/42"), 422, "invalid-field") },
        Row { field: Some("id"), ..row("an id that is no UTF-8", get("/v1/jobs/%ff"), 422, "invalid-field") },
        Row { field: Some("id"), ..row("a path for an id", get("/v1/reviews/..%2f..%2fx"), 422, "invalid-field") },
        row("a large body where none is due", get_with_body(), 413, "body-too-large"),
        row("no key", open(MISSING), 401, "missing-key"),
        row("a key in another scheme", authorized("Basic Zmlyc3Qta2V5LW9mLXR3bw=="), 401, "missing-key"),
        row("a key without a scheme", authorized(KEY), 401, "missing-key"),
        row("a wrong key", authorized("Bearer first-key-of-twp"), 401, "wrong-key"),
        row("the start of a key", authorized("Bearer first-key"), 401, "wrong-key"),
        row("an empty key", authorized("Bearer "), 401, "wrong-key"),
    ]
}

fn get_with_body() -> Request<Body> {
    with_key("GET", MISSING).body("x".repeat(64 * 1024 + 1).into()).unwrap()
}

trait Mapped {
    fn map_path(self, path: &'static str) -> Self;
    fn map_method(self, method: &str) -> Self;
}

impl Mapped for Request<Body> {
    fn map_path(mut self, path: &'static str) -> Self {
        *self.uri_mut() = path.parse().unwrap();
        self
    }

    fn map_method(mut self, method: &str) -> Self {
        *self.method_mut() = method.parse().unwrap();
        self
    }
}

#[tokio::test]
async fn every_bad_request_is_answered_with_its_problem_and_stores_nothing() {
    for Row { name, request, status, problem, field } in
        bodies().into_iter().chain(fields()).chain(pushes()).chain(requests())
    {
        println!("{name}");
        let service = Service::start();
        let document = service.send(request).await.problem(status, problem);
        if let Some(field) = field {
            assert_eq!(document["field"], field, "{document}");
            assert!(document["allowed"].as_str().is_some_and(|text| !text.is_empty()), "{document}");
        }
        assert!(service.queue.jobs().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn an_answer_names_the_value_and_what_is_allowed_in_few_words() {
    let service = Service::start();
    let body = |field: &str, value: &str| {
        let mut body = json!({ "repository": "acme/widgets", "head": HEAD, "user": "alice" });
        body[field] = json!(value);
        post(body.to_string())
    };
    let tier = service.send(body("tier", "GOLD")).await.problem(422, "invalid-field");
    assert_eq!((&tier["value"], &tier["allowed"]), (&json!("GOLD"), &json!("ENTERPRISE, FREE, PRO, TEAM")));
    let repository = service.send(body("repository", "acme/x")).await.problem(422, "unknown-repository");
    assert_eq!(repository["allowed"], "acme/gears, acme/widgets");
    let syntax = service.send(post("{\n  \"head\": x}")).await.problem(400, "invalid-json");
    assert!(syntax["detail"].as_str().unwrap().ends_with("at line 2 column 11"), "{syntax}");

    let long = "ü".repeat(10_000);
    for (field, problem) in [("head", "invalid-field"), ("user", "invalid-field"), (long.as_str(), "unknown-field")] {
        let answer = service.send(body(field, &long)).await;
        answer.problem(422, problem);
        assert!(answer.body.len() < 1500, "{} bytes", answer.body.len());
    }
}

#[tokio::test]
async fn many_known_repositories_are_not_all_named() {
    let mut config = config();
    config.forge.repositories = (0..5000).map(|n| (format!("acme/r{n:04}").parse().unwrap(), "r".into())).collect();
    let service = Service::start_with(|settings| settings.intake = Intake::of(&config).unwrap());
    let document = service.send(post(review_by("alice"))).await.problem(422, "unknown-repository");
    assert!(document["allowed"].as_str().unwrap().ends_with("acme/r0019, and 4980 more"), "{document}");
}

#[tokio::test]
async fn headers_say_what_to_do_about_a_refusal() {
    let service = Service::start();
    let method = service.send(get("/v1/reviews")).await;
    assert_eq!(method.header(header::ALLOW), "POST");
    let no_key = service.send(Request::builder().uri(MISSING).body(Body::empty()).unwrap()).await;
    assert_eq!(no_key.header(header::WWW_AUTHENTICATE), "Bearer");
    let wrong_key = service.send(authorized("Bearer wrong")).await;
    assert_eq!(wrong_key.header(header::WWW_AUTHENTICATE), "Bearer error=\"invalid_token\"");
    service.queue.set_mood(Mood::Away);
    let away = service.send(post(review_by("alice"))).await;
    assert_eq!(away.header(header::RETRY_AFTER), "2");
}

#[tokio::test]
async fn without_keys_nobody_is_let_in() {
    let service = Service::start_with(|settings| settings.access = ApiAccess::Keys(Vec::new()));
    service.send(post(review_by("alice"))).await.problem(401, "wrong-key");
    service.send(authorized("Bearer ")).await.problem(401, "wrong-key");
}

#[tokio::test]
async fn a_service_without_keys_answers_only_under_its_machines_own_names() {
    let service = Service::start_with(|settings| settings.access = ApiAccess::AnonymousLoopback);
    let from = |host: Option<&str>| {
        let request = Request::builder().uri(MISSING).header("authorization", "Bearer of-no-meaning");
        let request = host.into_iter().fold(request, |request, host| request.header(header::HOST, host));
        request.body(Body::empty()).unwrap()
    };
    for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.8.9.10", "[::1]:8080"] {
        service.send(from(Some(host))).await.problem(404, "no-such-job");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8080", "10.0.0.1", "", "[::1"] {
        service.send(from(Some(host))).await.problem(421, "foreign-host");
    }
    service.send(from(None)).await.problem(421, "foreign-host");
}

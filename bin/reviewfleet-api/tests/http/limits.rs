//! How often a caller may ask.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use fleet::PeerAddress;
use limits::{Limits, Rate, SharedBy, WhenAway};

use crate::support::{HEAD, KEY, OTHER_KEY, Service, get, post, review_by};

const JOB: &str = "/v1/jobs/0198c0de-0000-7000-8000-000000000000";

fn service(limits: Limits) -> Service {
    Service::start_with(|settings| settings.limits = limits)
}

fn rate(burst: u32) -> Rate {
    Rate::new(60, Duration::from_mins(1), burst)
}

fn from(address: &str, key: &str) -> Request<Body> {
    let peer = PeerAddress((address.parse::<IpAddr>().unwrap(), 7).into());
    let request = Request::builder().uri(JOB).header(header::AUTHORIZATION, format!("Bearer {key}"));
    request.extension(peer).body(Body::empty()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_user_who_posts_too_often_is_told_how_often_that_is_and_stores_nothing() {
    let service = service(Limits { user: Some(rate(2)), ..Limits::default() });
    service.post(&review_by("ann")).await;
    service.post(&review_by("ann")).await;
    let answer = service.send(post(format!(r#"{{"repository":"acme/gears","head":"{HEAD}","user":"ann"}}"#))).await;
    let problem = answer.problem(429, "too-many-requests");
    assert_eq!(problem["detail"], "The user may make 60 requests in 60 s. Repeat the request in 1 s.");
    assert_eq!(answer.header(header::RETRY_AFTER), "1");
    assert_eq!(answer.header("ratelimit-policy"), r#""user";q=60;w=60"#);
    assert_eq!(answer.header("ratelimit"), r#""user";r=0;t=1"#);
    assert_eq!(service.queue.jobs().len(), 1);

    assert_eq!(service.send(post(review_by("bob"))).await.status, StatusCode::ACCEPTED, "of the same job");
    service.send(get(JOB)).await.problem(404, "no-such-job");
    tokio::time::advance(Duration::from_secs(1)).await;
    service.post(&review_by("ann")).await;
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_rate_and_a_wrong_one_takes_nothing_of_it() {
    let service = service(Limits { api_key: Some(rate(1)), ..Limits::default() });
    for _ in 0..3 {
        service.send(from("192.0.2.1", "no-key-of-this-one")).await.problem(401, "wrong-key");
    }
    for key in [KEY, OTHER_KEY] {
        service.send(from("192.0.2.1", key)).await.problem(404, "no-such-job");
        let problem = service.send(from("192.0.2.1", key)).await.problem(429, "too-many-requests");
        assert!(problem["detail"].as_str().unwrap().starts_with("The key may make"), "{problem}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_address_has_a_rate_before_its_key_is_looked_at() {
    let service = service(Limits { address: Some(rate(1)), ..Limits::default() });
    for (address, others) in [
        ("192.0.2.1", &["192.0.2.1", "::ffff:192.0.2.1"][..]),
        ("192.0.2.2", &["192.0.2.2"]),
        ("2001:db8::1", &["2001:db8::2", "2001:db8::ffff:0:0:1"]),
        ("2001:db8:0:1::1", &[]),
    ] {
        service.send(from(address, "no-key-of-this-one")).await.problem(401, "wrong-key");
        for other in others {
            service.send(from(other, KEY)).await.problem(429, "too-many-requests");
        }
    }
    let open = Request::builder().uri("/healthz").body(Body::empty()).unwrap();
    assert_eq!(service.send(open).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_redis_that_is_away_lets_requests_go_on_or_refuses_them_as_configured() {
    // A port that nobody listens at.
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("redis://{}", listener.local_addr().unwrap())
    };
    let with = |when_away| {
        let shared = SharedBy { url: url.parse().unwrap(), wait: Duration::from_secs(1), when_away };
        service(Limits { user: Some(rate(1)), shared: Some(shared), ..Limits::default() })
    };
    let closed = with(WhenAway::Refuse);
    let answer = closed.send(post(review_by("ann"))).await;
    answer.problem(503, "limits-unavailable");
    assert_eq!(answer.header(header::RETRY_AFTER), "2");
    assert!(closed.queue.jobs().is_empty());
    let open = with(WhenAway::Allow);
    open.post(&review_by("ann")).await;
    open.send(post(review_by("ann"))).await.problem(429, "too-many-requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apis_share_the_rates_of_one_redis() {
    let server = redis_testing::Server::start(&[]);
    let [one, two] = [(); 2].map(|()| {
        let wait = Duration::from_secs(5);
        let shared = SharedBy { url: server.url.parse().unwrap(), wait, when_away: WhenAway::Refuse };
        let user = Some(Rate::new(1, Duration::from_hours(1), 1));
        service(Limits { user, shared: Some(shared), ..Limits::default() })
    });
    one.post(&review_by("ann")).await;
    two.send(post(review_by("ann"))).await.problem(429, "too-many-requests");
    two.post(&review_by("bob")).await;
}

//! Rates in a process and in a real Redis, which is killed and hung amid use.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use limits::{Limiter, Limits, NotLet, Rate, Scope, SharedBy, WhenAway};
use redis_link::{Link, Value, cmd};
use redis_testing::Server;

/// How long what must come is waited for.
const DEADLINE: Duration = Duration::from_secs(10);

fn users(rate: Rate) -> Limits {
    Limits { user: Some(rate), ..Limits::default() }
}

/// A limiter of a process of its own.
fn shared(server: &Server, rate: Rate, wait_ms: u64, when_away: WhenAway) -> Arc<Limiter> {
    let by = SharedBy { url: server.url.parse().unwrap(), wait: Duration::from_millis(wait_ms), when_away };
    Arc::new(Limiter::new(Limits { shared: Some(by), ..users(rate) }))
}

/// So slow that nothing comes back within a test.
fn slow(burst: u32) -> Rate {
    Rate::new(1, Duration::from_hours(24), burst)
}

async fn takes(limiter: &Limiter, user: &str) -> bool {
    limiter.take(Scope::User, user).await.is_ok()
}

async fn wait(limiter: &Limiter, user: &str) -> Duration {
    match limiter.take(Scope::User, user).await {
        Err(NotLet::TooOften { wait, .. }) => wait,
        other => panic!("{other:?}"),
    }
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < DEADLINE, "{what} has not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_comes_at_once_and_then_a_request_an_interval() {
    let limiter = Limiter::new(users(Rate::new(60, Duration::from_mins(1), 3)));
    for _ in 0..3 {
        assert!(takes(&limiter, "ann").await);
    }
    assert_eq!(wait(&limiter, "ann").await, Duration::from_secs(1));
    assert!(takes(&limiter, "bob").await, "another user has a rate of his own");
    for _ in 0..5 {
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(!takes(&limiter, "ann").await);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(takes(&limiter, "ann").await);
    }
    tokio::time::advance(Duration::from_hours(1)).await;
    for _ in 0..3 {
        assert!(takes(&limiter, "ann").await);
    }
    assert!(!takes(&limiter, "ann").await, "what was not used is not saved up beyond the burst");
}

#[tokio::test]
async fn a_scope_without_a_rate_is_not_limited_and_scopes_do_not_share() {
    let once = Limits { user: Some(slow(1)), api_key: Some(slow(1)), ..Limits::default() };
    let limiter = Limiter::new(once);
    assert!(limiter.take(Scope::User, "x").await.is_ok() && limiter.take(Scope::ApiKey, "x").await.is_ok());
    assert!(limiter.take(Scope::User, "x").await.is_err() && limiter.take(Scope::ApiKey, "x").await.is_err());
    for _ in 0..100 {
        limiter.take(Scope::Address, "x").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_one_rate_exactly() {
    let server = Server::start(&[]);
    let processes = [(); 2].map(|()| shared(&server, slow(50), 5_000, WhenAway::Refuse));
    let tasks: Vec<_> = (0..200)
        .map(|i| {
            let limiter = processes[i % 2].clone();
            tokio::spawn(async move { takes(&limiter, "ann").await })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += usize::from(task.await.unwrap());
    }
    assert_eq!(taken, 50);
    let interval = Duration::from_hours(24);
    let left = wait(&processes[0], "ann").await;
    assert!(left <= interval && left + DEADLINE * 3 > interval, "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_is_kept_in_redis_over_time_as_well() {
    let server = Server::start(&[]);
    let processes =
        [(); 2].map(|()| shared(&server, Rate::new(50, Duration::from_secs(1), 5), 5_000, WhenAway::Refuse));
    assert!(takes(&processes[0], "another").await, "connected");
    let begun = Instant::now();
    let (mut taken, mut first) = (0_u32, None);
    while begun.elapsed() < Duration::from_secs(1) {
        for process in &processes {
            if takes(process, "ann").await {
                taken += 1;
                first.get_or_insert_with(Instant::now);
            }
        }
    }
    let most = 5.0 + 50.0 * begun.elapsed().as_secs_f64();
    let least = 5.0 + 50.0 * first.unwrap().elapsed().as_secs_f64() - 2.0;
    assert!(f64::from(taken) <= most, "{taken} of {most}");
    // A machine that is busy elsewhere asks too seldom at times; what was not asked for is not taken.
    assert!(f64::from(taken) >= least * 0.8, "{taken} of {least}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_requests_go_on_or_are_refused_as_configured_and_neither_waits_long() {
    let server = Server::start(&[]);
    let open = shared(&server, slow(2), 200, WhenAway::Allow);
    let closed = shared(&server, slow(2), 200, WhenAway::Refuse);
    until("a connection", async || takes(&open, "one").await && takes(&closed, "two").await).await;
    server.kill();
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(closed.take(Scope::User, "ann").await, Err(NotLet::Away));
    }
    assert_eq!((takes(&open, "ann").await, takes(&open, "ann").await), (true, true));
    assert!(matches!(open.take(Scope::User, "ann").await, Err(NotLet::TooOften { .. })), "by this process alone");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

    server.restart();
    until("Redis again", async || closed.take(Scope::User, "bob").await != Err(NotLet::Away)).await;
    until("the rate of both", async || !takes(&closed, "bob").await && !takes(&open, "bob").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_is_waited_for_as_long_as_was_said() {
    let server = Server::start(&[]);
    let limiter = shared(&server, slow(100), 50, WhenAway::Refuse);
    until("a connection", async || takes(&limiter, "ann").await).await;
    server.hang();
    let begun = Instant::now();
    for _ in 0..10 {
        assert_eq!(limiter.take(Scope::User, "ann").await, Err(NotLet::Away));
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    server.go_on();
    until("Redis again", async || takes(&limiter, "ann").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_under_a_callers_key_neither_fails_nor_locks_out() {
    let server = Server::start(&[]);
    let limiter = shared(&server, Rate::new(10, Duration::from_secs(1), 2), 5_000, WhenAway::Refuse);
    assert!(takes(&limiter, "ann").await);
    let link = Link::new(&server.url.parse().unwrap(), DEADLINE);
    let Value::Array(keys) = link.call(cmd("KEYS").arg("reviewfleet:limit:user:*")).await.unwrap() else { panic!() };
    let [Value::BulkString(key)] = &keys[..] else { panic!("{keys:?}") };
    for garbage in ["", "garbage", "nan", "-nan", "inf", "-inf", "-1", "1e300", "99999999999999999999", "0x10", " 7 "] {
        link.call(cmd("SET").arg(key).arg(garbage)).await.unwrap();
        until(garbage, async || takes(&limiter, "ann").await).await;
        let ttl = link.call(cmd("PTTL").arg(key)).await.unwrap();
        assert!(matches!(ttl, Value::Int(1..=300)), "{garbage}: {ttl:?}");
    }
    link.call(cmd("DEL").arg(key)).await.unwrap();
    link.call(cmd("RPUSH").arg(key).arg("x")).await.unwrap();
    assert!(takes(&limiter, "ann").await, "a list");
}

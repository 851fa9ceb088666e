//! Outbound HTTP to model providers: bounded in time and size, without redirects, with one retry policy.
//!
//! This is the only module that uses the crate `backoff`. It is marked unmaintained (RUSTSEC-2025-0012) and was asked for
//! by name; only its `ExponentialBackoff` is used, a small state machine without IO.

use std::{error::Error, time::Duration};

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder, backoff::Backoff};
use bytes::{Bytes, BytesMut};
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER},
    redirect::Policy,
};
use serde_json::Value;

use super::setup::Credential;
use crate::ModelErrorKind;

/// Most bytes of an answer: some hundred times the longest review, and little enough to hold for each running job.
pub(super) const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most bytes that are read of an error's body. What stands behind them is not needed to tell errors apart.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// The longest wait asked for by a provider that is waited for here. A longer one is given up to the queue, which frees
/// the slot meanwhile.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(10);

/// Most characters of a provider's message that an error repeats.
const MESSAGE_CHARS_MAX: usize = 200;

/// Bounds of outbound calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// For the connection, TLS included.
    pub connect_timeout: Duration,
    /// For one attempt, from connecting to the answer's last byte. No retry starts when as much has gone by since the
    /// first attempt's start, so that a call takes at most twice as long.
    pub request_timeout: Duration,
    /// Attempts after the first one.
    pub retries_max: u32,
    /// The wait before the first retry, half of it up or down; each further one is half as long again.
    pub retry_wait: Duration,
    /// The longest such wait.
    pub retry_wait_max: Duration,
}

/// An HTTP client that the adapters share; clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: HttpSettings,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The process must install rustls' provider before, once.
    #[error("no default TLS crypto provider is installed in this process")]
    NoCryptoProvider,
    /// The library refuses the settings.
    #[error("the HTTP client cannot be built")]
    Build(#[source] reqwest::Error),
}

/// One question, sent as often as the retry policy allows.
pub(super) struct Call<'a> {
    /// The model's name, for the log.
    pub(super) model: &'a str,
    pub(super) url: &'a Url,
    pub(super) credential: Option<&'a Credential>,
    /// JSON to post; without it the address is read.
    pub(super) body: Option<Bytes>,
    /// Reads what the provider says of a 429 in its body.
    pub(super) limit_of: fn(&Value) -> Limit,
}

/// What a provider says of the limit that was hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) retry_after: Option<Duration>,
    /// No short wait mends it.
    pub(super) sticky: bool,
}

/// One failed attempt.
struct Fault {
    kind: ModelErrorKind,
    /// Whether another attempt may succeed.
    passing: bool,
    retry_after: Option<Duration>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_mins(1),
            retries_max: 2,
            retry_wait: Duration::from_millis(500),
            retry_wait_max: Duration::from_secs(5),
        }
    }
}

impl HttpSettings {
    fn backoff(&self) -> ExponentialBackoff {
        ExponentialBackoffBuilder::new()
            .with_initial_interval(self.retry_wait)
            .with_max_interval(self.retry_wait_max)
            .with_max_elapsed_time(Some(self.request_timeout))
            .build()
    }
}

impl Client {
    /// A client whose every call keeps these bounds. Proxies are not taken from the environment.
    pub fn new(settings: HttpSettings) -> Result<Self, ClientError> {
        // The HTTP library would panic without one.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ClientError::NoCryptoProvider);
        }
        let http = reqwest::Client::builder()
            .user_agent(concat!("reviewfleet/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.request_timeout)
            // A redirect could carry key and source code to another host.
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(ClientError::Build)?;
        Ok(Self { http, settings })
    }

    /// Gives the body of the first success.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Bytes, ModelErrorKind> {
        let mut backoff = self.settings.backoff();
        let mut retries_left = self.settings.retries_max;
        loop {
            let fault = match self.attempt(call).await {
                Ok(body) => return Ok(body),
                Err(fault) => fault,
            };
            let Some(wait) = fault.wait(&mut backoff).filter(|_| retries_left > 0) else { return Err(fault.kind) };
            retries_left -= 1;
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(model = call.model, fault = %fault.kind, wait_ms, retries_left, "a model call is retried");
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Bytes, Fault> {
        let mut request = match &call.body {
            Some(json) => self.http.post(call.url.clone()).header(CONTENT_TYPE, "application/json").body(json.clone()),
            None => self.http.get(call.url.clone()),
        };
        if let Some(credential) = call.credential {
            request = request.header(&credential.header, &credential.value);
        }
        let response = request.send().await.map_err(|e| Fault::of_transport(&e))?;
        let status = response.status();
        if status.is_success() {
            return match body(response, ANSWER_BYTES_MAX).await? {
                (body, true) => Ok(body),
                (_, false) => Err(Fault::lasting(ModelErrorKind::Unreadable(format!(
                    "longer than the {ANSWER_BYTES_MAX} bytes allowed"
                )))),
            };
        }
        let headers = response.headers().clone();
        // Without its body an error still has its status.
        let (body, _) = body(response, ERROR_BYTES_MAX).await.unwrap_or_default();
        Err(Fault::of_status(status, &headers, &body, call))
    }
}

/// Up to `bytes_max` bytes of a body, and whether that is all of it.
async fn body(mut response: Response, bytes_max: usize) -> Result<(Bytes, bool), Fault> {
    let mut all = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Fault::of_transport(&e))? {
        let room = bytes_max - all.len();
        all.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((all.freeze(), false));
        }
    }
    Ok((all.freeze(), true))
}

impl Fault {
    const fn lasting(kind: ModelErrorKind) -> Self {
        Self { kind, passing: false, retry_after: None }
    }

    fn of_transport(error: &reqwest::Error) -> Self {
        // A model that was at work for the whole time would be charged again, and hardly be faster.
        if error.is_timeout() && !error.is_connect() {
            return Self::lasting(ModelErrorKind::Unavailable("no answer within the time allowed".to_owned()));
        }
        let what = if error.is_connect() { "no connection" } else { "the connection broke" };
        // Only the innermost cause: the outer ones repeat the address.
        let mut cause: &dyn Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let cause: String = cause.to_string().chars().take(MESSAGE_CHARS_MAX).collect();
        Self { kind: ModelErrorKind::Unavailable(format!("{what}: {cause}")), passing: true, retry_after: None }
    }

    fn of_status(status: StatusCode, headers: &HeaderMap, body: &[u8], call: &Call<'_>) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let asked = asked_wait(headers);
        let message = || described(status, &said(&body), call.credential);
        match status.as_u16() {
            401 | 403 => Self::lasting(ModelErrorKind::Unauthorized),
            429 => {
                let limit = (call.limit_of)(&body);
                let (retry_after, sticky) = (asked.max(limit.retry_after), limit.sticky);
                Self { kind: ModelErrorKind::RateLimited { retry_after, sticky }, passing: !sticky, retry_after }
            }
            500 | 502 | 503 | 504 => {
                Self { kind: ModelErrorKind::Unavailable(message()), passing: true, retry_after: asked }
            }
            408 | 501 | 505..=599 => Self::lasting(ModelErrorKind::Unavailable(message())),
            300..=399 => {
                Self::lasting(ModelErrorKind::Refused(format!("HTTP {}: redirects are not followed", status.as_u16())))
            }
            _ => Self::lasting(ModelErrorKind::Refused(message())),
        }
    }

    /// How long to wait for the next attempt; `None` when there is none.
    fn wait(&self, backoff: &mut ExponentialBackoff) -> Option<Duration> {
        let asked = self.retry_after.unwrap_or_default();
        if !self.passing || asked > ASKED_WAIT_MAX {
            return None;
        }
        // On top of what was asked for, so that not all workers come back in the same instant.
        backoff.next_backoff().map(|interval| asked + interval)
    }
}

/// The `Retry-After` header: seconds, or a date, which counts from the answer's own `Date`, so that no two machines'
/// clocks are compared.
fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let wait = date(asked)?.duration_since(date(text(DATE)?)?);
    Some(wait.try_into().unwrap_or_default())
}

/// An error's status with what the provider says of it, without the key, which some repeat.
fn described(status: StatusCode, said: &str, credential: Option<&Credential>) -> String {
    let status = status.as_u16();
    if said.is_empty() {
        return format!("HTTP {status}");
    }
    let said = credential.map_or_else(|| said.to_owned(), |c| c.scrub(said));
    format!("HTTP {status}: {}", said.chars().take(MESSAGE_CHARS_MAX).collect::<String>())
}

/// The message in an error's body, on one line, in the shapes that providers use.
fn said(body: &Value) -> String {
    let message = [&body["error"]["message"], &body["error"], &body["message"]].into_iter().find_map(Value::as_str);
    message.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{any, header},
    };

    use super::*;
    use crate::model::testing::{self, Script};

    const KEY: &str = "hunter2-hunter2";

    fn no_limit(_: &Value) -> Limit {
        Limit::default()
    }

    async fn post_within(settings: HttpSettings, base: &str) -> Result<Bytes, ModelErrorKind> {
        let credential = Credential::new("m", HeaderName::from_static("x-key"), "", &KEY.into()).unwrap();
        let url = Url::parse(base).unwrap();
        let call = Call {
            model: "m",
            url: &url,
            credential: Some(&credential),
            body: Some(Bytes::from_static(b"{}")),
            limit_of: no_limit,
        };
        testing::client(settings).send(&call).await
    }

    async fn post(base: &str) -> Result<Bytes, ModelErrorKind> {
        post_within(testing::quick(), base).await
    }

    #[tokio::test]
    async fn passing_faults_are_retried_until_one_attempt_succeeds() {
        for status in [429, 500, 502, 503, 504] {
            let server =
                Script::new([ResponseTemplate::new(status), ResponseTemplate::new(200).set_body_string("yes")]).await;
            assert_eq!(post(&server.uri()).await.unwrap(), "yes", "{status}");
            assert_eq!(server.calls().await, 2, "{status}");
        }
    }

    #[tokio::test]
    async fn lasting_faults_are_asked_once() {
        for status in [400, 401, 403, 404, 408, 413, 422, 501] {
            let server = Script::new([ResponseTemplate::new(status), ResponseTemplate::new(200)]).await;
            assert!(post(&server.uri()).await.is_err(), "{status}");
            assert_eq!(server.calls().await, 1, "{status}");
        }
    }

    #[tokio::test]
    async fn retries_end() {
        let server = Script::new([ResponseTemplate::new(503)]).await;
        let settings = HttpSettings { retries_max: 3, ..testing::quick() };
        let error = post_within(settings, &server.uri()).await.unwrap_err();
        assert!(matches!(error, ModelErrorKind::Unavailable(_)), "{error}");
        assert_eq!(server.calls().await, 4);
    }

    #[tokio::test]
    async fn no_retry_starts_when_the_time_of_one_attempt_is_over() {
        let server = Script::new([ResponseTemplate::new(503).set_delay(Duration::from_millis(150))]).await;
        let settings = HttpSettings {
            request_timeout: Duration::from_millis(250),
            retry_wait: Duration::from_millis(1),
            retries_max: 100,
            ..testing::quick()
        };
        assert!(post_within(settings, &server.uri()).await.is_err());
        assert!(server.calls().await <= 3, "{}", server.calls().await);
    }

    #[tokio::test]
    async fn a_short_wait_that_was_asked_for_is_kept() {
        let limited = ResponseTemplate::new(429).insert_header("retry-after", "1");
        let server = Script::new([limited, ResponseTemplate::new(200)]).await;
        let start = Instant::now();
        post(&server.uri()).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_long_wait_is_handed_on_at_once() {
        let limited = ResponseTemplate::new(429).insert_header("retry-after", "3600");
        let server = Script::new([limited, ResponseTemplate::new(200)]).await;
        let error = post(&server.uri()).await.unwrap_err();
        let ModelErrorKind::RateLimited { retry_after, sticky: false } = error else { panic!("{error}") };
        assert_eq!(retry_after, Some(Duration::from_hours(1)));
        assert_eq!(server.calls().await, 1);
    }

    #[test]
    fn a_date_to_wait_for_counts_from_the_answers_own_date() {
        let headers = |retry_after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
            date.map(|d| headers.insert(DATE, d.parse().unwrap()));
            asked_wait(&headers)
        };
        let (noon, later) = ("Wed, 25 Nov 2026 12:00:00 GMT", "Wed, 25 Nov 2026 12:01:30 GMT");
        assert_eq!(headers(later, Some(noon)), Some(Duration::from_secs(90)));
        assert_eq!(headers(noon, Some(later)), Some(Duration::ZERO));
        assert_eq!(headers(later, None), None);
        assert_eq!(headers("soon", Some(noon)), None);
        assert_eq!(headers("-5", Some(noon)), None);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed_and_takes_the_key_nowhere() {
        let elsewhere = MockServer::start().await;
        for status in [301, 302, 307, 308] {
            let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
            let server = Script::new([redirect]).await;
            let error = post(&server.uri()).await.unwrap_err();
            assert!(matches!(error, ModelErrorKind::Refused(_)), "{error}");
        }
        assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn an_answer_that_takes_too_long_is_given_up_without_a_second_one() {
        let server = Script::new([ResponseTemplate::new(200).set_delay(Duration::from_secs(30))]).await;
        let settings = HttpSettings { request_timeout: Duration::from_millis(200), ..testing::quick() };
        let start = Instant::now();
        let error = post_within(settings, &server.uri()).await.unwrap_err();
        assert!(error.to_string().contains("within the time"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(server.calls().await, 1);
    }

    #[tokio::test]
    async fn a_body_that_stalls_is_given_up() {
        let address = testing::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nstart", 1, true).await;
        let settings = HttpSettings { request_timeout: Duration::from_millis(200), ..testing::quick() };
        let error = post_within(settings, &address).await.unwrap_err();
        assert!(error.to_string().contains("within the time"), "{error}");
    }

    #[tokio::test]
    async fn a_connection_that_breaks_is_tried_again() {
        for cut in ["", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nstart"] {
            let address = testing::raw(cut, 2, false).await;
            assert_eq!(post(&address).await.unwrap(), "whole", "{cut:?}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_named_as_such() {
        let address = testing::closed_port().await;
        let error = post(&address).await.unwrap_err();
        assert!(error.to_string().contains("no connection"), "{error}");
        assert!(!error.to_string().contains(&address), "{error}");
    }

    #[tokio::test]
    async fn a_huge_answer_is_not_held() {
        let server = Script::new([ResponseTemplate::new(200).set_body_bytes(vec![b' '; ANSWER_BYTES_MAX + 1])]).await;
        let error = post(&server.uri()).await.unwrap_err();
        assert!(matches!(error, ModelErrorKind::Unreadable(_)), "{error}");
        assert_eq!(server.calls().await, 1);
    }

    #[tokio::test]
    async fn the_key_goes_out_in_its_header_and_comes_back_in_no_error() {
        let server = MockServer::start().await;
        let echo = serde_json::json!({"error": {"message": format!("bad\nkey {KEY}")}});
        let answer = ResponseTemplate::new(400).set_body_json(echo);
        Mock::given(any()).and(header("x-key", KEY)).respond_with(answer).expect(1).mount(&server).await;
        let error = post(&server.uri()).await.unwrap_err();
        assert_eq!(error.to_string(), "it refuses the request: HTTP 400: bad key [key]");
    }
}

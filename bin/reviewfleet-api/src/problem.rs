use std::error::Error;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::chain;

/// Most characters of a caller's value that an answer repeats.
const SHOWN_MAX_CHARS: usize = 100;
/// Wait asked of a caller when the service is away or full: long enough for a store's restart to make progress, short
/// enough for a webhook relay to stay within its own deadline.
const RETRY_AFTER_SECS: u32 = 2;
const RATE_LIMIT_POLICY: header::HeaderName = header::HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: header::HeaderName = header::HeaderName::from_static("ratelimit");

/// An error as the caller reads it: a problem document of RFC 9457.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: ProblemKind,
    detail: String,
    at: Option<Box<Place>>,
}

/// The part of a request that a problem is about.
#[derive(Debug, Serialize)]
struct Place {
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    allowed: String,
}

/// Which problem it is. The crate's documentation says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    InvalidJson,
    UnreadableBody,
    MissingKey,
    WrongKey,
    NoSuchRoute,
    NoSuchJob,
    NoSuchReview,
    MethodNotAllowed,
    SlowBody,
    AlreadyEnded,
    BodyTooLarge,
    UnsupportedMediaType,
    NotAnObject,
    MissingField,
    UnknownField,
    InvalidField,
    UnknownRepository,
    ForeignHost,
    /// With the seconds after which a repetition may be taken.
    Throttled(u32),
    /// With the seconds after which the next day begins.
    QuotaUsedUp(u32),
    /// With the rate that was exceeded, and the seconds after which a repetition is taken.
    TooManyRequests {
        scope: &'static str,
        secs: u32,
        requests: u32,
        period_secs: u32,
    },
    Internal,
    Busy,
    StoreUnavailable,
    LedgerUnavailable,
    LimitsUnavailable,
    Timeout,
}

impl ProblemKind {
    /// Status, `type` and `title`.
    const fn facts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidJson => (StatusCode::BAD_REQUEST, "/problems/invalid-json", "The body is no JSON"),
            Self::UnreadableBody => {
                (StatusCode::BAD_REQUEST, "/problems/unreadable-body", "The body could not be read to its end")
            }
            Self::MissingKey => (StatusCode::UNAUTHORIZED, "/problems/missing-key", "A key is needed"),
            Self::WrongKey => (StatusCode::UNAUTHORIZED, "/problems/wrong-key", "The key is not valid"),
            Self::NoSuchRoute => (StatusCode::NOT_FOUND, "/problems/no-such-route", "There is no such route"),
            Self::NoSuchJob => (StatusCode::NOT_FOUND, "/problems/no-such-job", "There is no such job"),
            Self::NoSuchReview => (StatusCode::NOT_FOUND, "/problems/no-such-review", "There is no such review"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "/problems/method-not-allowed", "The route does not take this method")
            }
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "/problems/slow-body", "The body did not arrive in time"),
            Self::AlreadyEnded => (StatusCode::CONFLICT, "/problems/already-ended", "The job has ended"),
            Self::BodyTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "/problems/body-too-large", "The body is over the limit")
            }
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "/problems/unsupported-media-type",
                "The body has a media type that is not taken",
            ),
            Self::NotAnObject => {
                (StatusCode::UNPROCESSABLE_ENTITY, "/problems/not-an-object", "The body is no JSON object")
            }
            Self::MissingField => (StatusCode::UNPROCESSABLE_ENTITY, "/problems/missing-field", "A field is missing"),
            Self::UnknownField => {
                (StatusCode::UNPROCESSABLE_ENTITY, "/problems/unknown-field", "A field is not known, or stands twice")
            }
            Self::InvalidField => {
                (StatusCode::UNPROCESSABLE_ENTITY, "/problems/invalid-field", "A field has a value that is not allowed")
            }
            Self::UnknownRepository => {
                (StatusCode::UNPROCESSABLE_ENTITY, "/problems/unknown-repository", "The repository is not known here")
            }
            Self::ForeignHost => {
                (StatusCode::MISDIRECTED_REQUEST, "/problems/foreign-host", "The service does not have this name")
            }
            Self::Throttled(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "/problems/throttled", "The user has had all starts of this period")
            }
            Self::QuotaUsedUp(_) => {
                (StatusCode::TOO_MANY_REQUESTS, "/problems/quota-used-up", "The user has had all reviews of this day")
            }
            Self::TooManyRequests { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "/problems/too-many-requests", "The caller asks too often")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "/problems/internal", "The service has made a mistake")
            }
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "/problems/busy", "Too many requests are in flight"),
            Self::StoreUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "/problems/store-unavailable", "The queue's store does not answer")
            }
            Self::LedgerUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "/problems/ledger-unavailable", "The ledger does not answer")
            }
            Self::LimitsUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "/problems/limits-unavailable",
                "The limits of the service cannot be looked at",
            ),
            Self::Timeout => (StatusCode::GATEWAY_TIMEOUT, "/problems/timeout", "The answer took too long"),
        }
    }

    /// The headers that say what to do about it. Those of a rate are the draft's of the IETF,
    /// <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10>.
    fn advice(self) -> Vec<(header::HeaderName, HeaderValue)> {
        let retry_after = |secs: u32| (header::RETRY_AFTER, HeaderValue::from(secs));
        match self {
            Self::MissingKey => vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))],
            Self::WrongKey => {
                vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""))]
            }
            Self::Throttled(secs) | Self::QuotaUsedUp(secs) => vec![retry_after(secs)],
            Self::TooManyRequests { scope, secs, requests, period_secs } => {
                let policy = format!("\"{scope}\";q={requests};w={period_secs}");
                let left = format!("\"{scope}\";r=0;t={secs}");
                let named = [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, left)].into_iter();
                let named = named.filter_map(|(name, value)| Some((name, value.parse().ok()?)));
                named.chain([retry_after(secs)]).collect()
            }
            Self::Busy | Self::StoreUnavailable | Self::LedgerUnavailable | Self::LimitsUnavailable | Self::Timeout => {
                vec![retry_after(RETRY_AFTER_SECS)]
            }
            _ => Vec::new(),
        }
    }
}

impl Problem {
    /// A problem with the request or the service as a whole.
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), at: None }
    }

    /// A problem with one field; the field's name and value are shortened.
    pub(crate) fn field(
        kind: ProblemKind,
        field: &str,
        value: Option<&str>,
        detail: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        let place = Place { field: shown(field), value: value.map(shown), allowed: allowed.into() };
        Self { kind, detail: detail.into(), at: Some(Box::new(place)) }
    }

    /// A field whose value is not allowed.
    pub(crate) fn invalid(field: &str, value: &str, allowed: impl Into<String>) -> Self {
        let detail = format!("The field {field:?} may not be {:?}.", shown(value));
        Self::field(ProblemKind::InvalidField, field, Some(value), detail, allowed)
    }

    /// A fault of the service, which the caller learns nothing of but that it happened. Logs it.
    pub(crate) fn internal(error: &dyn Error) -> Self {
        tracing::error!(error = chain(error), "a request failed");
        Self::logged()
    }

    /// As [`Problem::internal`], of a fault that has been logged.
    pub(crate) fn logged() -> Self {
        Self::new(ProblemKind::Internal, "The request failed through a fault of the service, which has been logged.")
    }

    /// What the caller is told while the queue's store is away or full.
    pub(crate) fn store_away() -> Self {
        Self::new(
            ProblemKind::StoreUnavailable,
            "The queue's store is away or full. Repeat the request: a review that was stored already is not made twice.",
        )
    }

    /// What the caller is told while the ledger is away or full.
    pub(crate) fn ledger_away() -> Self {
        Self::new(ProblemKind::LedgerUnavailable, "The ledger is away or full. Repeat the request.")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Document<'a> {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            detail: &'a str,
            #[serde(flatten)]
            at: Option<&'a Place>,
        }

        let (status, r#type, title) = self.kind.facts();
        let document =
            Document { r#type, title, status: status.as_u16(), detail: &self.detail, at: self.at.as_deref() };
        let mut response = (status, axum::Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.kind.advice());
        response
    }
}

/// The start of a caller's text.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

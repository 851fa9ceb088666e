use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{DefaultBodyLimit, FromRequest, Request, State, rejection::BytesRejection},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    ApiSettings,
    problem::{Problem, ProblemKind},
};

/// What one request may take, and how many there may be at once.
pub(crate) struct Bounds {
    in_flight: Semaphore,
    body_max_bytes: usize,
    request_timeout: Duration,
}

impl Bounds {
    pub(crate) fn new(settings: &ApiSettings) -> Self {
        Self {
            in_flight: Semaphore::new(settings.in_flight_max),
            body_max_bytes: settings.body_max_bytes,
            request_timeout: settings.request_timeout,
        }
    }

    /// Reads the body to its end, so that what comes after waits for the service alone.
    async fn body(&self, body: Body) -> Result<Bytes, Problem> {
        let too_large = || {
            let detail = format!("The body may have {} bytes at most.", self.body_max_bytes);
            Problem::new(ProblemKind::BodyTooLarge, detail)
        };
        // A declared length is refused before anything of it is read.
        if usize::try_from(body.size_hint().lower()).map_or(true, |bytes| bytes > self.body_max_bytes) {
            return Err(too_large());
        }
        let mut request = Request::new(body);
        DefaultBodyLimit::max(self.body_max_bytes).apply(&mut request);
        match timeout(self.request_timeout, Bytes::from_request(request, &())).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if is_too_large(&error) => Err(too_large()),
            Ok(Err(_)) => Err(Problem::new(ProblemKind::UnreadableBody, "The body broke off before its end.")),
            Err(_) => {
                let detail = format!("The body must arrive within {:?}.", self.request_timeout);
                Err(Problem::new(ProblemKind::SlowBody, detail))
            }
        }
    }
}

/// Holds a request to its bounds. A handler that runs out of time is dropped; what it had handed to the store may still
/// be stored.
pub(crate) async fn keep_bounds(
    State(bounds): State<Arc<Bounds>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let _permit = bounds
        .in_flight
        .try_acquire()
        .map_err(|_| Problem::new(ProblemKind::Busy, "The service has as many requests in flight as it takes."))?;
    let (head, body) = request.into_parts();
    let body = bounds.body(body).await?;
    let answer = next.run(Request::from_parts(head, Body::from(body)));
    timeout(bounds.request_timeout, answer).await.map_err(|_| {
        tracing::warn!(limit = ?bounds.request_timeout, "a request was not answered in time");
        Problem::new(
            ProblemKind::Timeout,
            "The answer took too long. Repeat the request: a review that was stored already is not made twice.",
        )
    })
}

fn is_too_large(error: &BytesRejection) -> bool {
    error.status() == StatusCode::PAYLOAD_TOO_LARGE
}

/// Answers for a handler that panicked, without a word of what it panicked over.
pub(crate) fn answer_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::new(ProblemKind::Internal, "The request failed through a fault of the service, which has been logged.")
        .into_response()
}

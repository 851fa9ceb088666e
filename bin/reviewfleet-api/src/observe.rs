use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;
use uuid::Uuid;

const REQUESTS_TOTAL: &str = "reviewfleet_api_requests_total";
const REQUEST_SECONDS: &str = "reviewfleet_api_request_seconds";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Most bytes of a caller's own request id.
const REQUEST_ID_MAX_BYTES: usize = 128;

/// Says in `/metrics` what the metrics of this module mean.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(REQUESTS_TOTAL, "Requests answered, by method, route and status.");
    metrics::describe_histogram!(
        REQUEST_SECONDS,
        metrics::Unit::Seconds,
        "Time from a request's head to its answer, by route."
    );
}

/// Counts, times and names a request.
///
/// Neither a log line nor a label holds a path, a query, a header or a body: a route stands by its pattern, so that the
/// labels' values are bounded.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let id = request_id(request.headers());
    let span = tracing::info_span!("request", request_id = id.to_str().unwrap_or_default(), method, route);

    let mut response = next.run(request).instrument(span.clone()).await;

    let took = started.elapsed();
    let status = response.status();
    span.in_scope(|| tracing::debug!(status = status.as_u16(), took_ms = took.as_millis(), "answered"));
    metrics::counter!(
        REQUESTS_TOTAL,
        "method" => method, "route" => route.clone(), "status" => status.as_str().to_owned()
    )
    .increment(1);
    metrics::histogram!(REQUEST_SECONDS, "route" => route).record(took);

    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    // A review quotes foreign text: no browser may take it for anything but its media type.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |id: &&HeaderValue| {
        (1..=REQUEST_ID_MAX_BYTES).contains(&id.len())
            && id.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    headers.get(REQUEST_ID).filter(is_plain).cloned().unwrap_or_else(|| {
        let mut text = Uuid::encode_buffer();
        // A UUID is plain ASCII, so that the default never comes about.
        HeaderValue::from_str(Uuid::now_v7().as_hyphenated().encode_lower(&mut text))
            .unwrap_or(HeaderValue::from_static("unknown"))
    })
}

/// The method, where it is one that HTTP defines: any other text is a caller's to choose.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

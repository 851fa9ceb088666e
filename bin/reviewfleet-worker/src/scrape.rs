use std::{convert::Infallible, future, time::Duration};

use fleet::ConnectionLimits;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    service::service_fn,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// A scraper or two, their retries, and an orchestrator's probe.
const CONNECTIONS_MAX: usize = 16;
/// An answer is made of memory alone.
const DRAIN: Duration = Duration::from_secs(1);
const TEXT: &str = "text/plain; charset=utf-8";

/// Answers `/metrics` and `/healthz` until it is dropped: to the end of a drain, whose last settlements count too.
pub fn serve_metrics(listener: TcpListener, metrics: PrometheusHandle) -> AbortOnDropHandle<()> {
    let limits = ConnectionLimits { connections_max: CONNECTIONS_MAX, drain: DRAIN, ..ConnectionLimits::default() };
    let service = service_fn(move |request: Request<Incoming>| {
        future::ready(Ok::<_, Infallible>(answer(request.method(), request.uri().path(), &metrics)))
    });
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = fleet::serve_http(listener, service, limits, CancellationToken::new()).await {
            tracing::error!(%error, "metrics are not served");
        }
    }))
}

fn answer(method: &Method, path: &str, metrics: &PrometheusHandle) -> Response<String> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    match path {
        "/metrics" if is_read => plain(StatusCode::OK, metrics.render(), "text/plain; version=0.0.4; charset=utf-8"),
        "/healthz" if is_read => plain(StatusCode::OK, "ok\n".to_owned(), TEXT),
        "/metrics" | "/healthz" => {
            let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "allowed are GET and HEAD\n".to_owned(), TEXT);
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            refusal
        }
        _ => plain(StatusCode::NOT_FOUND, "a worker serves /metrics and /healthz\n".to_owned(), TEXT),
    }
}

fn plain(status: StatusCode, text: String, media_type: &'static str) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

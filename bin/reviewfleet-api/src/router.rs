use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use ledger::Ledger;
use limits::Limiter;
use metrics_exporter_prometheus::PrometheusHandle;
use store::QueueBackend;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    ApiSettings,
    access::{Gate, require_access},
    bounds::{Bounds, answer_panic, keep_bounds},
    health::Health,
    jobs::{cancel_job, get_job},
    limit::{limit_address, limit_key},
    observe::{describe_metrics, observe},
    post::post_review,
    probes::{health, metrics, ready},
    problem::{Problem, ProblemKind},
    quota::Quotas,
    reviews::get_review,
    unread::see_to_unread_body,
};

/// What the API stands on.
pub struct Api {
    /// Where jobs go.
    pub queue: Arc<dyn QueueBackend>,
    /// Where reviews are found.
    pub ledger: Arc<dyn Ledger>,
    /// What the configuration says.
    pub settings: ApiSettings,
    /// What `/metrics` answers.
    pub metrics: PrometheusHandle,
}

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) api: Api,
    pub(crate) health: Health,
    pub(crate) quotas: Quotas,
    pub(crate) limiter: Arc<Limiter>,
}

/// All routes, each within its bounds. Must be called within a Tokio runtime.
///
/// ```text
/// every request ─▶ an unread body seen to ─▶ observed ─▶ panics caught ─▶ /v1: address's rate ─▶ access ─▶ key's rate ─▶ in-flight limit, body, deadline ─▶ handler
/// ```
pub fn router(api: Api) -> Router {
    describe_metrics();
    let gate = Arc::new(Gate::new(&api.settings.access));
    let bounds = Arc::new(Bounds::new(&api.settings));
    let limiter = Arc::new(Limiter::new(api.settings.limits.clone()));
    let guarded = Router::new()
        .route("/v1/reviews", post(post_review))
        .route("/v1/reviews/{id}", get(get_review))
        .route("/v1/jobs/{id}", get(get_job).delete(cancel_job))
        // The bounds read the body under their own limit.
        .route_layer(DefaultBodyLimit::disable())
        .route_layer(from_fn_with_state(bounds, keep_bounds))
        .route_layer(from_fn_with_state(limiter.clone(), limit_key))
        .route_layer(from_fn_with_state(gate, require_access))
        .route_layer(from_fn_with_state(limiter.clone(), limit_address));
    let open =
        Router::new().route("/healthz", get(health)).route("/readyz", get(ready)).route("/metrics", get(metrics));
    guarded
        .merge(open)
        .fallback(no_such_route)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(answer_panic))
        .layer(from_fn(observe))
        .layer(from_fn(see_to_unread_body))
        .with_state(Arc::new(Shared { api, health: Health::new(), quotas: Quotas::new(), limiter }))
}

async fn no_such_route() -> Problem {
    Problem::new(ProblemKind::NoSuchRoute, "Nothing is served under this path.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(ProblemKind::MethodNotAllowed, "The header Allow names the methods that this path takes.")
}

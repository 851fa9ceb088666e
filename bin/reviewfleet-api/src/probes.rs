use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};
use ledger::{LedgerError, ReviewId};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{health::READY_TIMEOUT, problem::Problem, router::Shared};

/// `GET /healthz`: the process lives, whatever it depends on.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: a post would be stored and a review found.
pub(crate) async fn ready(State(shared): State<Arc<Shared>>) -> Result<&'static str, Problem> {
    let Shared { api, health, .. } = &*shared;
    // No review has the nil id: the question costs one look into an index.
    let recall = timeout(READY_TIMEOUT, api.ledger.review(ReviewId(Uuid::nil())));
    let (store, ledger) = tokio::join!(health.can_store(api.queue.as_ref()), recall);
    let late = |error| Err(LedgerError::Unavailable { what: "probe", source: Box::new(error) });
    let ledger = health.recalled(ledger.unwrap_or_else(late));
    store.and(ledger.map(|_| "ready\n"))
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], shared.api.metrics.render())
}

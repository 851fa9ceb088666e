use std::{sync::Arc, time::Duration};

use axum::{extract::State, http::header, response::IntoResponse};
use ledger::ReviewId;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    Api,
    problem::{Problem, ProblemKind},
};

/// How long the store and the ledger may take to show that they answer; shorter than the probes' own customary limits.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// `GET /healthz`: the process lives, whatever it depends on.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: a post would be stored and a review found.
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Result<&'static str, Problem> {
    // No review has the nil id: the question costs one look into an index.
    let (store, ledger) = tokio::join!(
        timeout(READY_TIMEOUT, api.queue.stats()),
        timeout(READY_TIMEOUT, api.ledger.review(ReviewId(Uuid::nil()))),
    );
    store.map_err(|_| late(ProblemKind::StoreUnavailable))?.map_err(|e| Problem::store(&e))?;
    ledger.map_err(|_| late(ProblemKind::LedgerUnavailable))?.map_err(|e| Problem::ledger(&e))?;
    Ok("ready\n")
}

fn late(kind: ProblemKind) -> Problem {
    tracing::warn!(?kind, limit = ?READY_TIMEOUT, "not ready");
    Problem::new(kind, format!("There was no answer within {READY_TIMEOUT:?}."))
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(api): State<Arc<Api>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], api.metrics.render())
}

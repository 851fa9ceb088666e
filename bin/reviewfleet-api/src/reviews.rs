use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use ledger::ReviewId;

use crate::{
    id::Id,
    problem::{Problem, ProblemKind},
    router::Shared,
};

/// `GET /v1/reviews/{id}`.
pub(crate) async fn get_review(
    State(shared): State<Arc<Shared>>,
    Id(id): Id<ReviewId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let record = shared.health.recalled(shared.api.ledger.review(id).await)?;
    let review =
        record.ok_or_else(|| Problem::new(ProblemKind::NoSuchReview, format!("There is no review {id}.")))?.review;
    let (media_type, text) = if wants_markdown(&headers) {
        ("text/markdown; charset=utf-8", review.markdown)
    } else {
        ("application/json", review.document)
    };
    Ok(([(header::CONTENT_TYPE, media_type), (header::VARY, "accept")], text).into_response())
}

/// Whether the first media type of `Accept` that is served here is Markdown. Weights are not looked at: callers that
/// want Markdown name it alone or first.
fn wants_markdown(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let media_types = accepted.flat_map(|value| value.split(',')).filter_map(|range| range.split(';').next());
    media_types
        .map(|media_type| media_type.trim().to_ascii_lowercase())
        .find(|media_type| {
            matches!(media_type.as_str(), "text/markdown" | "application/json" | "application/*" | "*/*")
        })
        .is_some_and(|media_type| media_type == "text/markdown")
}

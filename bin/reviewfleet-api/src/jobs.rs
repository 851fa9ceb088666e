use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use fleet::ReviewJob;
use jiff::Timestamp;
use job::{AttemptError, BuryReason, CancelReason, JobId, JobState, StateName};
use serde::Serialize;
use serde_json::json;
use store::JobView;

use crate::{
    id::Id,
    problem::{Problem, ProblemKind},
    router::Shared,
};

/// `GET /v1/jobs/{id}`.
pub(crate) async fn get_job(State(shared): State<Arc<Shared>>, Id(id): Id<JobId>) -> Result<Response, Problem> {
    let Shared { api, health, .. } = &*shared;
    let view = health.asked(api.queue.get(id).await)?.ok_or_else(|| no_such_job(id))?;
    let review = match view.state {
        JobState::Completed { .. } => health.recalled(api.ledger.review_of_job(id).await)?,
        _ => None,
    };
    Ok(Json(JobDocument::new(view, review.map(|r| format!("/v1/reviews/{}", r.review.id)))).into_response())
}

/// `DELETE /v1/jobs/{id}`: a waiting job is cancelled, a running one told to stop.
pub(crate) async fn cancel_job(State(shared): State<Arc<Shared>>, Id(id): Id<JobId>) -> Result<Response, Problem> {
    let state = shared.health.changed(shared.api.queue.cancel(id, CancelReason::Requested).await)?;
    match state.ok_or_else(|| no_such_job(id))?.name() {
        ended @ (StateName::Completed | StateName::Dead) => {
            Err(Problem::new(ProblemKind::AlreadyEnded, format!("The job is {ended} and cannot be cancelled.")))
        }
        state => {
            let answer = json!({ "job_id": id, "state": state, "links": { "job": format!("/v1/jobs/{id}") } });
            Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
        }
    }
}

fn no_such_job(id: JobId) -> Problem {
    Problem::new(ProblemKind::NoSuchJob, format!("There is no job {id}, or it ended so long ago that it is forgotten."))
}

/// A job as its caller sees it: not the worker that runs it, nor how the queue orders it.
#[derive(Serialize)]
struct JobDocument {
    job_id: JobId,
    state: StateName,
    /// Whether a running job has been told to stop.
    cancel_requested: bool,
    /// The attempt that runs or comes next, from 1.
    attempt: u32,
    max_attempts: u32,
    created_at: Timestamp,
    /// When its last attempt started.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(flatten)]
    times: Times,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    review: Option<ReviewOf>,
    errors: Vec<AttemptError>,
    links: Links,
}

/// Times and reasons that only the job's present state has.
#[derive(Default, Serialize)]
struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_because: Option<BuryReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_because: Option<CancelReason>,
}

/// What the job reviews.
#[derive(Serialize)]
struct ReviewOf {
    repository: String,
    head: String,
    base: Option<String>,
    user: String,
    tier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull_request: Option<u32>,
}

#[derive(Serialize)]
struct Links {
    #[serde(rename = "self")]
    this: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<String>,
}

impl JobDocument {
    fn new(view: JobView, review: Option<String>) -> Self {
        let JobView { job, state, started_at, errors, checkpoints: _ } = view;
        let cancel_requested = matches!(state, JobState::Leased { cancel_requested: Some(_), .. });
        Self {
            job_id: job.id,
            state: state.name(),
            cancel_requested,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            created_at: job.created_at,
            started_at,
            times: Times::of(&state),
            // A job of another kind is shown without what only a review has.
            review: job.payload.to::<ReviewJob>().ok().map(ReviewOf::from),
            errors,
            links: Links { this: format!("/v1/jobs/{}", job.id), review },
        }
    }
}

impl Times {
    fn of(state: &JobState) -> Self {
        match *state {
            JobState::Scheduled { run_at } => Self { run_at: Some(run_at), ..Self::default() },
            JobState::Ready { since } => Self { ready_since: Some(since), ..Self::default() },
            JobState::Parked | JobState::Leased { .. } => Self::default(),
            JobState::Completed { at } => Self { ended_at: Some(at), ..Self::default() },
            JobState::Cancelled { at, reason } => {
                Self { ended_at: Some(at), cancelled_because: Some(reason), ..Self::default() }
            }
            JobState::Dead { at, reason } => Self { ended_at: Some(at), dead_because: Some(reason), ..Self::default() },
        }
    }
}

impl From<ReviewJob> for ReviewOf {
    fn from(ReviewJob { change, user, tier, pull_request }: ReviewJob) -> Self {
        Self {
            repository: change.repository.into(),
            head: change.head.into(),
            base: change.base.map(String::from),
            user,
            tier,
            pull_request,
        }
    }
}

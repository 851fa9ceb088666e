use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use fleet::{Intake, IntakeError, PULL_REQUEST_ALLOWED, Push, Refusal, USER_ALLOWED};
use jiff::Timestamp;
use job::JobId;
use limits::Scope;
use review::{Change, CommitId, RepositoryName};
use serde_json::json;
use store::{Enqueued, NewJob, Rejection};

use crate::{
    fields::Fields,
    limit,
    problem::{Problem, ProblemKind, shown},
    quota::{Quota, settle_unit},
    router::Shared,
    trace_parent::trace_parent,
};

const FIELDS: [&str; 7] = ["repository", "head", "base", "user", "tier", "pull_request", "pushed_at"];

/// The rule for a time, in words.
const TIME_ALLOWED: &str = "a time of RFC 3339, such as 2026-11-25T13:58:06Z";

/// `POST /v1/reviews`: answers once the job is durable.
pub(crate) async fn post_review(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    require_json(&headers)?;
    let (job, user, quota) = read_job(&body, &shared.api.settings.intake, trace_parent(&headers))?;
    limit::take(&shared.limiter, Scope::User, &user).await?;
    if let Some(quota) = &quota
        && let Some(same) = shared.quotas.take(&shared, &job, quota).await?
    {
        return Ok(accepted(same, true, false));
    }
    let answer = shared.api.queue.enqueue(std::slice::from_ref(&job)).await;
    if quota.is_some() {
        settle_unit(&shared, job.id, &answer).await;
    }
    let answers = shared.health.posted(answer)?;
    let (id, duplicate, superseded) = match answers.into_iter().next() {
        Some(Enqueued::Inserted) => (job.id, false, false),
        Some(Enqueued::Duplicate(same)) => (same, true, false),
        Some(Enqueued::Superseded(newer)) => (newer, false, true),
        Some(Enqueued::Rejected(Rejection::Throttled { retry_in })) => return Err(throttled(retry_in)),
        // The caller chooses none of what a store rejects a job for, so that this is the configuration's fault.
        Some(Enqueued::Rejected(rejection)) => return Err(Problem::internal(&rejection)),
        None => return Err(Problem::internal(&Unanswered)),
    };
    Ok(accepted(id, duplicate, superseded))
}

fn accepted(id: JobId, duplicate: bool, superseded: bool) -> Response {
    let link = format!("/v1/jobs/{id}");
    let answer = json!({ "job_id": id, "duplicate": duplicate, "superseded": superseded, "links": { "job": link } });
    (StatusCode::ACCEPTED, [(header::LOCATION, link)], Json(answer)).into_response()
}

fn throttled(retry_in: Duration) -> Problem {
    let secs = limit::whole_secs(retry_in);
    let detail = format!("The user has had all starts of this period. Repeat the request in {secs} s.");
    Problem::new(ProblemKind::Throttled(secs), detail)
}

#[derive(Debug, thiserror::Error)]
#[error("the store took a job and did not say what became of it")]
struct Unanswered;

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::UnsupportedMediaType, "The body must have the content type application/json."))
}

/// The job that is posted, its user, and the quota that it falls under.
fn read_job(
    body: &[u8],
    intake: &Intake,
    trace_parent: Option<String>,
) -> Result<(NewJob, String, Option<Quota>), Problem> {
    let mut fields = Fields::parse(body, &FIELDS)?;
    let repository = read_repository(&fields.required("repository")?)?;
    let head = read_commit("head", &fields.required("head")?)?;
    let base = fields.optional("base")?.map(|text| read_commit("base", &text)).transpose()?;
    let user = fields.required("user")?;
    let tier = fields.optional("tier")?;
    let push = read_push(&mut fields)?;
    let (tier, change) = (tier.as_deref(), Change { repository, head, base });
    let job = intake.job(change, user.clone(), tier, push, trace_parent).map_err(refused)?;
    let quota = intake.quota(tier).map(|(tier, daily)| Quota { user: user.clone(), tier: tier.to_string(), daily });
    Ok((job, user, quota))
}

/// A pull request's number alone would not say which of its heads is the newest, and a time not of what.
fn read_push(fields: &mut Fields) -> Result<Option<Push>, Problem> {
    let pull_request = fields.number("pull_request", PULL_REQUEST_ALLOWED)?;
    let at = fields.optional("pushed_at")?.map(|text| read_time("pushed_at", &text)).transpose()?;
    let alone = |field: &str, other: &str, allowed: &str| {
        let detail = format!("The field {field:?} is missing, which {other:?} is of no use without.");
        Problem::field(ProblemKind::MissingField, field, None, detail, format!("{allowed}, or neither of the two"))
    };
    match (pull_request, at) {
        (Some(pull_request), Some(at)) => Ok(Some(Push { pull_request, at })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(alone("pushed_at", "pull_request", TIME_ALLOWED)),
        (None, Some(_)) => Err(alone("pull_request", "pushed_at", PULL_REQUEST_ALLOWED)),
    }
}

fn read_time(field: &'static str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|_| Problem::invalid(field, text, TIME_ALLOWED))
}

fn read_repository(text: &str) -> Result<RepositoryName, Problem> {
    text.parse().map_err(|_| {
        let allowed = "owner/name, each of 1 to 100 characters a-z, A-Z, 0-9, '.', '_' and '-'";
        Problem::invalid("repository", text, allowed)
    })
}

fn read_commit(field: &'static str, text: &str) -> Result<CommitId, Problem> {
    text.parse().map_err(|_| Problem::invalid(field, text, "a commit's whole SHA: 40 or 64 hexadecimal digits"))
}

fn refused(error: IntakeError) -> Problem {
    match error {
        IntakeError::Refused(Refusal::User(user)) => Problem::invalid("user", &user, USER_ALLOWED),
        IntakeError::Refused(Refusal::Tier { tier, allowed }) => Problem::invalid("tier", &tier, allowed),
        IntakeError::Refused(Refusal::PullRequest(number)) => {
            Problem::invalid("pull_request", &number.to_string(), PULL_REQUEST_ALLOWED)
        }
        IntakeError::Refused(Refusal::Repository { repository, allowed }) => {
            let repository = repository.as_str();
            let detail = format!("There is no repository {:?} here.", shown(repository));
            Problem::field(ProblemKind::UnknownRepository, "repository", Some(repository), detail, allowed)
        }
        fault @ (IntakeError::Text(_) | IntakeError::Payload(_)) => Problem::internal(&fault),
    }
}

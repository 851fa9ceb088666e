use std::sync::Arc;

use async_trait::async_trait;
use fleet::ReviewJob;
use job::{Job, JobId, Outcome};
use ledger::{Ledger, LedgerError, NewReview, ReviewId, ReviewStatus, Usage};
use review::{Checkpoints, Note, Review, ReviewError, ReviewedBy, Reviewer, WithoutModel};
use uuid::Uuid;
use worker::{Context, Handler};

/// Makes reviews of jobs: runs the pipeline and records what it comes to, once per job.
pub struct ReviewHandler {
    reviewer: Arc<Reviewer>,
    ledger: Arc<dyn Ledger>,
}

impl ReviewHandler {
    /// A handler that reviews with this pipeline and records in this ledger.
    pub fn new(reviewer: Arc<Reviewer>, ledger: Arc<dyn Ledger>) -> Self {
        Self { reviewer, ledger }
    }

    async fn review(&self, job: &Job, context: &Context) -> Result<(), Fault> {
        // An attempt that died between record and settlement has left nothing to do.
        if self.ledger.review_of_job(job.id).await?.is_some() {
            return Ok(());
        }
        let task: ReviewJob = job.payload.to().map_err(Fault::Payload)?;
        let review = self.reviewer.review(&task.change, &JobCheckpoints(context)).await?;
        let document = serde_json::to_string(&review).map_err(Fault::Document)?;
        self.ledger.record(&record(job.id, task.user, task.pull_request, &review, document)).await?;
        tracing::info!(
            findings = review.findings.len(),
            took_ms = u64::try_from(review.took().as_millis()).unwrap_or(u64::MAX),
            cost_micros = review.cost.0,
            "review recorded"
        );
        Ok(())
    }
}

#[async_trait]
impl Handler for ReviewHandler {
    async fn run(&self, job: &Job, context: &Context) -> Outcome {
        // Dropping the pipeline drops its connections, so that a model's answer that nobody will read is not paid for.
        let ended = tokio::select! {
            ended = self.review(job, context) => ended,
            () = context.cancellation().cancelled() => return Outcome::Released,
        };
        match ended {
            Ok(()) => Outcome::Completed,
            Err(fault) => fault.outcome(),
        }
    }
}

fn record(job: JobId, user: String, pull_request: Option<u32>, review: &Review, document: String) -> NewReview {
    NewReview {
        id: ReviewId(Uuid::now_v7()),
        job,
        user,
        repository: review.pull_request.repository.to_string(),
        base: review.pull_request.base.as_ref().map(ToString::to_string),
        head: review.pull_request.head.to_string(),
        title: review.pull_request.title.clone(),
        model: review.reviewer.to_string(),
        findings: u32::try_from(review.findings.len()).unwrap_or(u32::MAX),
        usage: Usage {
            input_tokens: review.usage.input,
            cached_tokens: review.usage.cached,
            output_tokens: review.usage.output,
            cost_micros: review.cost.0,
        },
        duration_ms: u64::try_from(review.took().as_millis()).unwrap_or(u64::MAX),
        document,
        markdown: review::markdown(review),
        pull_request,
        status: Some(status(review)),
    }
}

/// What a list of reviews tells apart. Files that are skipped by rule, as generated ones, take nothing away.
fn status(review: &Review) -> ReviewStatus {
    match (&review.without_model, &review.reviewer) {
        (Some(WithoutModel::NothingToRead), _) => return ReviewStatus::Complete,
        (Some(_), _) | (_, ReviewedBy::Rules) => return ReviewStatus::WithoutModel,
        (None, ReviewedBy::Model { .. }) => {}
    }
    let mut status = ReviewStatus::Complete;
    for note in &review.notes {
        match note {
            Note::LeftOut { .. } | Note::CutOff => return ReviewStatus::Partial,
            Note::NoContext { .. } | Note::ModelFailed { .. } | Note::OverBudget { .. } | Note::BaseCutOff => {
                status = ReviewStatus::Degraded;
            }
            Note::NoModel | Note::NothingToRead | Note::Redacted { .. } | Note::Dropped { .. } => {}
        }
    }
    status
}

/// Why an attempt ended without a review.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the job's payload is no review job")]
    Payload(#[source] serde_json::Error),
    #[error("the review cannot be written as JSON")]
    Document(#[source] serde_json::Error),
    #[error("the review cannot be recorded")]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Review(#[from] ReviewError),
}

impl Fault {
    /// What the fault means to the queue.
    fn outcome(&self) -> Outcome {
        let error = chain(self);
        let permanent = match self {
            Self::Payload(_) | Self::Document(_) => true,
            Self::Ledger(_) => false,
            Self::Review(e) => e.is_permanent(),
        };
        if permanent {
            return Outcome::Permanent { error };
        }
        let retry_after = if let Self::Review(e) = self { e.retry_after() } else { None };
        Outcome::Transient { error, retry_after }
    }
}

/// An error and its sources as one text, for the job's record.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The job's checkpoints as the pipeline sees them.
struct JobCheckpoints<'a>(&'a Context);

#[async_trait]
impl Checkpoints for JobCheckpoints<'_> {
    fn get(&self, step: &str) -> Option<Vec<u8>> {
        self.0.checkpoint(step)
    }

    async fn put(&self, step: &str, value: Vec<u8>) -> Result<(), String> {
        self.0.keep_checkpoint(step, value).await.map_err(|e| chain(&e))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The status of a review by a model with these notes, but for what `changes`.
    fn status_of(notes: &[Note], changes: &[(&str, Value)]) -> ReviewStatus {
        let sha = "a".repeat(40);
        let mut review = json!({
            "pull_request": {
                "repository": "acme/widgets", "head": sha, "base": null, "title": "", "body": "", "author": "ann",
            },
            "reviewer": { "by": "model", "name": "fast", "version": null },
            "summary": "Fine.",
            "size": { "files": 1, "changed_lines": 1, "complexity": "simple" },
            "findings": [], "skipped": [], "notes": notes, "context": [], "stages": [],
            "usage": { "input": 1, "cached": 0, "output": 1 }, "cost": 1,
        });
        for (member, value) in changes {
            review[*member] = value.clone();
        }
        status(&serde_json::from_value(review).unwrap())
    }

    #[test]
    fn a_status_is_the_worst_of_what_a_reader_must_know() {
        let failed = Note::ModelFailed { model: "strong".into(), reason: "503".into() };
        let left_out = Note::LeftOut { parts: vec!["a.rs".into()] };
        assert_eq!(status_of(&[], &[]), ReviewStatus::Complete);
        assert_eq!(status_of(&[Note::Redacted { count: 1 }], &[]), ReviewStatus::Complete);
        assert_eq!(status_of(std::slice::from_ref(&failed), &[]), ReviewStatus::Degraded);
        assert_eq!(status_of(&[Note::NoContext { reason: "away".into() }], &[]), ReviewStatus::Degraded);
        assert_eq!(status_of(&[left_out.clone(), failed.clone()], &[]), ReviewStatus::Partial);
        assert_eq!(status_of(&[failed, Note::CutOff], &[]), ReviewStatus::Partial);
        let rules = ("reviewer", json!({ "by": "rules" }));
        assert_eq!(status_of(&[left_out], std::slice::from_ref(&rules)), ReviewStatus::WithoutModel);
        let empty = ("without_model", serde_json::to_value(WithoutModel::NothingToRead).unwrap());
        assert_eq!(status_of(&[Note::NothingToRead], &[rules, empty]), ReviewStatus::Complete);
    }
}

use std::sync::Arc;

use async_trait::async_trait;
use fleet::ReviewJob;
use job::{Job, JobId, Outcome};
use ledger::{Ledger, LedgerError, NewReview, ReviewId, Usage};
use review::{Checkpoints, Review, ReviewError, Reviewer};
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
        self.ledger.record(&record(job.id, task.user, &review, document)).await?;
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

fn record(job: JobId, user: String, review: &Review, document: String) -> NewReview {
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
    }
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

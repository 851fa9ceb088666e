//! One pull request from its facts to its review. Each stage is a function from one typed value to the next:
//!
//! ```text
//! fetch → parse → triage → rules → retrieve → compose → generate → verify
//! ```

mod generate;
mod retrieve;
mod stages;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use crate::{
    Change, ChangeSize, Checkpoints, ContextSource, ContextUse, DraftFinding, Forge, Micros, Note, Prompt,
    PromptBudget, PromptInput, PullRequest, Review, ReviewError, Severity, Snippet, Stage, Triage, TriageSettings,
    Verified, VerifySettings, compose, diff::Diff, metric, model::Router, redact, review_by_rules, triage, verify,
};

use generate::Generated;
use stages::Stages;

/// How reviews are made.
#[derive(Debug, Clone)]
pub struct ReviewerSettings {
    /// What is read, and how hard it is.
    pub triage: TriageSettings,
    /// What is shown.
    pub verify: VerifySettings,
    /// How long a prompt and its answer may be.
    pub prompt: PromptBudget,
    /// Most pieces of related code.
    pub snippets_max: usize,
    /// The most that the model calls of one review may cost.
    pub cost_max: Micros,
    /// What happens when every model has failed.
    pub on_model_failure: OnModelFailure,
}

/// What happens when every model that could be asked has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnModelFailure {
    /// The rule reviewer's findings are the review, and it says so.
    Rules,
    /// The review fails, to be tried again.
    Fail,
}

/// Makes reviews.
pub struct Reviewer {
    forge: Arc<dyn Forge>,
    context: Arc<dyn ContextSource>,
    models: Router,
    settings: ReviewerSettings,
}

/// What the forge gave.
struct Fetched {
    pull_request: PullRequest,
    raw: Bytes,
}

/// What the stages have made of a change so far.
struct Parts {
    pull_request: PullRequest,
    diff: Diff,
    triage: Triage,
    drafts: Vec<DraftFinding>,
    snippets: Vec<Snippet>,
    generated: Generated,
}

impl Reviewer {
    /// A reviewer over a forge, an index and the models to ask. Its metrics are described to the recorder that is there by
    /// now.
    pub fn new(
        forge: Arc<dyn Forge>,
        context: Arc<dyn ContextSource>,
        models: Router,
        settings: ReviewerSettings,
    ) -> Self {
        metric::describe();
        Self { forge, context, models, settings }
    }

    /// Reviews a change. What is paid for is kept as a checkpoint, so that a retry does not pay again. Dropping the future
    /// drops every connection.
    pub async fn review(&self, change: &Change, checkpoints: &dyn Checkpoints) -> Result<Review, ReviewError> {
        let mut stages = Stages::default();
        let fetched = stages.timed(Stage::Fetch, self.fetch(change)).await?;
        let diff = stages.time(Stage::Parse, || Diff::parse(fetched.raw))?;
        let triage = stages.time(Stage::Triage, || triage(&diff, &self.settings.triage));
        let drafts = stages.time(Stage::Rules, || review_by_rules(&diff, &triage.reviewed));
        let pull_request = fetched.pull_request;
        let mut parts =
            Parts { pull_request, diff, triage, drafts, snippets: vec![], generated: Generated::no_model() };
        if parts.triage.reviewed.is_empty() {
            parts.generated = Generated::nothing_to_read();
            return Ok(self.conclude(parts, stages));
        }
        let mut notes = Vec::new();
        parts.snippets =
            stages.timed(Stage::Retrieve, self.retrieve(&parts.pull_request, &parts.diff, &mut notes)).await;
        if !self.models.for_complexity(parts.triage.complexity).is_empty() {
            let prompt = stages.time(Stage::Compose, || self.compose(&parts));
            let begun = Instant::now();
            parts.generated = self.generate(&prompt, parts.triage.complexity, checkpoints).await?;
            stages.add(Stage::Generate, begun.elapsed(), parts.generated.cost);
        }
        parts.generated = parts.generated.with_notes_before(notes);
        Ok(self.conclude(parts, stages))
    }

    async fn fetch(&self, change: &Change) -> Result<Fetched, ReviewError> {
        let pull_request = self.forge.pull_request(change).await?;
        let raw = self.forge.diff(&pull_request).await?;
        Ok(Fetched { pull_request, raw })
    }

    fn compose(&self, parts: &Parts) -> Prompt {
        let input = PromptInput {
            pull_request: &parts.pull_request,
            diff: &parts.diff,
            reviewed: &parts.triage.reviewed,
            snippets: &parts.snippets,
        };
        compose(&input, &self.settings.prompt)
    }

    /// Checks what rules and models have drafted, and makes the review of it.
    fn conclude(&self, parts: Parts, mut stages: Stages) -> Review {
        let Parts { pull_request, diff, triage, mut drafts, snippets, generated } = parts;
        let pull_request = without_secrets(pull_request);
        drafts.extend(generated.findings);
        let Verified { findings, dropped } =
            stages.time(Stage::Verify, || verify(&diff, drafts, &self.settings.verify));
        let mut notes = Vec::new();
        notes.extend(pull_request.base_is_cut_off.then_some(Note::BaseCutOff));
        notes.extend(generated.notes);
        notes.extend(Note::of_dropped(&dropped));
        let Triage { skipped, complexity, changed_lines, files, .. } = triage;
        let mut review = Review {
            pull_request,
            reviewer: generated.reviewer,
            without_model: generated.without_model,
            summary: generated.summary,
            size: ChangeSize { files, changed_lines, complexity },
            findings,
            skipped,
            notes,
            context: snippets.into_iter().map(ContextUse::from).collect(),
            stages: stages.reports(),
            usage: generated.usage,
            cost: generated.cost,
        };
        if review.summary.is_empty() {
            review.summary = counted(&review);
        }
        review
    }
}

/// A review is kept and shown to others than the change's author, and a title can hold what a diff can.
fn without_secrets(pull_request: PullRequest) -> PullRequest {
    PullRequest {
        title: redact(&pull_request.title).text.into_owned(),
        body: redact(&pull_request.body).text.into_owned(),
        ..pull_request
    }
}

/// The summary of a review whose author gave none.
fn counted(review: &Review) -> String {
    let counts: Vec<String> = Severity::ALL
        .into_iter()
        .rev()
        .map(|severity| (severity, review.count(severity)))
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| format!("{count} {severity}"))
        .collect();
    let counts = counts.join(", ");
    match &review.without_model {
        None if counts.is_empty() => "No findings.".to_owned(),
        None => format!("Findings: {counts}."),
        // The rules know little: that they have found nothing must not be read as a change without faults.
        Some(why) => {
            let found = if counts.is_empty() { "nothing" } else { &counts };
            format!("No language model has read this change: {why}. The built-in rules alone have found {found}.")
        }
    }
}

#[cfg(test)]
mod tests;

use metrics::counter;

use super::{OnModelFailure, Reviewer};
use crate::{
    Checkpoints, Complexity, DraftFinding, Micros, ModelAnswer, ModelError, ModelFailure, Note, Prompt, ReviewError,
    ReviewedBy, SilentModel, TokenUsage, WithoutModel, metric, model::PricedModel, parse_answer,
};

/// Under this name the model's answer is kept for later attempts.
const ANSWER_STEP: &str = "answer";

/// What the models, if any, have said.
#[derive(Debug)]
pub struct Generated {
    pub reviewer: ReviewedBy,
    pub without_model: Option<WithoutModel>,
    pub summary: String,
    pub findings: Vec<DraftFinding>,
    pub notes: Vec<Note>,
    pub usage: TokenUsage,
    pub cost: Micros,
}

/// An answer that was paid for, as it is kept for later attempts of the job.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Paid {
    model: String,
    answer: ModelAnswer,
    /// Notes, tokens and money of the calls before it, which failed.
    notes: Vec<Note>,
    usage: TokenUsage,
    cost: Micros,
}

impl Generated {
    pub fn nothing_to_read() -> Self {
        Self::by_rules(WithoutModel::NothingToRead, vec![Note::NothingToRead])
    }

    pub fn no_model() -> Self {
        Self::by_rules(WithoutModel::NotConfigured, vec![Note::NoModel])
    }

    fn by_rules(why: WithoutModel, notes: Vec<Note>) -> Self {
        Self {
            reviewer: ReviewedBy::Rules,
            without_model: Some(why),
            summary: String::new(),
            findings: Vec::new(),
            notes,
            usage: TokenUsage::default(),
            cost: Micros(0),
        }
    }

    pub fn with_notes_before(mut self, mut notes: Vec<Note>) -> Self {
        notes.append(&mut self.notes);
        self.notes = notes;
        self
    }
}

impl Reviewer {
    /// Asks the models of a change in their order until one gives a usable answer. Without one, the rules stand alone or
    /// the review fails, as the settings say.
    pub(super) async fn generate(
        &self,
        prompt: &Prompt,
        complexity: Complexity,
        checkpoints: &dyn Checkpoints,
    ) -> Result<Generated, ReviewError> {
        let generated = match kept(checkpoints).and_then(|paid| read(&paid).ok()) {
            Some(generated) => generated,
            None => self.ask_in_turn(prompt, complexity, checkpoints).await?,
        };
        Ok(generated.with_notes_before(notes_of(prompt)))
    }

    async fn ask_in_turn(
        &self,
        prompt: &Prompt,
        complexity: Complexity,
        checkpoints: &dyn Checkpoints,
    ) -> Result<Generated, ReviewError> {
        let mut failed = Generated::by_rules(WithoutModel::NotConfigured, Vec::new());
        let mut silent = Vec::new();
        let mut last = None;
        for model in self.models.for_complexity(complexity) {
            if let Some(note) = self.over_budget(model, prompt, failed.cost) {
                failed.notes.push(note);
                silent.push(SilentModel { model: model.name().to_owned(), failure: ModelFailure::OverBudget });
                continue;
            }
            let error = match self.ask(model, prompt, &failed, checkpoints).await? {
                Ok(generated) => return Ok(generated),
                Err(error) => error,
            };
            tracing::warn!(model = model.name(), error = %error, "a model gave no usable answer");
            failed.usage = failed.usage + error.usage;
            failed.cost = failed.cost + model.prices().cost(&error.usage);
            silent.push(SilentModel { model: model.name().to_owned(), failure: ModelFailure::from(&error.kind) });
            failed.notes.push(Note::ModelFailed { model: model.name().to_owned(), reason: error.kind.to_string() });
            last = Some(error);
        }
        match (last, self.settings.on_model_failure) {
            (Some(error), OnModelFailure::Fail) => Err(error.into()),
            _ => Ok(Generated { without_model: Some(WithoutModel::Unanswered { models: silent }), ..failed }),
        }
    }

    fn over_budget(&self, model: &PricedModel, prompt: &Prompt, spent: Micros) -> Option<Note> {
        let could_cost = spent + model.prices().cost_max(prompt.tokens, prompt.request.output_tokens_max);
        let cost_max = self.settings.cost_max;
        (could_cost > cost_max).then(|| Note::OverBudget { model: model.name().to_owned(), could_cost, cost_max })
    }

    /// One model's answer, kept before it is read: whatever comes after, it is not paid for again. The outer error ends
    /// the review, the inner one passes on to the next model.
    async fn ask(
        &self,
        model: &PricedModel,
        prompt: &Prompt,
        failed: &Generated,
        checkpoints: &dyn Checkpoints,
    ) -> Result<Result<Generated, ModelError>, ReviewError> {
        let answer = match model.generate(&prompt.request).await {
            Ok(answer) => answer,
            Err(error) => {
                count(model, "failed", &error.usage);
                return Ok(Err(error));
            }
        };
        let paid = Paid {
            model: model.name().to_owned(),
            notes: failed.notes.clone(),
            usage: failed.usage + answer.usage,
            cost: failed.cost + model.prices().cost(&answer.usage),
            answer,
        };
        let generated = match read(&paid) {
            Ok(generated) => generated,
            Err(error) => {
                count(model, "unusable", &paid.answer.usage);
                return Ok(Err(error));
            }
        };
        count(model, "answered", &paid.answer.usage);
        let kept = serde_json::to_vec(&paid).map_err(|e| ReviewError::Checkpoint(e.to_string()))?;
        checkpoints.put(ANSWER_STEP, kept).await.map_err(ReviewError::Checkpoint)?;
        Ok(Ok(generated))
    }
}

/// Counts a call, its tokens and its price, whatever becomes of the review: the provider charges for failed attempts too.
/// The labels are models of the configuration and the few names here.
fn count(model: &PricedModel, outcome: &'static str, usage: &TokenUsage) {
    let name = || model.name().to_owned();
    counter!(metric::MODEL_CALLS, "model" => name(), "outcome" => outcome).increment(1);
    for (direction, tokens) in [("input", usage.input), ("cached", usage.cached), ("output", usage.output)] {
        counter!(metric::MODEL_TOKENS, "model" => name(), "direction" => direction).increment(tokens);
    }
    let cost_micros = model.prices().cost(usage).0;
    counter!(metric::MODEL_COST, "model" => name()).increment(cost_micros);
}

/// The answer of an earlier attempt. One that cannot be read, of an older program say, is asked for anew.
fn kept(checkpoints: &dyn Checkpoints) -> Option<Paid> {
    serde_json::from_slice(&checkpoints.get(ANSWER_STEP)?).ok()
}

fn read(paid: &Paid) -> Result<Generated, ModelError> {
    let answer = parse_answer(&paid.answer.text, &paid.answer.finish, &paid.model).map_err(|error| ModelError {
        model: paid.model.clone(),
        kind: error.into(),
        usage: paid.answer.usage,
    })?;
    let mut notes = paid.notes.clone();
    if answer.cut_off {
        notes.push(Note::CutOff);
    }
    Ok(Generated {
        reviewer: ReviewedBy::Model { name: paid.model.clone(), version: paid.answer.model_version.clone() },
        without_model: None,
        summary: answer.summary,
        findings: answer.findings,
        notes,
        usage: paid.usage,
        cost: paid.cost,
    })
}

/// What the prompt leaves out and blacks out.
fn notes_of(prompt: &Prompt) -> Vec<Note> {
    let left_out = (!prompt.omitted.is_empty())
        .then(|| Note::LeftOut { parts: prompt.omitted.iter().map(ToString::to_string).collect() });
    let redacted = (prompt.redacted > 0).then_some(Note::Redacted { count: prompt.redacted });
    left_out.into_iter().chain(redacted).collect()
}

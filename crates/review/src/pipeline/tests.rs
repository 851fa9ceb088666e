use std::{collections::VecDeque, sync::Mutex};

use async_trait::async_trait;

use super::*;
use crate::{
    CommitId, ContextError, ContextQuery, Finish, ForgeError, LanguageModel, Limits, ModelAnswer, ModelError,
    ModelErrorKind, ModelRequest, NoCheckpoints, PathGlobs, RepositoryName, TokenUsage, TreeFile, WithoutModel,
    diff::RepoPath,
    markdown,
    model::{BreakerSettings, ModelPrices, PricedModel, Routes},
};

const CLEAN: &str =
    "diff --git a/src/a.rs b/src/a.rs\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1 +1 @@\n-let a = 1;\n+let a = 2;\n";

/// A change in which the rules find one thing.
const LEFTOVER: &str =
    "diff --git a/src/a.js b/src/a.js\n--- a/src/a.js\n+++ b/src/a.js\n@@ -1 +1,2 @@\n let a = 1;\n+debugger;\n";

/// A forge with one change.
struct OneChange(&'static str);

fn commit() -> CommitId {
    "0123456789abcdef0123456789abcdef01234567".parse().unwrap()
}

fn change() -> Change {
    Change { repository: "acme/widgets".parse().unwrap(), head: commit(), base: None }
}

#[async_trait]
impl Forge for OneChange {
    async fn pull_request(&self, change: &Change) -> Result<PullRequest, ForgeError> {
        Ok(PullRequest {
            repository: change.repository.clone(),
            head: commit(),
            base: None,
            base_is_cut_off: false,
            title: "Turn faster".to_owned(),
            body: String::new(),
            author: "ann".to_owned(),
        })
    }

    async fn diff(&self, _: &PullRequest) -> Result<Bytes, ForgeError> {
        Ok(Bytes::from_static(self.0.as_bytes()))
    }

    async fn file(&self, _: &RepositoryName, _: &CommitId, _: &RepoPath) -> Result<Option<Bytes>, ForgeError> {
        Ok(None)
    }

    async fn tree(&self, _: &RepositoryName, _: &CommitId) -> Result<Vec<TreeFile>, ForgeError> {
        Ok(Vec::new())
    }
}

struct NoContext;

#[async_trait]
impl ContextSource for NoContext {
    async fn prepare(&self, _: &RepositoryName, _: &CommitId) -> Result<(), ContextError> {
        Ok(())
    }

    async fn search(&self, _: &RepositoryName, _: &ContextQuery, _: usize) -> Result<Vec<Snippet>, ContextError> {
        Ok(Vec::new())
    }
}

/// A model that answers as it is told, one call after another.
struct Told {
    name: &'static str,
    answers: Mutex<VecDeque<Result<String, ModelErrorKind>>>,
}

#[async_trait]
impl LanguageModel for Told {
    fn name(&self) -> &str {
        self.name
    }

    async fn generate(&self, _: &ModelRequest) -> Result<ModelAnswer, ModelError> {
        let usage = TokenUsage::default();
        match self.answers.lock().unwrap().pop_front().unwrap() {
            Ok(text) => Ok(ModelAnswer { text, finish: Finish::Stop, usage, model_version: None }),
            Err(kind) => Err(ModelError { model: self.name.to_owned(), kind, usage }),
        }
    }
}

/// A review of a diff, with models that each answer once.
async fn review_of(
    diff: &'static str,
    models: Vec<(&'static str, Result<&str, ModelErrorKind>)>,
    million_tokens_cost: Micros,
) -> Review {
    let prices = ModelPrices {
        input_per_million: million_tokens_cost,
        cached_per_million: million_tokens_cost,
        output_per_million: million_tokens_cost,
        long_prompt: None,
    };
    let names: Vec<String> = models.iter().map(|(name, _)| (*name).to_owned()).collect();
    let routes = Routes { simple: names.clone(), medium: names.clone(), complex: names };
    let models = models.into_iter().map(|(name, answer)| {
        let told = Told { name, answers: Mutex::new([answer.map(str::to_owned)].into()) };
        PricedModel::new(Arc::new(told), prices)
    });
    let ways = Router::new(models.collect(), &routes, BreakerSettings::default()).unwrap();
    let limits = Limits { below_lines: 100, max_files: 2 };
    let settings = ReviewerSettings {
        triage: TriageSettings { skip: PathGlobs::new(Vec::new()).unwrap(), simple: limits, medium: limits },
        verify: VerifySettings { severity_floor: Severity::Note, findings_max: 20 },
        prompt: PromptBudget::new(30_000, 1_000).unwrap(),
        snippets_max: 0,
        cost_max: Micros(100_000),
        on_model_failure: OnModelFailure::Rules,
    };
    let reviewer = Reviewer::new(Arc::new(OneChange(diff)), Arc::new(NoContext), ways, settings);
    reviewer.review(&change(), &NoCheckpoints).await.unwrap()
}

const CHEAP: Micros = Micros(1_000);

#[tokio::test]
async fn a_review_whose_models_failed_says_so_in_its_summary_its_data_and_its_text() {
    let secret = "https://internal.example/?key=sk-secret";
    let failures = [
        (
            ModelErrorKind::Unavailable(secret.to_owned()),
            "unavailable",
            "could not be reached or did not answer in time",
        ),
        (ModelErrorKind::RateLimited { retry_after: None, sticky: true }, "rate_limited", "was over its rate limit"),
        (ModelErrorKind::Refused(secret.to_owned()), "refused", "refused the request"),
        (ModelErrorKind::Unauthorized, "unauthorized", "refused the credentials"),
        (ModelErrorKind::Unreadable(secret.to_owned()), "unreadable", "gave an answer that cannot be read"),
        (ModelErrorKind::Blocked(secret.to_owned()), "withheld", "withheld its answer"),
    ];
    for (failure, kind, words) in failures {
        let models = vec![("fast", Err(failure)), ("strong", Ok("I see no reason to answer in JSON."))];
        let review = review_of(CLEAN, models, CHEAP).await;
        assert_eq!(
            review.summary,
            format!(
                "No language model has read this change: fast {words}; strong gave an answer that cannot be read. The \
                 built-in rules alone have found nothing."
            )
        );
        let data = serde_json::to_value(&review).unwrap();
        let models = serde_json::json!([
            { "model": "fast", "failure": kind },
            { "model": "strong", "failure": "unreadable" },
        ]);
        assert_eq!(data["without_model"], serde_json::json!({ "because": "unanswered", "models": models }));
        let text = markdown(&review);
        assert!(text.contains(&format!("**No language model has read it:** fast {words}; strong gave")), "{text}");
        assert!(text.contains("The built-in rules have found nothing.") && !text.contains("No findings."), "{text}");
        assert!(!review.summary.contains("secret") && !data["without_model"].to_string().contains("secret"));
    }
}

#[tokio::test]
async fn a_model_that_would_cost_too_much_is_told_as_one_that_has_not_read_the_change() {
    let review = review_of(CLEAN, vec![("fast", Ok("[]"))], Micros(1_000_000_000)).await;
    let words = "fast was not asked, since it could have cost more than a review may";
    assert!(review.summary.contains(words), "{}", review.summary);
}

#[tokio::test]
async fn a_review_without_a_model_says_why_and_what_the_rules_found() {
    let alone = review_of(CLEAN, Vec::new(), CHEAP).await;
    assert_eq!(alone.without_model, Some(WithoutModel::NotConfigured));
    assert!(alone.summary.starts_with("No language model has read this change: none is configured for it."));
    let empty = review_of("", vec![("fast", Ok("[]"))], CHEAP).await;
    assert_eq!(empty.without_model, Some(WithoutModel::NothingToRead));
    let found = review_of(LEFTOVER, Vec::new(), CHEAP).await;
    assert!(found.summary.ends_with("The built-in rules alone have found 1 major."), "{}", found.summary);
}

#[tokio::test]
async fn a_review_that_a_model_has_read_has_its_words_or_the_count() {
    let said = r#"{"findings":[],"summary":"All is well."}"#;
    let failed = ("fast", Err(ModelErrorKind::Unauthorized));
    let review = review_of(CLEAN, vec![failed, ("strong", Ok(said))], CHEAP).await;
    assert_eq!((review.summary.as_str(), &review.without_model), ("All is well.", &None));
    let silent = review_of(CLEAN, vec![("fast", Ok("[]"))], CHEAP).await;
    assert_eq!(silent.summary, "No findings.");
    assert!(markdown(&silent).contains("\nNo findings.\n"));
}

#[test]
fn a_review_of_an_older_program_can_be_read() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let review = runtime.block_on(review_of(CLEAN, Vec::new(), CHEAP));
    let mut document = serde_json::to_value(&review).unwrap();
    document.as_object_mut().unwrap().remove("without_model");
    assert_eq!(serde_json::from_value::<Review>(document).unwrap().without_model, None);
}

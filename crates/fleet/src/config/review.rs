use review::{Micros, Severity};
use serde::Deserialize;

use super::value::{usd, whole};

/// `[review]`: how a change is reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct ReviewConfig {
    /// Findings below it are left out.
    pub severity_floor: Severity,
    /// Most findings of a review; the gravest are kept.
    #[serde(deserialize_with = "whole::<1, 1_000, _, _>")]
    pub findings_max: usize,
    /// Most tokens of a prompt.
    #[serde(deserialize_with = "whole::<4_000, 2_000_000, _, _>")]
    pub prompt_tokens_max: u32,
    /// Most tokens of an answer, thoughts included.
    #[serde(deserialize_with = "whole::<256, 1_000_000, _, _>")]
    pub output_tokens_max: u32,
    /// Most pieces of related code that a prompt shows; 0 for none.
    #[serde(deserialize_with = "whole::<0, 100, _, _>")]
    pub context_snippets_max: usize,
    /// Most that one review may cost.
    #[serde(rename = "cost_max_usd", deserialize_with = "usd")]
    pub cost_max: Micros,
    /// Globs of files that are not reviewed, as `.gitignore` has them, beside the generated and vendored ones that are known
    /// as such.
    pub skip: Vec<String>,
    /// What becomes of a review when no model answers.
    pub on_model_failure: OnModelFailure,
    /// What counts as how complex a change.
    pub complexity: ComplexityConfig,
}

/// What becomes of a review when no model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnModelFailure {
    /// The rule reviewer's findings are the review, which says so.
    Rules,
    /// The job fails and is tried again.
    Retry,
}

/// `[review.complexity]`: a change beyond medium is complex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct ComplexityConfig {
    /// A simple change has fewer changed lines than this.
    #[serde(deserialize_with = "whole::<1, 1_000_000, _, _>")]
    pub simple_lines_below: u32,
    /// A simple change has at most so many files.
    #[serde(deserialize_with = "whole::<1, 1_000_000, _, _>")]
    pub simple_files_max: u32,
    /// A medium change has fewer changed lines than this.
    #[serde(deserialize_with = "whole::<1, 1_000_000, _, _>")]
    pub medium_lines_below: u32,
    /// A medium change has at most so many files.
    #[serde(deserialize_with = "whole::<1, 1_000_000, _, _>")]
    pub medium_files_max: u32,
}

impl Default for ReviewConfig {
    /// A prompt and an answer of the greatest size cost 3 cents on the fast model and 12 on the strong one.
    fn default() -> Self {
        Self {
            severity_floor: Severity::Note,
            findings_max: 20,
            prompt_tokens_max: 30_000,
            output_tokens_max: 8_192,
            context_snippets_max: 8,
            cost_max: Micros(100_000),
            skip: Vec::new(),
            on_model_failure: OnModelFailure::Rules,
            complexity: ComplexityConfig::default(),
        }
    }
}

impl Default for ComplexityConfig {
    fn default() -> Self {
        Self { simple_lines_below: 100, simple_files_max: 2, medium_lines_below: 500, medium_files_max: 10 }
    }
}

use anyhow::{Context, Result};
use fleet::{ComplexityConfig, Config};
use review::{Limits, OnModelFailure, PathGlobs, PromptBudget, ReviewerSettings, TriageSettings, VerifySettings};

/// How reviews are made, as `[review]` says.
pub fn reviewer(config: &Config) -> Result<ReviewerSettings> {
    let review = &config.review;
    let ComplexityConfig { simple_lines_below, simple_files_max, medium_lines_below, medium_files_max } =
        review.complexity;
    let limits = |lines: u32, files: u32| Limits { below_lines: lines as usize, max_files: files as usize };
    Ok(ReviewerSettings {
        triage: TriageSettings {
            skip: PathGlobs::new(review.skip.clone()).context("review.skip")?,
            simple: limits(simple_lines_below, simple_files_max),
            medium: limits(medium_lines_below, medium_files_max),
        },
        verify: VerifySettings { severity_floor: review.severity_floor, findings_max: review.findings_max },
        prompt: PromptBudget::new(review.prompt_tokens_max, review.output_tokens_max)
            .context("review.prompt_tokens_max")?,
        snippets_max: review.context_snippets_max,
        cost_max: review.cost_max,
        on_model_failure: match review.on_model_failure {
            fleet::OnModelFailure::Rules => OnModelFailure::Rules,
            fleet::OnModelFailure::Retry => OnModelFailure::Fail,
        },
    })
}

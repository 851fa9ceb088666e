use std::time::{Duration, Instant};

use anyhow::Result;
use review::{CommitId, Finding, Placement, Review, Severity, SnippetReason, WithoutModel};
use serde::Serialize;

use crate::{
    client::JobAnswer,
    output::{BAD, FAINT, GOOD, HEADING, Output, WARN, counted, duration, one_line},
};

/// Most findings of a review that the demo prints; the review itself has all.
const FINDINGS_SHOWN: usize = 12;
/// Most pieces of context that it names.
const CONTEXT_SHOWN: usize = 3;
/// Most characters of a line of somebody's words.
const TEXT_CHARS: usize = 110;

/// Prints one review, or why there is none.
pub fn review(commit: &CommitId, job: &JobAnswer, review: Option<&Review>, out: &mut Output) -> Result<()> {
    if out.is_json() {
        #[derive(Serialize)]
        struct Line<'a> {
            commit: &'a CommitId,
            job: &'a JobAnswer,
            review: Option<&'a Review>,
        }
        out.object(&Line { commit, job, review })?;
        return Ok(());
    }
    out.line("")?;
    let Some(review) = review else {
        let why = job.errors.last().map_or("no error is recorded", |e| e.message.as_str());
        out.line(format_args!(
            "{HEADING}{}{HEADING:#}  {BAD}{}{BAD:#}: {}",
            commit.short(),
            job.state,
            one_line(why, 400)
        ))?;
        return Ok(());
    };
    let change = &review.pull_request;
    out.line(format_args!(
        "{HEADING}{}  {}{HEADING:#}  {FAINT}{}{FAINT:#}",
        commit.short(),
        one_line(&change.title, TEXT_CHARS),
        one_line(&change.author, 40)
    ))?;
    out.line(format_args!(
        "  {FAINT}by {} · {}, {} · {} · {}{FAINT:#}",
        review.reviewer,
        counted(review.size.files, "file"),
        counted(review.size.changed_lines, "changed line"),
        duration(review.took()),
        review.cost
    ))?;
    context(review, out)?;
    for finding in review.findings.iter().take(FINDINGS_SHOWN) {
        out.line(line_of(finding))?;
    }
    if review.findings.len() > FINDINGS_SHOWN {
        out.line(format_args!("  and {} more", review.findings.len() - FINDINGS_SHOWN))?;
    }
    if review.findings.is_empty() {
        match &review.without_model {
            Some(WithoutModel::Unanswered { .. }) => {
                out.line(format_args!("  {WARN}no findings by the rules, and no model has read it{WARN:#}"))?;
            }
            _ => out.line(format_args!("  {GOOD}no findings{GOOD:#}"))?,
        }
    }
    for note in &review.notes {
        out.line(format_args!("  {FAINT}{}{FAINT:#}", one_line(&note.to_string(), 300)))?;
    }
    Ok(())
}

fn line_of(finding: &Finding) -> String {
    let style = match finding.severity {
        Severity::Critical | Severity::Major => BAD,
        Severity::Minor => WARN,
        Severity::Note => FAINT,
    };
    let place = match finding.placement {
        Placement::Inline { line, .. } => format!("{}:{line}", finding.path),
        Placement::Body => finding.path.to_string(),
    };
    let title = one_line(&finding.title, TEXT_CHARS);
    format!("  {style}{:<8}{style:#} {}  {title}", finding.severity, one_line(&place, TEXT_CHARS))
}

fn context(review: &Review, out: &mut Output) -> Result<()> {
    if review.context.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = review
        .context
        .iter()
        .take(CONTEXT_SHOWN)
        .map(|piece| {
            let why = match &piece.reason {
                SnippetReason::Defines(symbol) => format!(" (defines {symbol})"),
                SnippetReason::Uses(symbol) => format!(" (uses {symbol})"),
                SnippetReason::Similar => String::new(),
            };
            one_line(&format!("{}:{}-{}{why}", piece.path, piece.start_line, piece.end_line), TEXT_CHARS)
        })
        .collect();
    let more = review.context.len().saturating_sub(CONTEXT_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    out.line(format_args!("  {FAINT}context: {}{more}{FAINT:#}", shown.join(", ")))?;
    Ok(())
}

/// What all jobs came to.
#[derive(Debug, Serialize)]
struct Summary {
    jobs: usize,
    completed: usize,
    attempts: u32,
    findings: usize,
    queue_wait_p50_ms: f64,
    queue_wait_p95_ms: f64,
    input_tokens: u64,
    output_tokens: u64,
    cost_micros: u64,
    took_ms: f64,
}

/// Prints what all jobs came to.
pub fn summary(ended: &[(&JobAnswer, Option<&Review>)], begun: Instant, out: &mut Output) -> Result<()> {
    let mut waits: Vec<Duration> = ended.iter().filter_map(|(job, _)| wait(job)).collect();
    waits.sort_unstable();
    let reviews = || ended.iter().filter_map(|(_, review)| *review);
    let summary = Summary {
        jobs: ended.len(),
        completed: ended.iter().filter(|(job, _)| job.state == "completed").count(),
        attempts: ended.iter().map(|(job, _)| job.attempt).sum(),
        findings: reviews().map(|r| r.findings.len()).sum(),
        queue_wait_p50_ms: millis(percentile(&waits, 50)),
        queue_wait_p95_ms: millis(percentile(&waits, 95)),
        input_tokens: reviews().map(|r| r.usage.input).sum(),
        output_tokens: reviews().map(|r| r.usage.output).sum(),
        cost_micros: reviews().map(|r| r.cost.0).sum(),
        took_ms: millis(begun.elapsed()),
    };
    if out.is_json() {
        out.object(&serde_json::json!({ "summary": summary }))?;
        return Ok(());
    }
    out.line("")?;
    out.line(format_args!(
        "{HEADING}Summary:{HEADING:#}  {}, {} completed, {}, {}, in {}",
        counted(summary.jobs, "job"),
        summary.completed,
        counted(summary.attempts, "attempt"),
        counted(summary.findings, "finding"),
        duration(begun.elapsed())
    ))?;
    out.line(format_args!(
        "Queue:    wait p50 {}, p95 {}",
        duration(percentile(&waits, 50)),
        duration(percentile(&waits, 95))
    ))?;
    out.line(format_args!(
        "Model:    {} tokens in, {} out, {}",
        summary.input_tokens,
        summary.output_tokens,
        review::Micros(summary.cost_micros)
    ))?;
    Ok(())
}

fn wait(job: &JobAnswer) -> Option<Duration> {
    Duration::try_from(job.started_at?.duration_since(job.created_at)).ok()
}

/// The nearest-rank percentile of sorted values.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn millis(of: Duration) -> f64 {
    of.as_secs_f64() * 1e3
}

use std::fmt::Write;

use crate::{
    Finding, PROMPT_VERSION, Placement, Review, Summary, comment_markdown,
    markdown::{code, harmless, printable},
    summary_markdown,
};

/// A review as one Markdown document, for readers who do not see the comments at their lines.
pub fn markdown(review: &Review) -> String {
    let skipped: Vec<_> = review.skipped.iter().map(|s| (s.path.clone(), s.reason.to_string())).collect();
    let notes: Vec<String> = review.notes.iter().map(ToString::to_string).collect();
    let reviewer = review.reviewer.to_string();
    let model = match &review.without_model {
        Some(why) => Err(why),
        None => Ok(reviewer.as_str()),
    };
    let mut text = summary_markdown(&Summary {
        title: &review.pull_request.title,
        head: &review.pull_request.head,
        config: PROMPT_VERSION,
        model,
        findings: &review.findings,
        skipped: &skipped,
        notes: &notes,
    });
    if model.is_ok() && !review.summary.is_empty() {
        text.push_str("\n### Summary\n\n");
        text.push_str(&harmless(&printable(&review.summary)));
        text.push('\n');
    }
    let inline: Vec<&Finding> = review.findings.iter().filter(|f| f.placement != Placement::Body).collect();
    if !inline.is_empty() {
        text.push_str("\n### At lines of the diff\n");
    }
    for finding in inline {
        let Placement::Inline { start_line, line } = finding.placement else { continue };
        let lines = start_line.map_or_else(|| format!("line {line}"), |start| format!("lines {start} to {line}"));
        let path = code(&finding.path.display());
        // Writing to a string does not fail.
        let _ = write!(text, "\n#### {path}, {lines}\n\n{}\n", comment_markdown(finding));
    }
    text
}

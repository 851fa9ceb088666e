//! Findings and their summary as Markdown for a forge.

use crate::{
    CommitId, Finding, Placement, Severity, Source, WithoutModel,
    diff::RepoPath,
    markdown::{code, fenced, one_line},
};

/// Longest text of a review or comment that GitHub takes, in characters.
const REVIEW_CHARS_MAX: usize = 65_536;

/// What of it is kept for the note that something is missing, in characters.
const CUT_NOTE_CHARS: usize = 300;

/// Longest line of other text in a summary, in characters before it is made harmless.
const LINE_CHARS_MAX: usize = 300;

/// What a review says beside its inline comments.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a> {
    /// The change's title.
    pub title: &'a str,
    /// The commit that was reviewed.
    pub head: &'a CommitId,
    /// Digest of the settings that the review was made with.
    pub config: &'a str,
    /// The model that reviewed, or why the built-in rules were alone.
    pub model: Result<&'a str, &'a WithoutModel>,
    /// All findings; those of [`Placement::Body`] are shown whole, the others counted.
    pub findings: &'a [Finding],
    /// What was not reviewed, and why.
    pub skipped: &'a [(RepoPath, String)],
    /// What the reader should know of how the review came about: a model that failed, context that was missing.
    pub notes: &'a [String],
}

/// The hidden first line of a summary, by which a review is found again. Look for it at a body's very beginning: further
/// down, quoted code may hold the same text.
pub fn marker(head: &CommitId, config: &str) -> String {
    let config: String = config.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':')).collect();
    format!("<!-- reviewfleet:sha={head} config={config} -->")
}

/// A finding as an inline comment.
pub fn comment_markdown(finding: &Finding) -> String {
    let mut parts = vec![format!("**{}:** {}", capitalised(finding.severity), finding.title)];
    if !finding.body.is_empty() {
        parts.push(finding.body.clone());
    }
    if let (Some(text), Placement::Inline { .. }) = (&finding.suggestion, finding.placement) {
        parts.push(fenced("suggestion", text));
    }
    parts.push(format!("<sub>reviewfleet, {}</sub>", source(&finding.source)));
    parts.join("\n\n")
}

/// A review's body, at most 65,536 characters long. What does not fit is counted at its end.
pub fn summary_markdown(summary: &Summary<'_>) -> String {
    let mut page = Page::new(marker(summary.head, summary.config));
    page.push(&format!("\n## {}\n", one_line(&format!("Review of {}", summary.title), LINE_CHARS_MAX)));
    page.push(&format!("\n{}\n\n{}\n", reviewers(summary), counts(summary)));
    let notes = summary.notes.iter().map(|n| format!("\n> {}\n", one_line(n, LINE_CHARS_MAX)));
    let notes_cut = page.section("", notes);
    let in_body = summary.findings.iter().filter(|f| f.placement == Placement::Body);
    let findings = in_body.map(|f| format!("\n#### {}\n\n{}\n", code(&f.path.display()), comment_markdown(f)));
    let findings_cut = page.section("\n### Not at a line of the diff\n", findings);
    let skipped = summary
        .skipped
        .iter()
        .map(|(path, why)| format!("- {}: {}\n", code(&path.display()), one_line(why, LINE_CHARS_MAX)));
    let skipped_cut = page.section("\n### Not reviewed\n\n", skipped);
    page.finish(&[(findings_cut, "finding"), (skipped_cut, "file that was not reviewed"), (notes_cut, "note")])
}

/// A text that grows up to the limit.
struct Page {
    text: String,
    chars_left: usize,
}

impl Page {
    fn new(first: String) -> Self {
        let chars_left = (REVIEW_CHARS_MAX - CUT_NOTE_CHARS).saturating_sub(first.chars().count());
        Self { text: first, chars_left }
    }

    fn push(&mut self, text: &str) -> bool {
        let left = self.chars_left.checked_sub(text.chars().count());
        if let Some(left) = left {
            self.chars_left = left;
            self.text.push_str(text);
        }
        left.is_some()
    }

    /// Adds a heading and what fits below it, in order. Gives how many did not fit.
    fn section(&mut self, heading: &str, items: impl Iterator<Item = String>) -> usize {
        let mut items = items.peekable();
        if items.peek().is_none() {
            return 0;
        }
        if !self.push(heading) {
            return items.count();
        }
        let mut cut = 0;
        for item in items {
            // Behind the first that does not fit none is shown, so that the order stays that of their weight.
            if cut > 0 || !self.push(&item) {
                cut += 1;
            }
        }
        cut
    }

    fn finish(mut self, cut: &[(usize, &str)]) -> String {
        let cut: Vec<_> = cut.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} × {what}")).collect();
        if !cut.is_empty() {
            let cut = cut.join(", ");
            let what = format!("\n_Cut off here, as a review holds {REVIEW_CHARS_MAX} characters at most: {cut}._\n");
            self.text.push_str(&what);
        }
        self.text
    }
}

fn reviewers(summary: &Summary<'_>) -> String {
    let head = code(summary.head.short());
    match summary.model {
        Ok(model) => format!("{head} was reviewed by the model {} and the built-in rules.", code(model)),
        Err(why) => format!(
            "{head} was reviewed by the built-in rules alone. **No language model has read it:** {}.",
            one_line(&why.to_string(), LINE_CHARS_MAX)
        ),
    }
}

fn counts(summary: &Summary<'_>) -> String {
    let findings = summary.findings;
    let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
    let counts = Severity::ALL.iter().rev().map(|s| (count(*s), s)).filter(|(n, _)| *n > 0);
    let counts: Vec<_> = counts.map(|(n, s)| format!("{n} {s}")).collect();
    match findings.len() {
        0 if summary.model.is_err() => "The built-in rules have found nothing.".to_owned(),
        0 => "No findings.".to_owned(),
        1 => format!("**1 finding:** {}.", counts.join(", ")),
        n => format!("**{n} findings:** {}.", counts.join(", ")),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Rule(id) => format!("built-in rule {}", code(id)),
        Source::Model(name) => format!("model {}", code(name)),
    }
}

const fn capitalised(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "Note",
        Severity::Minor => "Minor",
        Severity::Major => "Major",
        Severity::Critical => "Critical",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(placement: Placement, suggestion: Option<&str>) -> Finding {
        Finding {
            source: Source::Rule("debug.print".into()),
            severity: Severity::Minor,
            path: "src/a.rs".into(),
            placement,
            title: "Leftover print".into(),
            body: "Remove it.".into(),
            suggestion: suggestion.map(str::to_owned),
        }
    }

    fn summary<'a>(head: &'a CommitId, findings: &'a [Finding]) -> Summary<'a> {
        Summary { title: "Add <b> by @me", head, config: "c1", model: Err(&ALONE), findings, skipped: &[], notes: &[] }
    }

    const ALONE: WithoutModel = WithoutModel::NotConfigured;

    fn head() -> CommitId {
        "0123456789abcdef0123456789abcdef01234567".parse().unwrap()
    }

    const INLINE: Placement = Placement::Inline { start_line: None, line: 3 };

    #[test]
    fn a_comment_shows_severity_reason_suggestion_and_source() {
        assert_eq!(
            comment_markdown(&finding(INLINE, Some("log();"))),
            "**Minor:** Leftover print\n\nRemove it.\n\n```suggestion\nlog();\n```\n\n\
             <sub>reviewfleet, built-in rule `debug.print`</sub>"
        );
    }

    // reviewdog/reviewdog#1017, qodo-ai/pr-agent#2945
    #[test]
    fn a_suggestion_with_a_fence_gets_a_longer_one() {
        let text = comment_markdown(&finding(INLINE, Some("/// ```\n/// x\n/// ```\n````")));
        assert!(text.contains("\n\n`````suggestion\n/// ```\n/// x\n/// ```\n````\n`````\n\n"), "{text}");
    }

    #[test]
    fn the_rules_are_never_passed_off_as_a_model() {
        let head = head();
        let alone = summary_markdown(&summary(&head, &[]));
        assert!(alone.contains(
            "`0123456789` was reviewed by the built-in rules alone. **No language model has read it:** none is configured \
             for it.\n\nThe built-in rules have found nothing.\n"
        ));
        let with = summary_markdown(&Summary { model: Ok("gemini`x"), ..summary(&head, &[]) });
        assert!(with.contains("\n\nNo findings.\n"), "{with}");
        assert!(with.contains("by the model ``gemini`x`` and the built-in rules."), "{with}");
    }

    #[test]
    fn a_summary_begins_with_its_marker_and_counts_what_it_found() {
        let head = head();
        let findings = [finding(INLINE, None), finding(Placement::Body, None)];
        let skipped = [("Cargo.lock".into(), "a lock file".to_owned())];
        let notes = ["The model did not answer: #1 <x>".to_owned()];
        let text = summary_markdown(&Summary { skipped: &skipped, notes: &notes, ..summary(&head, &findings) });
        assert_eq!(
            text,
            "<!-- reviewfleet:sha=0123456789abcdef0123456789abcdef01234567 config=c1 -->\n\
             ## Review of Add &lt;b> by @\u{200B}me\n\n\
             `0123456789` was reviewed by the built-in rules alone. **No language model has read it:** none is configured \
             for it.\n\n\
             **2 findings:** 2 minor.\n\n\
             > The model did not answer: #\u{200B}1 &lt;x>\n\n\
             ### Not at a line of the diff\n\n\
             #### `src/a.rs`\n\n\
             **Minor:** Leftover print\n\nRemove it.\n\n<sub>reviewfleet, built-in rule `debug.print`</sub>\n\n\
             ### Not reviewed\n\n\
             - `Cargo.lock`: a lock file\n"
        );
    }

    #[test]
    fn a_marker_cannot_be_left_by_its_settings() {
        assert!(marker(&head(), "a --> <b>").ends_with(" config=ab -->"));
    }

    #[test]
    fn a_summary_that_is_too_long_says_what_is_missing() {
        let head = head();
        let long = Finding { body: "ä".repeat(10_000), ..finding(Placement::Body, None) };
        let findings = vec![long; 9];
        let skipped = vec![("a/long/path/to/skip".into(), "generated".to_owned()); 5_000];
        let text = summary_markdown(&Summary { skipped: &skipped, ..summary(&head, &findings) });
        assert!(text.chars().count() <= REVIEW_CHARS_MAX, "{}", text.chars().count());
        assert_eq!(text.matches("#### `src/a.rs`").count(), 6);
        let shown = text.matches("a/long/path").count();
        let cut = format!("characters at most: 3 × finding, {} × file that was not reviewed._\n", 5_000 - shown);
        assert!(shown > 0 && text.ends_with(&cut), "{shown}: {}", &text[text.len() - 200..]);
    }
}

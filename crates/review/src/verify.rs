//! From what reviewers drafted to what may be shown: places checked against the diff, texts made harmless, duplicates and
//! surplus dropped. The promise is that no forge refuses a comment made of a [`Finding`], and that none notifies anybody.

mod duplicates;
mod place;
#[cfg(test)]
mod tests;
mod text;

use std::cmp::Reverse;

use crate::{DraftFinding, Finding, Placement, Severity, Source, diff::Diff};

/// What a review lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifySettings {
    /// The least severity shown.
    pub severity_floor: Severity,
    /// Most findings of one review, inline and in its body together; the most severe stay.
    pub findings_max: usize,
}

/// Drafts, told apart: each is in one of the two lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// What to show: the most severe first, then by path and line.
    pub findings: Vec<Finding>,
    /// What not to show, and why.
    pub dropped: Vec<(DraftFinding, DropReason)>,
}

/// Why a draft is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The diff has no such file. A reviewer that invents a file is not to be believed about its content.
    UnknownFile,
    /// It has neither title nor body.
    Empty,
    /// It is less severe than the settings ask for.
    BelowFloor,
    /// An equally or more severe one says the same of the same line.
    Duplicate,
    /// There are enough others that are no less severe.
    OverMaximum,
}

/// Checks drafts against the diff that they are about.
///
/// A line outside the hunks moves to the nearest changed line if that is near, or else into the review's body; a range
/// over several hunks is cut to the hunk of its last line. A suggestion whose lines moved becomes a part of the body, since
/// applying it would overwrite other lines. The same input gives the same output.
pub fn verify(diff: &Diff, drafts: Vec<DraftFinding>, settings: &VerifySettings) -> Verified {
    let mut verified = Verified::default();
    let mut candidates = Vec::with_capacity(drafts.len());
    for draft in drafts {
        match check(diff, &draft, settings.severity_floor) {
            Ok(finding) => candidates.push((draft, finding)),
            Err(reason) => verified.dropped.push((draft, reason)),
        }
    }
    candidates.sort_by(|(a, x), (b, y)| rank(a, x).cmp(&rank(b, y)));
    let mut kept = duplicates::Kept::default();
    for (draft, finding) in candidates {
        if kept.says_the_same(&draft, &finding) {
            verified.dropped.push((draft, DropReason::Duplicate));
        } else if verified.findings.len() >= settings.findings_max {
            verified.dropped.push((draft, DropReason::OverMaximum));
        } else {
            kept.add(&draft, &finding);
            verified.findings.push(finding);
        }
    }
    verified
}

fn check(diff: &Diff, draft: &DraftFinding, floor: Severity) -> Result<Finding, DropReason> {
    let place = place::place(diff, draft).ok_or(DropReason::UnknownFile)?;
    if draft.severity < floor {
        return Err(DropReason::BelowFloor);
    }
    let text = text::clean(draft, &place).ok_or(DropReason::Empty)?;
    Ok(Finding {
        source: draft.source.clone(),
        severity: draft.severity,
        path: place.path,
        placement: place.placement,
        title: text.title,
        body: text.body,
        suggestion: text.suggestion,
    })
}

/// The most severe first; between equals a rule's finding, which is the same each time, stands before a model's.
fn rank<'a>(draft: &DraftFinding, finding: &'a Finding) -> impl Ord + use<'a> {
    let from_model = matches!(finding.source, Source::Model(_));
    (Reverse(finding.severity), &finding.path, shown_line(draft, finding.placement), from_model)
}

/// The line that a finding is known by: where it is shown, or else what its draft named.
fn shown_line(draft: &DraftFinding, placement: Placement) -> Option<u32> {
    match placement {
        Placement::Inline { line, .. } => Some(line),
        Placement::Body => draft.line,
    }
}

use super::place::Place;
use crate::{DraftFinding, Placement, markdown};

/// Longest title, in characters, before it is made harmless.
const TITLE_CHARS_MAX: usize = 200;

/// Longest body, in characters, before it is made harmless. That can lengthen it fivefold; with a suggestion whose fences
/// are as long as itself, a comment still stays below the 65,536 characters that GitHub takes.
const BODY_CHARS_MAX: usize = 6_000;

/// Longest suggestion, in characters.
const SUGGESTION_CHARS_MAX: usize = 6_000;

/// A finding's texts, fit to be shown.
pub(super) struct Text {
    pub(super) title: String,
    pub(super) body: String,
    pub(super) suggestion: Option<String>,
}

/// Cleans a draft's texts for its place; `None` when there is nothing to read.
pub(super) fn clean(draft: &DraftFinding, place: &Place) -> Option<Text> {
    let body = markdown::printable(&draft.body);
    let title = markdown::one_line(&draft.title, TITLE_CHARS_MAX);
    let first_line = || body.lines().map(|l| markdown::one_line(l, TITLE_CHARS_MAX)).find(|l| !l.is_empty());
    let title = if title.is_empty() { first_line()? } else { title };
    let mut parts = vec![bounded_body(body.trim())];
    parts.extend(where_it_was(place));
    let mut suggestion = draft.suggestion.as_deref().map(markdown::printable);
    if suggestion.as_ref().is_some_and(|s| s.chars().count() > SUGGESTION_CHARS_MAX) {
        suggestion = None;
        parts.push(format!("_A suggestion is left out: it is longer than {SUGGESTION_CHARS_MAX} characters._"));
    }
    if !place.exact
        && let Some(text) = suggestion.take().filter(|s| !s.trim().is_empty())
    {
        parts.push(format!("Suggested:\n\n{}", markdown::fenced("", &text)));
    }
    parts.retain(|p| !p.is_empty());
    Some(Text { title, body: parts.join("\n\n"), suggestion })
}

fn bounded_body(body: &str) -> String {
    match body.char_indices().nth(BODY_CHARS_MAX) {
        None => markdown::harmless(body),
        Some((end, _)) => format!("{}\n\n_The rest is cut off._", markdown::harmless(&body[..end])),
    }
}

/// Tells the reader which lines are meant when the comment stands elsewhere.
fn where_it_was(place: &Place) -> Option<String> {
    let (start_line, line) = place.asked?;
    if place.placement == (Placement::Inline { start_line, line }) {
        return None;
    }
    Some(match start_line {
        Some(start) => format!("_About lines {start} to {line}._"),
        None => format!("_About line {line}._"),
    })
}

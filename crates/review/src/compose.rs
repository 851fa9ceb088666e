//! The prompt: what is asked of a model, packed to a budget of tokens.
//!
//! The same input makes the same prompt, byte for byte: the cache's key depends on it. What does not fit is named, never
//! silently cut. Everything that the author or the repository wrote is fenced as data and free of secrets.

mod change;
mod fence;

use std::fmt::{self, Write as _};

use self::fence::Fence;
use crate::{
    ModelRequest, PullRequest, Snippet, SnippetReason, answer_schema,
    diff::{Diff, RepoPath},
    secrets, tokens,
};

/// Names this way of asking. It is part of a cached answer's key: a change of the instructions or of the prompt's form
/// must change it.
pub const PROMPT_VERSION: &str = "1";

/// The reviewer's instructions.
const SYSTEM: &str = include_str!("compose/system.md");

/// Most tokens of the title.
const TITLE_TOKENS_MAX: u32 = 100;

/// Most tokens of the description: longer ones hold templates and logs rather than reasons.
const DESCRIPTION_TOKENS_MAX: u32 = 2_000;

/// The description's share of a small budget: one part of so many.
const DESCRIPTION_SHARE: u32 = 8;

/// A count of left-out parts with more digits than any diff makes.
const PARTS_COUNT_MAX: usize = 9_999_999_999;

const DESCRIPTION_CUT: &str = "(the rest of the description is not shown)\n";

/// What a prompt is made of.
#[derive(Debug, Clone, Copy)]
pub struct PromptInput<'a> {
    /// Facts of the pull request.
    pub pull_request: &'a PullRequest,
    /// Its diff.
    pub diff: &'a Diff,
    /// The files to review, by their index in the diff. Others are not shown.
    pub reviewed: &'a [usize],
    /// Code that bears on the change, best first; it takes the room that the change leaves.
    pub snippets: &'a [Snippet],
}

/// How long a prompt and its answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptBudget {
    input_tokens_max: u32,
    output_tokens_max: u32,
}

/// A budget in which there is no room for a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a prompt of at most {input_tokens_max} tokens has no room for a change: at least {min} are needed", min = PromptBudget::INPUT_TOKENS_MIN)]
pub struct BudgetTooSmall {
    /// What was given.
    pub input_tokens_max: u32,
}

/// A composed prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// What to ask.
    pub request: ModelRequest,
    /// Its tokens by [`tokens::estimate`], instructions and schema included; within the budget.
    pub tokens: u32,
    /// What there was no room for, in the order in which it would have been shown.
    pub omitted: Vec<Omitted>,
    /// How many of the snippets are shown.
    pub snippets: usize,
    /// How many secrets were taken out, of what is shown and of what there was no room for.
    pub redacted: usize,
}

/// A part of the change that a prompt has no room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Omitted {
    /// The end of the title or of the description.
    Description,
    /// All of a file.
    File(RepoPath),
    /// Lines of the new side.
    Lines {
        /// Of this file.
        path: RepoPath,
        /// From this one.
        first: u32,
        /// To this one.
        last: u32,
    },
    /// Lines of the old side, where the new one has none.
    RemovedLines {
        /// Of this file.
        path: RepoPath,
        /// From this one.
        first: u32,
        /// To this one.
        last: u32,
    },
}

/// The parts of a prompt that others wrote, each empty or whole lines.
#[derive(Default)]
struct Parts {
    description: String,
    change: String,
    context: String,
}

impl PromptBudget {
    /// Room for the instructions, a description and a small hunk.
    pub const INPUT_TOKENS_MIN: u32 = 4_000;

    /// A prompt of at most so many tokens, instructions and schema included, and an answer of at most so many.
    pub const fn new(input_tokens_max: u32, output_tokens_max: u32) -> Result<Self, BudgetTooSmall> {
        if input_tokens_max < Self::INPUT_TOKENS_MIN {
            return Err(BudgetTooSmall { input_tokens_max });
        }
        Ok(Self { input_tokens_max, output_tokens_max })
    }
}

impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Description => f.write_str("the end of the description"),
            Self::File(path) => path.fmt(f),
            Self::Lines { path, first, last } => write!(f, "{path}, lines {first} to {last}"),
            Self::RemovedLines { path, first, last } => write!(f, "{path}, removed lines {first} to {last}"),
        }
    }
}

/// Composes the prompt for a change.
pub fn compose(input: &PromptInput<'_>, budget: &PromptBudget) -> Prompt {
    let schema = answer_schema();
    let around = tokens::estimate(SYSTEM).saturating_add(tokens::estimate(&schema.to_string()));
    // What stands around the parts, at its longest. Parts are whole lines, so that the whole is at most their sum.
    let longest = Parts { context: "\n".to_owned(), ..Parts::default() };
    let fixed = around.saturating_add(tokens::estimate(&assemble(&longest, &Fence::default(), PARTS_COUNT_MAX)));
    let mut left = budget.input_tokens_max.saturating_sub(fixed);

    let description = describe(input.pull_request, (left / DESCRIPTION_SHARE).min(DESCRIPTION_TOKENS_MAX));
    left = left.saturating_sub(tokens::estimate(&description.text));
    let change = change::pack(input.diff, input.reviewed, left);
    left = left.saturating_sub(tokens::estimate(&change.text));
    let context = gather(input.snippets, left);

    let parts = Parts { description: description.text, change: change.text, context: context.text };
    let fence = Fence::around(&[&parts.description, &parts.change, &parts.context]);
    let prompt = assemble(&parts, &fence, change.omitted.len());
    let omitted = description.is_cut.then_some(Omitted::Description).into_iter().chain(change.omitted).collect();
    Prompt {
        tokens: around.saturating_add(tokens::estimate(&prompt)),
        request: ModelRequest {
            system: SYSTEM.to_owned(),
            prompt,
            schema,
            output_tokens_max: budget.output_tokens_max,
        },
        omitted,
        snippets: context.shown,
        redacted: description.redacted + change.redacted + context.redacted,
    }
}

fn assemble(parts: &Parts, fence: &Fence, omitted: usize) -> String {
    let mut prompt = String::from("The pull request, as its author describes it:\n");
    fence.put(&mut prompt, "description", &parts.description);
    prompt.push_str("The change, the weightiest files first:\n");
    fence.put(&mut prompt, "change", &parts.change);
    if omitted > 0 {
        let _ = writeln!(prompt, "Parts of the change that there was no room to show: {omitted}.");
    }
    if !parts.context.is_empty() {
        prompt.push_str("Code of the same repository that bears on the change:\n");
        fence.put(&mut prompt, "context", &parts.context);
    }
    prompt
}

struct Description {
    text: String,
    is_cut: bool,
    redacted: usize,
}

fn describe(pull_request: &PullRequest, tokens_max: u32) -> Description {
    let title = pull_request.title.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = secrets::redact(&title);
    let body = secrets::redact(pull_request.body.trim());
    let shown_title = tokens::prefix(&title.text, TITLE_TOKENS_MAX);
    let mut text = format!("title: {shown_title}\n");
    let room = tokens_max.saturating_sub(tokens::estimate(&text) + tokens::estimate(DESCRIPTION_CUT) + 1);
    let shown_body = tokens::prefix(&body.text, room);
    if !shown_body.is_empty() {
        text.push_str(shown_body);
        text.push('\n');
    }
    let is_cut = shown_title.len() < title.text.len() || shown_body.len() < body.text.len();
    if is_cut {
        text.push_str(DESCRIPTION_CUT);
    }
    Description { text, is_cut, redacted: title.count + body.count }
}

#[derive(Default)]
struct Context {
    text: String,
    shown: usize,
    redacted: usize,
}

/// As many whole snippets as fit, best first.
fn gather(snippets: &[Snippet], tokens_max: u32) -> Context {
    let (mut context, mut left) = (Context::default(), tokens_max);
    for snippet in snippets {
        let code = secrets::redact(snippet.text.trim_end());
        let path = change::shown(&snippet.path);
        let text = format!(
            "{path}, lines {} to {}{}:\n{}\n",
            snippet.start_line,
            snippet.end_line,
            match &snippet.reason {
                SnippetReason::Defines(symbol) => format!(", defines {}", change::one_line(symbol)),
                SnippetReason::Uses(symbol) => format!(", uses {}", change::one_line(symbol)),
                SnippetReason::Similar => String::new(),
            },
            code.text,
        );
        if let Some(rest) = left.checked_sub(tokens::estimate(&text)) {
            left = rest;
            context.text.push_str(&text);
            context.shown += 1;
            context.redacted += code.count;
        }
    }
    context
}

#[cfg(test)]
mod tests;

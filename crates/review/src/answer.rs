//! A model's answer: the schema that it is asked to keep, and what is made of the text that comes back.
//!
//! The reading is tolerant of wrapping (a code fence, prose around it, a bare array) and of an answer that was cut off,
//! but an answer that does not say what it found is an error and never "no findings".

mod document;

use serde_json::{Map, Value, json};

use self::document::Document;
use crate::{DraftFinding, Finish, ModelErrorKind, Severity, Source, diff::RepoPath};

/// Most bytes of an answer's text: far more than output limits let through.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Most findings of one answer that are kept. A review of more helps nobody.
const FINDINGS_MAX: usize = 100;

/// Longest path, in bytes, as git hosts take them.
const PATH_BYTES_MAX: usize = 4096;

/// Longest title, in characters: one line of a comment.
const TITLE_CHARS_MAX: usize = 200;

/// Longest body, suggestion and summary, in characters: several fit into one review of 65,536.
const BODY_CHARS_MAX: usize = 8_000;

/// What a model says of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// On the change as a whole, in Markdown; empty when the model gave none.
    pub summary: String,
    /// What it found, in its order; not checked against the diff yet.
    pub findings: Vec<DraftFinding>,
    /// Whether more was written, or meant to be, than is kept here. The review must say so.
    pub cut_off: bool,
}

/// Why an answer says nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The provider withheld it, for this reason.
    #[error("withheld: {0}")]
    Withheld(String),
    /// Nothing but white space.
    #[error("empty")]
    Empty,
    /// Longer than is read.
    #[error("{bytes} bytes long: at most {TEXT_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Prose, or JSON that is neither an object nor an array of findings.
    #[error("without a JSON document")]
    NoDocument,
    /// More than one document: which one is meant cannot be known.
    #[error("more than one JSON document")]
    SeveralDocuments,
    /// It begins as JSON and goes on as something else.
    #[error("no JSON: {0}")]
    Malformed(String),
    /// JSON of another shape.
    #[error("not of the schema: {0}")]
    WrongShape(String),
    /// Cut off before the first finding was whole.
    #[error("cut off before its first finding was whole")]
    CutOff,
}

impl From<AnswerError> for ModelErrorKind {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Withheld(reason) => Self::Blocked(reason),
            other => Self::Unreadable(other.to_string()),
        }
    }
}

/// The JSON schema of an answer, in what all providers take: no `$ref`, no `maxItems`, no `additionalProperties`, four
/// levels deep.
pub fn answer_schema() -> Value {
    let severities: Vec<&str> = Severity::ALL.into_iter().map(Severity::as_str).collect();
    json!({
        "type": "object",
        "properties": {
            "findings": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "path": {"type": "string"},
                        "start_line": {"type": "integer"},
                        "line": {"type": "integer"},
                        "severity": {"type": "string", "enum": severities},
                        "title": {"type": "string"},
                        "body": {"type": "string"},
                        "suggestion": {"type": "string"},
                    },
                    "required": ["path", "line", "severity", "title", "body"],
                },
            },
            "summary": {"type": "string"},
        },
        "required": ["findings", "summary"],
    })
}

/// Reads what a model wrote, given why it stopped and its name in the configuration.
///
/// Accepted is exactly one JSON document: an object with `findings` and, if it likes, `summary`, or a bare array of
/// findings; prose and code fences may stand around it. Of a document that was cut off, the findings that are whole are
/// kept. A finding of wrong types makes the whole answer an error, since then nothing else in it can be trusted either; a
/// severity that is missing or unknown becomes [`Severity::Minor`], because its text may still be right.
pub fn parse_answer(text: &str, finish: &Finish, model: &str) -> Result<Answer, AnswerError> {
    if let Finish::Blocked(reason) = finish {
        return Err(AnswerError::Withheld(reason.clone()));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(AnswerError::TooLong { bytes: text.len() });
    }
    if text.trim().is_empty() {
        return Err(if *finish == Finish::OutputLimit { AnswerError::CutOff } else { AnswerError::Empty });
    }
    let Document { value, whole } = document::find(text)?;
    let mut answer = match value {
        Value::Array(findings) => Answer::new(String::new(), &findings, model)?,
        Value::Object(fields) => {
            let Some(Value::Array(findings)) = fields.get("findings") else {
                return Err(AnswerError::WrongShape("an object without an array named findings".to_owned()));
            };
            let summary = text_of(&fields, "summary", "the answer")?.unwrap_or_default();
            Answer::new(shortened(summary.trim(), BODY_CHARS_MAX), findings, model)?
        }
        _ => return Err(AnswerError::NoDocument),
    };
    answer.cut_off |= !whole;
    Ok(answer)
}

/// As [`parse_answer`], of the text alone: the entry for fuzzers, which have nothing else.
pub fn parse_answer_text(text: &str) -> Result<Answer, AnswerError> {
    parse_answer(text, &Finish::Stop, "")
}

impl Answer {
    fn new(summary: String, findings: &[Value], model: &str) -> Result<Self, AnswerError> {
        let kept = &findings[..findings.len().min(FINDINGS_MAX)];
        let drafts = kept.iter().enumerate().map(|(i, f)| finding(f, &format!("finding {}", i + 1), model));
        Ok(Self { summary, findings: drafts.collect::<Result<_, _>>()?, cut_off: kept.len() < findings.len() })
    }
}

/// One finding; `what` names it in errors.
fn finding(value: &Value, what: &str, model: &str) -> Result<DraftFinding, AnswerError> {
    let wrong = |problem: &str| AnswerError::WrongShape(format!("{what}: {problem}"));
    let fields = value.as_object().ok_or_else(|| wrong("no object"))?;
    let path = text_of(fields, "path", what)?.unwrap_or_default().trim();
    if path.is_empty() || path.len() > PATH_BYTES_MAX {
        return Err(wrong("its path is missing or too long"));
    }
    let title = text_of(fields, "title", what)?.unwrap_or_default();
    let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
    if title.is_empty() {
        return Err(wrong("its title is missing"));
    }
    let line = line_of(fields, "line", what)?;
    let start_line = line_of(fields, "start_line", what)?.filter(|start| line.is_some_and(|line| *start < line));
    let severity = text_of(fields, "severity", what)?.unwrap_or_default().trim().to_ascii_lowercase();
    Ok(DraftFinding {
        source: Source::Model(model.to_owned()),
        severity: severity.parse().unwrap_or(Severity::Minor),
        path: RepoPath::from(path),
        start_line,
        line,
        title: shortened(&title, TITLE_CHARS_MAX),
        body: shortened(text_of(fields, "body", what)?.unwrap_or_default().trim(), BODY_CHARS_MAX),
        suggestion: suggestion(text_of(fields, "suggestion", what)?.unwrap_or_default()),
    })
}

/// A field's text; `None` when it is missing or null.
fn text_of<'a>(fields: &'a Map<String, Value>, field: &str, what: &str) -> Result<Option<&'a str>, AnswerError> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(AnswerError::WrongShape(format!("{what}: its {field} is no text"))),
    }
}

/// A field's line number; `None` when it is missing, null, or a number that is no line's.
fn line_of(fields: &Map<String, Value>, field: &str, what: &str) -> Result<Option<u32>, AnswerError> {
    match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(n)) => Ok(n.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)),
        Some(_) => Err(AnswerError::WrongShape(format!("{what}: its {field} is no number"))),
    }
}

/// The lines to write, without the fence that models put around them. None when there are none (models that must fill the
/// field leave it empty), or too many: half a suggestion would be wrong code.
fn suggestion(text: &str) -> Option<String> {
    let fenced = text.trim().strip_prefix("```").and_then(|t| t.strip_suffix("```")).and_then(|t| t.split_once('\n'));
    let text = fenced.map_or(text, |(_language, lines)| lines).trim_end_matches(['\r', '\n']);
    (!text.trim().is_empty() && text.chars().count() <= BODY_CHARS_MAX).then(|| text.to_owned())
}

/// At most `chars_max` characters, with an ellipsis in place of what is too much.
fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(chars_max - 1).chain(['\u{2026}']).collect(),
    }
}

#[cfg(test)]
mod tests;

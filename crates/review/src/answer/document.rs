use serde_json::{Deserializer, Value};

use super::AnswerError;

/// The one JSON document of a text.
pub(super) struct Document {
    pub(super) value: Value,
    /// Whether it is all there. If not, `value` holds what was whole.
    pub(super) whole: bool,
}

/// Finds the text's one document, wherever it stands. What can only be prose is stepped over; what begins as JSON must go
/// on as JSON, so that no part of a broken document is taken for the whole.
pub(super) fn find(text: &str) -> Result<Document, AnswerError> {
    let mut found: Option<Document> = None;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '[']) {
        rest = &rest[at..];
        if !begins_json(rest) {
            rest = &rest[1..];
            continue;
        }
        let mut values = Deserializer::from_str(rest).into_iter::<Value>();
        let (document, next) = match values.next() {
            Some(Ok(value)) => (Document { value, whole: true }, &rest[values.byte_offset()..]),
            Some(Err(e)) if e.is_eof() => (Document { value: whole_part(rest)?, whole: false }, ""),
            Some(Err(e)) => return Err(AnswerError::Malformed(e.to_string())),
            None => break,
        };
        found = match found {
            // An empty array beside a document is a piece of the prose's code.
            Some(first) if is_empty_array(&document.value) => Some(first),
            Some(first) if !is_empty_array(&first.value) => return Err(AnswerError::SeveralDocuments),
            _ => Some(document),
        };
        rest = next;
    }
    found.ok_or(AnswerError::NoDocument)
}

/// Whether a text that begins with a bracket is meant as an answer: an object with a name in it, an array of objects, or
/// an empty array. Code and footnotes in prose (`{ return }`, `[1]`, `{}`) are none. A text that ends here may be either,
/// and counts as one that was cut off.
fn begins_json(text: &str) -> bool {
    let mut signs = text.chars().filter(|c| !c.is_whitespace());
    match (signs.next(), signs.next()) {
        (Some('{'), next) => matches!(next, Some('"') | None),
        (_, next) => matches!(next, Some('{' | ']') | None),
    }
}

fn is_empty_array(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

/// Of a document that was cut off: the document that ends behind the last finding that is whole, with the brackets closed
/// that are open there.
fn whole_part(text: &str) -> Result<Value, AnswerError> {
    let (mut open, mut in_text, mut escaped) = (Vec::new(), false, false);
    let mut last = None;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => open.push(byte),
            b'}' | b']' if !in_text => {
                open.pop();
                match open[..] {
                    [b'{', b'['] => last = Some((at, "]}")),
                    [b'['] => last = Some((at, "]")),
                    [b'{'] => last = Some((at, "}")),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    let (end, closing) = last.ok_or(AnswerError::CutOff)?;
    serde_json::from_str(&format!("{}{closing}", &text[..=end])).map_err(|e| AnswerError::Malformed(e.to_string()))
}

//! Reads what scripts answer.

use redis::Value;
use store::StoreError;

fn other(value: &Value) -> StoreError {
    let source = format!("an answer of another shape: {}", shape(value)).into();
    StoreError::Corrupt { what: "an answer of Redis", source }
}

/// What a value is, without what it holds, which may be a payload.
fn shape(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nothing",
        Value::Int(_) => "a number",
        Value::BulkString(_) | Value::SimpleString(_) => "a text",
        Value::Array(_) => "a list",
        _ => "something else",
    }
}

/// Bytes.
pub(crate) fn bytes(value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        value => Err(other(&value)),
    }
}

/// Bytes, or that there are none.
pub(crate) fn maybe_bytes(value: Value) -> Result<Option<Vec<u8>>, StoreError> {
    if value == Value::Nil { Ok(None) } else { bytes(value).map(Some) }
}

/// A text.
pub(crate) fn text(value: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes(value)?).map_err(crate::error::corrupt("a text"))
}

/// A whole number, as such or as its digits.
pub(crate) fn int(value: &Value) -> Result<i64, StoreError> {
    match value {
        Value::Int(n) => Ok(*n),
        Value::BulkString(digits) => {
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(|| other(value))
        }
        value => Err(other(value)),
    }
}

/// A count.
pub(crate) fn count(value: &Value) -> Result<usize, StoreError> {
    Ok(usize::try_from(int(value)?).unwrap_or(0))
}

/// A number written as its digits, or as an empty text when there is none.
pub(crate) fn maybe_int(value: Value) -> Result<Option<i64>, StoreError> {
    let digits = text(value)?;
    if digits.is_empty() {
        return Ok(None);
    }
    digits.parse().map(Some).map_err(crate::error::corrupt("a number"))
}

/// A list.
pub(crate) fn list(value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(items) => Ok(items),
        value => Err(other(&value)),
    }
}

/// A list of so many parts.
pub(crate) fn parts<const N: usize>(value: Value) -> Result<[Value; N], StoreError> {
    let items = list(value)?;
    items.try_into().map_err(|items| other(&Value::Array(items)))
}

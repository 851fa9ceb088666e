use std::{fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

/// Most bytes a payload may have, as JSON text. Larger inputs belong into a store of their own, named by the payload.
pub const PAYLOAD_MAX_BYTES: usize = 256 * 1024;

/// What a job is to work on: one JSON value, kept as the text it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);

/// Why a text is no payload.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// Over [`PAYLOAD_MAX_BYTES`].
    #[error("the payload has {bytes} bytes: at most {PAYLOAD_MAX_BYTES} are allowed")]
    TooLarge {
        /// Bytes found.
        bytes: usize,
    },
    /// Not one JSON value, or a string in it holds a NUL or half of a surrogate pair.
    #[error("the payload is not usable JSON")]
    Json(#[from] serde_json::Error),
}

impl Payload {
    /// Checks a JSON text. Refused are a NUL in any string or key (Postgres cannot store it) and lone surrogates.
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Self, PayloadError> {
        let text: Arc<str> = text.into();
        if text.len() > PAYLOAD_MAX_BYTES {
            return Err(PayloadError::TooLarge { bytes: text.len() });
        }
        let mut json = serde_json::Deserializer::from_str(&text);
        Storable.deserialize(&mut json)?;
        json.end()?;
        Ok(Self(text))
    }

    /// Writes a value as JSON and checks it like [`Payload::parse`].
    pub fn of(value: &impl Serialize) -> Result<Self, PayloadError> {
        Self::parse(serde_json::to_string(value)?)
    }

    /// JSON's `null`: nothing to work on.
    pub fn null() -> Self {
        Self("null".into())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the payload as a type.
    pub fn to<T: for<'de> Deserialize<'de>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

/// Walks a JSON value without building it, refusing what a backend could not store.
struct Storable;

impl<'de> DeserializeSeed<'de> for Storable {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Storable {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(E::custom("a string may not contain NUL (\\u0000)")) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Storable)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while entries.next_key_seed(Storable)?.is_some() {
            entries.next_value_seed(Storable)?;
        }
        Ok(())
    }
}

impl Serialize for Payload {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&serde_json::value::RawValue>(&self.0).map_err(serde::ser::Error::custom)?.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<serde_json::value::RawValue>::deserialize(from)?;
        Self::parse(raw.get()).map_err(|e| match e {
            PayloadError::Json(e) => D::Error::custom(e),
            too_large @ PayloadError::TooLarge { .. } => D::Error::custom(too_large),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_keeps_its_text() {
        let text = r#"{ "n": 12345678901234567890123, "s": "ü🦀" }"#;
        assert_eq!(Payload::parse(text).unwrap().as_str(), text);
    }

    #[test]
    fn nul_and_lone_surrogates_are_refused_wherever_they_stand() {
        for text in [r#""\u0000""#, r#"{"\u0000":1}"#, r#"[[{"a":["x\u0000"]}]]"#, r#""\ud800""#, r#"{"a":"\udc00x"}"#]
        {
            assert!(matches!(Payload::parse(text), Err(PayloadError::Json(_))), "{text}");
        }
    }

    #[test]
    fn more_than_one_value_and_more_than_the_limit_are_refused() {
        assert!(matches!(Payload::parse("1 2"), Err(PayloadError::Json(_))));
        let full = format!("\"{}\"", "x".repeat(PAYLOAD_MAX_BYTES - 2));
        assert!(Payload::parse(full.clone()).is_ok());
        assert!(matches!(Payload::parse(format!("{full} ")), Err(PayloadError::TooLarge { .. })));
    }
}

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, error::Category};

use crate::problem::{Problem, ProblemKind, shown};

/// The fields of a JSON object whose values are texts and numbers. Taken apart by hand, so that an error names the field, its
/// value and what is allowed, and repeats no more than the start of what the caller sent.
#[derive(Debug)]
pub(crate) struct Fields(BTreeMap<String, Value>);

impl Fields {
    /// Reads a body that may have the `known` fields and no others, each once.
    pub(crate) fn parse(body: &[u8], known: &[&str]) -> Result<Self, Problem> {
        let object: Object = serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Data => Problem::new(ProblemKind::NotAnObject, "The body must be a JSON object."),
            // The library's words quote nothing of the body here.
            Category::Io | Category::Syntax | Category::Eof => {
                Problem::new(ProblemKind::InvalidJson, error.to_string())
            }
        })?;
        if let Some(field) = object.repeated {
            let detail = format!("The field {:?} stands twice.", shown(&field));
            return Err(Problem::field(ProblemKind::UnknownField, &field, None, detail, "each field once"));
        }
        if let Some(field) = object.fields.keys().find(|field| !known.contains(&field.as_str())) {
            let detail = format!("There is no field {:?}.", shown(field));
            return Err(Problem::field(ProblemKind::UnknownField, field, None, detail, known.join(", ")));
        }
        Ok(Self(object.fields))
    }

    /// Takes out a text that must be there.
    pub(crate) fn required(&mut self, field: &'static str) -> Result<String, Problem> {
        self.optional(field)?.ok_or_else(|| {
            let detail = format!("The field {field:?} is missing.");
            Problem::field(ProblemKind::MissingField, field, None, detail, "a text")
        })
    }

    /// Takes out a text that may be left out or `null`.
    pub(crate) fn optional(&mut self, field: &'static str) -> Result<Option<String>, Problem> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Problem::invalid(field, &other.to_string(), "a text")),
        }
    }

    /// Takes out a number that may be left out or `null`; which ones are allowed, in words.
    pub(crate) fn number(&mut self, field: &'static str, allowed: &'static str) -> Result<Option<u32>, Problem> {
        match self.0.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().map(u32::try_from) {
                Some(Ok(number)) => Ok(Some(number)),
                _ => Err(Problem::invalid(field, &value.to_string(), allowed)),
            },
        }
    }
}

/// A JSON object, with the first name that stands in it twice: readers disagree on which of the two values counts.
struct Object {
    fields: BTreeMap<String, Value>,
    repeated: Option<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
        let mut object = Object { fields: BTreeMap::new(), repeated: None };
        while let Some((field, value)) = entries.next_entry::<String, Value>()? {
            match object.fields.entry(field) {
                Entry::Vacant(entry) => _ = entry.insert(value),
                Entry::Occupied(entry) => _ = object.repeated.get_or_insert_with(|| entry.key().clone()),
            }
        }
        Ok(object)
    }
}

//! How a whole batch reaches a statement: as one JSON array that `SQLite` unfolds with `jsonb_each`, since binding and
//! stepping a statement a row costs more than the row itself.

use serde::{Serialize, Serializer};
use sqlx::{
    Decode, Encode, Sqlite, Type,
    encode::IsNull,
    error::BoxDynError,
    sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef},
};
use store::StoreError;
use uuid::Uuid;

/// A UUID as `SQLite` holds it: 16 bytes in a column, and 32 hexadecimal digits in a batch, for `unhex`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) Uuid);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0; uuid::fmt::Simple::LENGTH];
        to.serialize_str(self.0.as_simple().encode_lower(&mut digits))
    }
}

impl Type<Sqlite> for Id {
    fn type_info() -> SqliteTypeInfo {
        <[u8] as Type<Sqlite>>::type_info()
    }
}

impl Encode<'_, Sqlite> for Id {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.0.as_bytes().to_vec(), buffer)
    }
}

impl<'r> Decode<'r, Sqlite> for Id {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(Uuid::from_slice(<&[u8] as Decode<Sqlite>>::decode(value)?)?))
    }
}

/// The JSON text of a batch.
pub(crate) fn array<T: Serialize>(rows: &[T]) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|e| StoreError::Corrupt { what: "a batch as JSON", source: Box::new(e) })
}

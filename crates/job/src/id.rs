use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is no UUID where an id was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id: expected a UUID such as 0198c0de-0000-7000-8000-000000000000")]
pub struct ParseIdError {
    text: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// The UUID behind the id.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                // A text of any length may come in from outside; the error keeps the start of it.
                Uuid::parse_str(text).map(Self).map_err(|_| ParseIdError { text: text.chars().take(64).collect() })
            }
        }
    };
}

id! {
    /// Identity of a job for its whole life, replays included. Version 7: ids made later sort later.
    JobId
}
id! {
    /// Identity of one call to claim. Repeating a call under the same id answers the jobs it has leased already.
    ClaimId
}
id! {
    /// Proof of holding a lease. Every write after a claim carries it (the fence).
    LeaseToken
}

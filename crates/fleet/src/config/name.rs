use std::{fmt, str::FromStr};

use serde::Deserialize;

/// A text that is no name of its kind. The text is not repeated: it may be a secret where the name of its variable
/// belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no {what}: {allowed}")]
pub struct NameError {
    what: &'static str,
    allowed: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:literal, $first:pat, $rest:pat) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// A name that the program itself chooses.
            pub(super) fn literal(text: &'static str) -> Self {
                Self(text.to_owned())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                let fits = text.len() <= 64
                    && matches!(text.bytes().next(), Some($first))
                    && text.bytes().all(|b| matches!(b, $rest));
                if fits { Ok(Self(text)) } else { Err(NameError { what: $what, allowed: $allowed }) }
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// What a user has paid for. A metric label, so its values must come from the configuration.
    TierName, "tier", "expected A-Z, then A-Z, 0-9 and '_', 64 at most", b'A'..=b'Z', b'A'..=b'Z' | b'0'..=b'9' | b'_'
}
name! {
    /// A model's name in the configuration. A metric label, so its values must come from the configuration.
    ModelName, "model name", "expected a-z or 0-9, then a-z, 0-9, '.', '_' and '-', 64 at most",
    b'a'..=b'z' | b'0'..=b'9', b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'
}
name! {
    /// Name of an environment variable.
    VariableName, "name of an environment variable", "expected A-Z or '_', then A-Z, 0-9 and '_', 64 at most",
    b'A'..=b'Z' | b'_', b'A'..=b'Z' | b'0'..=b'9' | b'_'
}

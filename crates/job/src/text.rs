use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// A text that does not fit the value it was meant for. Names the value, what is wrong and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing, or more than fits.
    #[error("{what} must have 1 to {max_bytes} bytes, and has {bytes}")]
    Length {
        /// Name of the value.
        what: &'static str,
        /// Bytes found.
        bytes: usize,
        /// Bytes allowed.
        max_bytes: usize,
    },
    /// A character that is not allowed.
    #[error("{what} may not contain {found:?}: allowed are {allowed}")]
    Character {
        /// Name of the value.
        what: &'static str,
        /// The first such character.
        found: char,
        /// What is allowed, in words.
        allowed: &'static str,
    },
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:literal, $allowed:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Most bytes the text may have.
            pub const MAX_BYTES: usize = $max;

            /// Checks length and characters.
            pub fn new(text: impl AsRef<str>) -> Result<Self, TextError> {
                let text = text.as_ref();
                if text.is_empty() || text.len() > $max {
                    return Err(TextError::Length { what: $what, bytes: text.len(), max_bytes: $max });
                }
                let ok: fn(char) -> bool = $ok;
                match text.chars().find(|c| !ok(*c)) {
                    Some(found) => Err(TextError::Character { what: $what, found, allowed: $allowed }),
                    None => Ok(Self(text.into())),
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;

            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0.as_ref().to_owned()
            }
        }
    };
}

const fn is_name(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')
}

// A NUL would be refused by Postgres' text type at the settlement, long after the enqueue was answered.
const fn is_not_nul(c: char) -> bool {
    c != '\0'
}

text! {
    /// Name of a queue. A metric label, so its values must come from the configuration.
    QueueName, "queue name", 64, "a-z, 0-9, '.', '_' and '-'", is_name
}
text! {
    /// What kind of work a job is; the worker picks the handler by it.
    JobKind, "job kind", 64, "a-z, 0-9, '.', '_' and '-'", is_name
}
text! {
    /// Name of a limit that many concurrency keys share, such as `user`.
    LimitClass, "limit class", 64, "a-z, 0-9, '.', '_' and '-'", is_name
}
text! {
    /// Jobs with the same key run at most as often at once as the key's limit says, such as `user:42`.
    ConcurrencyKey, "concurrency key", 256, "all characters but NUL", is_not_nul
}
text! {
    /// At most one live job of a queue has a given unique key.
    UniqueKey, "unique key", 256, "all characters but NUL", is_not_nul
}
text! {
    /// Names what has versions of which only the newest is wanted, such as `acme/widgets#123`.
    SupersedeKey, "supersede key", 256, "all characters but NUL", is_not_nul
}
text! {
    /// Names one version of a supersede key, such as the SHA of a head.
    VersionId, "version id", 256, "all characters but NUL", is_not_nul
}
text! {
    /// Name of several queues that share a limit, such as `account`.
    GroupName, "group name", 64, "a-z, 0-9, '.', '_' and '-'", is_name
}
text! {
    /// Name of a stored schedule, such as `weekly-report`.
    CronName, "schedule's name", 64, "a-z, 0-9, '.', '_' and '-'", is_name
}
text! {
    /// One incarnation of a worker process: a restarted process is another worker, whatever its host is called.
    WorkerId, "worker id", 128, "all characters but NUL", is_not_nul
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_out_of_bounds_says_what_is_allowed() {
        let long = "x".repeat(65);
        assert_eq!(QueueName::new("review").unwrap().as_str(), "review");
        assert_eq!(QueueName::new("").unwrap_err().to_string(), "queue name must have 1 to 64 bytes, and has 0");
        assert_eq!(QueueName::new(long).unwrap_err().to_string(), "queue name must have 1 to 64 bytes, and has 65");
        assert_eq!(
            QueueName::new("Review").unwrap_err().to_string(),
            "queue name may not contain 'R': allowed are a-z, 0-9, '.', '_' and '-'"
        );
    }

    #[test]
    fn a_key_may_hold_any_unicode_but_nul() {
        assert_eq!(ConcurrencyKey::new("user:🦀/ü").unwrap().as_str(), "user:🦀/ü");
        assert!(ConcurrencyKey::new("user:\0").unwrap_err().to_string().contains("all characters but NUL"));
        assert!(serde_json::from_str::<UniqueKey>(r#""a\u0000b""#).is_err());
    }
}

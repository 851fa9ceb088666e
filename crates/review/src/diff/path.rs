use std::{borrow::Cow, fmt};

use serde::{Serialize, Serializer};

/// A path inside a repository, with `/` between its parts. Kept as bytes, since git's paths need not be UTF-8 and two of
/// them must not become one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(Vec<u8>);

impl RepoPath {
    /// From git's bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// As git has it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// For people and prompts; bytes that are no UTF-8 show as `\u{FFFD}`.
    pub fn display(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The part behind the last `/`.
    pub fn file_name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.0.rsplit(|b| *b == b'/').next().unwrap_or(&self.0))
    }

    /// What stands behind the last dot of the file name, in lower case; empty when there is none.
    pub fn extension(&self) -> String {
        self.file_name().rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase()).unwrap_or_default()
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display())
    }
}

impl From<&str> for RepoPath {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Serialize for RepoPath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.display())
    }
}

impl<'de> serde::Deserialize<'de> for RepoPath {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|s| Self(s.into_bytes()))
    }
}

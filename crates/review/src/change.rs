use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that names no repository or commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Not `owner/name`.
    #[error("{0:?} is no repository: expected owner/name, each of 1 to 100 characters a-z, A-Z, 0-9, '.', '_' and '-'")]
    Repository(String),
    /// Not a whole SHA.
    #[error("{0:?} is no commit: expected its whole SHA, 40 or 64 hexadecimal digits")]
    Commit(String),
}

/// `owner/name`, as the forge knows the repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepositoryName(String);

/// A commit's whole SHA, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

/// What a review is asked of: a head, and what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where.
    pub repository: RepositoryName,
    /// The commit to review up to.
    pub head: CommitId,
    /// The branch's side: the diff is against the merge base of it and the head. `None`: the head's first parent, so that
    /// one commit stands for a pull request.
    pub base: Option<CommitId>,
}

/// Facts of a pull request, read once from the forge and carried through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Where.
    pub repository: RepositoryName,
    /// The commit under review.
    pub head: CommitId,
    /// The merge base that the diff is against; `None` for a root commit.
    pub base: Option<CommitId>,
    /// Whether the base should be the head's parent, and is beyond the end of a shallow clone: every file counts as added
    /// then, as git itself shows it.
    #[serde(default)]
    pub base_is_cut_off: bool,
    /// One line.
    pub title: String,
    /// The description; untrusted, like all else that the author wrote.
    pub body: String,
    /// Who wrote it.
    pub author: String,
}

impl RepositoryName {
    /// `owner/name` as one text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl CommitId {
    /// The SHA.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Enough of it for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl FromStr for RepositoryName {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        let part = |p: &str| {
            (1..=100).contains(&p.len())
                && p != "."
                && p != ".."
                && p.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        match text.split_once('/') {
            Some((owner, name)) if part(owner) && part(name) => Ok(Self(text.to_owned())),
            _ => Err(ChangeError::Repository(text.chars().take(210).collect())),
        }
    }
}

impl FromStr for CommitId {
    type Err = ChangeError;

    fn from_str(text: &str) -> Result<Self, ChangeError> {
        if matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ChangeError::Commit(text.chars().take(80).collect()))
        }
    }
}

macro_rules! text_conversions {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = ChangeError;

            fn try_from(text: String) -> Result<Self, ChangeError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_conversions!(RepositoryName);
text_conversions!(CommitId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_cannot_name_a_path() {
        assert_eq!("acme/widgets.rs".parse::<RepositoryName>().unwrap().as_str(), "acme/widgets.rs");
        for text in ["", "acme", "acme/", "/widgets", "a/b/c", "../etc", "acme/..", "acme/wid gets", "ac\0me/x"] {
            assert!(text.parse::<RepositoryName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_commit_is_a_whole_sha() {
        let sha = "0123456789ABCDEF0123456789abcdef01234567";
        assert_eq!(sha.parse::<CommitId>().unwrap().short(), "0123456789");
        for text in ["HEAD", "", "0123456", "--upload-pack=x", "g123456789abcdef0123456789abcdef01234567"] {
            assert!(text.parse::<CommitId>().is_err(), "{text:?}");
        }
    }
}

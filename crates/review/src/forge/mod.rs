//! Forges: where changes come from.

mod local;

pub use local::{LocalGit, LocalGitError, LocalGitSettings};

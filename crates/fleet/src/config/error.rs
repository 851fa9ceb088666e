use std::{fmt, io, path::PathBuf};

/// Why there is no configuration. Names the place, the value and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("the configuration {} cannot be read", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file has a mistake.
    #[error("{0}")]
    File(Mistake),
    /// An environment variable has a mistake.
    #[error("environment variable {variable}: {what}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong and what is allowed; never the value, which may be a secret.
        what: String,
    },
    /// An option of the command line has a mistake.
    #[error("{option}: {what}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What is wrong and what is allowed; never the value, which may hold a secret.
        what: String,
    },
    /// A secret's file is not there or cannot be read.
    #[error("environment variable {variable}: the file {} cannot be read", path.display())]
    SecretFile {
        /// The variable that names it.
        variable: String,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file's name as it was given.
    pub file: String,
    /// The line, from 1, if the key stands in the file: a mistake can be in a default that something else contradicts.
    pub line: Option<usize>,
    /// The key with its tables, as `worker.concurrency`.
    pub key: Option<String>,
    /// The value as it is written, cut to a readable length.
    pub value: Option<String>,
    /// What is wrong and what is allowed.
    pub what: String,
}

impl ConfigError {
    pub(crate) fn environment(variable: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Environment { variable: variable.into(), what: what.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        write!(f, ": {}", self.what)
    }
}

use std::{collections::BTreeMap, fs};

use secrecy::SecretString;

use crate::ConfigError;

/// Most bytes of a secret's file: a file that is longer was named by mistake.
const SECRET_FILE_MAX_BYTES: usize = 16 * 1024;

/// The environment variables that the configuration may read. An empty variable counts as one that is not set.
/// It has no `Debug`, since a variable may be a secret.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process. A variable that is no Unicode is left out.
    #[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
    pub fn of_process() -> Self {
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(unicode).collect())
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A secret: from the variable itself, or from the file that the variable with `_FILE` behind its name names, whose
    /// trailing line break is not part of it.
    pub fn secret(&self, name: &str) -> Result<Option<SecretString>, ConfigError> {
        let file_variable = format!("{name}_FILE");
        match (self.get(name), self.get(&file_variable)) {
            (None, None) => Ok(None),
            (Some(value), None) => checked(name, value).map(Some),
            (None, Some(path)) => {
                let text = fs::read_to_string(path).map_err(|source| ConfigError::SecretFile {
                    variable: file_variable.clone(),
                    path: path.into(),
                    source,
                })?;
                if text.len() > SECRET_FILE_MAX_BYTES {
                    return Err(ConfigError::environment(
                        file_variable,
                        format!("{path} has {} bytes: a secret has at most {SECRET_FILE_MAX_BYTES}", text.len()),
                    ));
                }
                checked(&file_variable, text.trim_end_matches(['\r', '\n'])).map(Some)
            }
            (Some(_), Some(_)) => {
                Err(ConfigError::environment(name, format!("{file_variable} is set as well: only one of them may be")))
            }
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A secret travels in an HTTP header, where anything else would be refused at the first call only.
fn checked(variable: &str, secret: &str) -> Result<SecretString, ConfigError> {
    if !secret.is_empty() && secret.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(secret.into())
    } else {
        let what = "a secret has one or more visible ASCII characters and no spaces";
        Err(ConfigError::environment(variable, what))
    }
}

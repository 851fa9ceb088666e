use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::{
    Config, ConfigError, ModelConfig, ModelName,
    check::{BASE_URLS, LOG_LEVELS, MODELS, is_base_url, is_log_level, is_model},
    source::Source,
};
use crate::Environment;

const API_KEY: &str = "REVIEWFLEET_API_KEY";
/// A key that is shorter can be guessed.
const API_KEY_BYTES_MIN: usize = 16;
const OPENAI_URL: &str = "OPENAI_BASE_URL";
const OPENAI_MODEL: &str = "OPENAI_MODEL";
const OPENAI_KEY: &str = "OPENAI_API_KEY";
const LOG_LEVEL: &str = "RUST_LOG";

/// What only the environment may hold.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The keys of the API: `REVIEWFLEET_API_KEY`, separated by commas where there is more than one.
    pub api_keys: Vec<SecretString>,
    /// The models' keys, as far as they are there.
    pub model_keys: BTreeMap<ModelName, SecretString>,
}

/// Who may use the API.
#[derive(Debug, Clone)]
pub enum ApiAccess {
    /// Who shows one of these keys; there are more than one while they are rotated.
    Keys(Vec<SecretString>),
    /// Every program of this machine; the API listens on a loopback address.
    AnonymousLoopback,
}

impl Config {
    /// Adds what the environment says: keys, the database, the model behind `OPENAI_BASE_URL`, and the log's level.
    pub(super) fn take_environment(
        &mut self,
        source: &Source<'_>,
        environment: &Environment,
    ) -> Result<(), ConfigError> {
        if let Some(keys) = environment.secret(API_KEY)? {
            for key in keys.expose_secret().split(',') {
                if key.len() < API_KEY_BYTES_MIN {
                    let what = format!("a key has {} bytes: expected at least {API_KEY_BYTES_MIN}", key.len());
                    return Err(ConfigError::environment(API_KEY, what));
                }
                self.secrets.api_keys.push(key.into());
            }
        }
        self.limits.take_environment(environment)?;
        self.store.take_environment(environment)?;
        self.take_openai(source, environment)?;
        for (name, model) in &self.models {
            if let Some(variable) = model.key_variable()
                && let Some(key) = environment.secret(variable)?
            {
                self.secrets.model_keys.insert(name.clone(), key);
            }
        }
        if let Some(level) = environment.get(LOG_LEVEL) {
            if !is_log_level(level) {
                return Err(ConfigError::environment(LOG_LEVEL, LOG_LEVELS));
            }
            level.clone_into(&mut self.telemetry.log_level);
        }
        Ok(())
    }

    /// A server that speaks `OpenAI`'s wire, as its tools are told of it. A key alone is not enough: it is on many
    /// machines, and nobody has said that code may go there.
    fn take_openai(&mut self, source: &Source<'_>, environment: &Environment) -> Result<(), ConfigError> {
        let Some(url) = environment.get(OPENAI_URL) else { return Ok(()) };
        let name = ModelName::literal("openai");
        if self.models.contains_key(&name) {
            let what = format!("{OPENAI_URL} defines a model of this name too: rename this one or unset the variable");
            return Err(source.wrong(&["models", name.as_str()], what));
        }
        let model = environment.get(OPENAI_MODEL);
        let has_key = environment.secret(OPENAI_KEY)?.is_some();
        let openai = ModelConfig::openai(model, url, has_key.then_some(OPENAI_KEY));
        if !is_base_url(openai.url()) {
            return Err(ConfigError::environment(OPENAI_URL, BASE_URLS));
        }
        if model.is_some_and(|model| !is_model(model)) {
            return Err(ConfigError::environment(OPENAI_MODEL, MODELS));
        }
        self.models.insert(name.clone(), openai);
        if !self.routing.names(&name) {
            self.routing.fallbacks.push(name);
        }
        Ok(())
    }
}

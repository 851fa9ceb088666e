use std::{collections::BTreeMap, time::Duration};

use review::Micros;
use serde::{Deserialize, Deserializer};

use super::{
    name::{ModelName, VariableName},
    value::{optional, optional_usd, secs, usd, whole},
};

const GEMINI_URL: &str = "https://generativelanguage.googleapis.com";
const GEMINI_KEY: &str = "GEMINI_API_KEY";

/// `[models.NAME]`: a language model. An entry of a shipped name takes the shipped one's place as a whole, so that no
/// price of another model is left in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct ModelConfig {
    /// Whose wire it speaks.
    pub provider: Provider,
    /// The provider's name for it. An `openai` server may be left to say it: then the first model that it lists is asked.
    #[serde(default)]
    pub model: Option<String>,
    /// Root of the provider's URLs; see [`ModelConfig::url`].
    #[serde(default)]
    pub base_url: Option<String>,
    /// The environment variable that holds the key; see [`ModelConfig::key_variable`].
    #[serde(default)]
    pub api_key_env: Option<VariableName>,
    /// Price of a million tokens in.
    #[serde(rename = "input_usd_per_million_tokens", deserialize_with = "usd")]
    pub input_price: Micros,
    /// Price of a million of them that came from the provider's cache; as the others when left out.
    #[serde(rename = "cached_usd_per_million_tokens", default, deserialize_with = "optional_usd")]
    pub cached_price: Option<Micros>,
    /// Price of a million tokens out, thoughts included.
    #[serde(rename = "output_usd_per_million_tokens", deserialize_with = "usd")]
    pub output_price: Micros,
    /// The higher prices of long prompts, where the provider has them.
    #[serde(default)]
    pub long_prompt: Option<LongPromptConfig>,
    /// Most tokens of thoughts, for generations of Gemini that take a number; 0 for none, -1 for as many as it likes.
    #[serde(default, deserialize_with = "optional::<-1, 1_000_000, _, _>")]
    pub thinking_budget_tokens: Option<i32>,
    /// How much to think, for generations of Gemini that take a level.
    #[serde(default)]
    pub thinking_level: Option<ThinkingLevel>,
    /// How an `openai` server is told to write JSON; by the schema when left out.
    #[serde(default)]
    pub response_format: Option<ResponseFormat>,
    /// The field that bounds the answer of an `openai` server; `max_tokens` when left out.
    #[serde(default)]
    pub output_limit_field: Option<OutputLimitField>,
    /// How long one call may take, without its retries.
    #[serde(rename = "timeout_secs", default = "default_timeout", deserialize_with = "secs::<1, 3_600, _>")]
    pub timeout: Duration,
    /// Calls after the first one when it fails in passing.
    #[serde(default = "default_retries", deserialize_with = "whole::<0, 10, _, _>")]
    pub retries: u32,
}

/// `[models.NAME.long_prompt]`: prices of prompts above a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct LongPromptConfig {
    /// A prompt of more tokens than this is long, and all its tokens cost the higher prices.
    #[serde(deserialize_with = "whole::<1, 10_000_000, _, _>")]
    pub above_tokens: u32,
    /// Price of a million tokens in.
    #[serde(rename = "input_usd_per_million_tokens", deserialize_with = "usd")]
    pub input_price: Micros,
    /// Price of a million of them that came from the provider's cache; as the others when left out.
    #[serde(rename = "cached_usd_per_million_tokens", default, deserialize_with = "optional_usd")]
    pub cached_price: Option<Micros>,
    /// Price of a million tokens out, thoughts included.
    #[serde(rename = "output_usd_per_million_tokens", deserialize_with = "usd")]
    pub output_price: Micros,
}

/// Whose wire a model speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Gemini's `generateContent`.
    Gemini,
    /// Chat completions, as `OpenAI` and many other servers speak them.
    OpenAi,
}

/// How much a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThinkingLevel {
    /// As little as the model can.
    Minimal,
    /// Little.
    Low,
    /// In between.
    Medium,
    /// Much.
    High,
}

/// How a server is told to write JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// By the schema of the answer.
    JsonSchema,
    /// Any JSON; the schema stands in the prompt alone.
    JsonObject,
    /// Not at all; the prompt asks for it.
    None,
}

/// The field of a request that bounds its answer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputLimitField {
    /// Most servers.
    MaxTokens,
    /// The models of `OpenAI` that reason.
    MaxCompletionTokens,
}

/// `[routing]`: which model reviews which change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct RoutingConfig {
    /// For simple changes.
    pub simple: ModelName,
    /// For medium changes.
    pub medium: ModelName,
    /// For complex changes.
    pub complex: ModelName,
    /// Tried in this order after the one above.
    pub fallbacks: Vec<ModelName>,
}

impl Provider {
    /// The name as it stands in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::OpenAi => "openai",
        }
    }
}

impl ThinkingLevel {
    /// The name as it stands in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl ModelConfig {
    /// A model whose prices nobody has told: it counts as free.
    pub(super) fn openai(model: Option<&str>, base_url: &str, key_variable: Option<&'static str>) -> Self {
        Self {
            provider: Provider::OpenAi,
            base_url: Some(base_url.to_owned()),
            api_key_env: key_variable.map(VariableName::literal),
            model: model.map(str::to_owned),
            ..gemini("", 0, 0)
        }
    }

    /// The longest that a call may take with its retries: none starts once the timeout of one has gone by.
    pub fn longest_call(&self) -> Duration {
        if self.retries == 0 { self.timeout } else { self.timeout * 2 }
    }

    /// Root of the provider's URLs: the configured one, or the provider's own. The check at load sees to it that only a
    /// provider with a place of its own is left without one.
    pub fn url(&self) -> &str {
        self.base_url.as_deref().unwrap_or(GEMINI_URL)
    }

    /// The environment variable that holds the key; `None` for a server that takes none.
    pub fn key_variable(&self) -> Option<&str> {
        match (&self.api_key_env, self.provider) {
            (Some(name), _) => Some(name.as_str()),
            (None, Provider::Gemini) => Some(GEMINI_KEY),
            (None, Provider::OpenAi) => None,
        }
    }
}

impl Default for RoutingConfig {
    fn default() -> Self {
        let fast = || ModelName::literal(FAST);
        Self { simple: fast(), medium: fast(), complex: ModelName::literal(STRONG), fallbacks: vec![fast()] }
    }
}

const FAST: &str = "fast";
const STRONG: &str = "strong";

/// The models of every configuration. Prices in US dollars a million tokens as Google listed them in 2025:
/// <https://ai.google.dev/gemini-api/docs/pricing>.
pub fn default_models() -> BTreeMap<ModelName, ModelConfig> {
    let fast = ModelConfig { thinking_budget_tokens: Some(1_024), ..gemini("gemini-2.5-flash", 300_000, 2_500_000) };
    let strong = ModelConfig {
        thinking_budget_tokens: Some(4_096),
        long_prompt: Some(LongPromptConfig {
            above_tokens: 200_000,
            input_price: Micros(2_500_000),
            cached_price: None,
            output_price: Micros(15_000_000),
        }),
        ..gemini("gemini-2.5-pro", 1_250_000, 10_000_000)
    };
    BTreeMap::from([(ModelName::literal(FAST), fast), (ModelName::literal(STRONG), strong)])
}

fn gemini(model: &str, input_micros: u64, output_micros: u64) -> ModelConfig {
    ModelConfig {
        provider: Provider::Gemini,
        model: Some(model.to_owned()),
        base_url: None,
        api_key_env: None,
        input_price: Micros(input_micros),
        cached_price: None,
        output_price: Micros(output_micros),
        long_prompt: None,
        thinking_budget_tokens: None,
        thinking_level: None,
        response_format: None,
        output_limit_field: None,
        timeout: default_timeout(),
        retries: default_retries(),
    }
}

pub fn models<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<ModelName, ModelConfig>, D::Error> {
    let mut models = default_models();
    models.extend(BTreeMap::<ModelName, ModelConfig>::deserialize(deserializer)?);
    Ok(models)
}

/// With its retries a call takes at most 90 s, of the 120 that most jobs have.
const fn default_timeout() -> Duration {
    Duration::from_secs(45)
}

const fn default_retries() -> u32 {
    2
}

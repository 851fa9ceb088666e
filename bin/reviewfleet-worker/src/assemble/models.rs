use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use fleet::{Config, ModelConfig, ModelName, Provider};
use review::{
    LanguageModel, Micros,
    model::{
        BreakerSettings, Client, Gemini, GeminiSettings, HttpSettings, LongPromptPrices, ModelPrices, OpenAi,
        OpenAiSettings, OutputLimitField, PricedModel, ResponseFormat, Router, Routes, Thinking,
    },
};

/// A server that is there answers a connection well within it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait before an adapter's first retry: the job's own retries are for longer faults.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two of an adapter's retries.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(8);

/// The models whose keys are there, along the configured routes. Without any, every route is empty.
pub fn router(config: &Config) -> Result<Router> {
    let available: Vec<&ModelName> = config.models.keys().filter(|name| config.is_available(name)).collect();
    let models = available.into_iter().map(|name| priced(config, name)).collect::<Result<_>>()?;
    let route = |first| config.models_after(first).into_iter().map(|name| name.as_str().to_owned()).collect();
    let routes = Routes {
        simple: route(&config.routing.simple),
        medium: route(&config.routing.medium),
        complex: route(&config.routing.complex),
    };
    Ok(Router::new(models, &routes, BreakerSettings::default())?)
}

fn priced(config: &Config, name: &ModelName) -> Result<PricedModel> {
    let model = &config.models[name];
    let adapter = adapter(config, name, model).with_context(|| format!("[models.{}]", name.as_str()))?;
    Ok(PricedModel::new(adapter, prices(model)))
}

fn adapter(config: &Config, name: &ModelName, model: &ModelConfig) -> Result<Arc<dyn LanguageModel>> {
    let client = Client::new(HttpSettings {
        connect_timeout: CONNECT_TIMEOUT,
        request_timeout: model.timeout,
        retries_max: model.retries,
        retry_wait: RETRY_WAIT,
        retry_wait_max: RETRY_WAIT_MAX,
    })?;
    let key = config.secrets.model_keys.get(name).cloned();
    let (name, base_url) = (name.as_str().to_owned(), model.url().to_owned());
    Ok(match model.provider {
        Provider::Gemini => {
            let key = key.context("its key is missing")?;
            let wire_name = model.model.clone().context("its model is missing")?;
            let settings = GeminiSettings { name, base_url, model: wire_name, key, thinking: thinking(model) };
            Arc::new(Gemini::new(settings, client)?)
        }
        Provider::OpenAi => {
            let settings = OpenAiSettings {
                name,
                base_url,
                model: model.model.clone(),
                key,
                response_format: response_format(model),
                output_limit: output_limit(model),
            };
            Arc::new(OpenAi::new(settings, client)?)
        }
    })
}

fn thinking(model: &ModelConfig) -> Thinking {
    match (model.thinking_budget_tokens, model.thinking_level) {
        (Some(tokens), _) => Thinking::Budget(tokens),
        (None, Some(level)) => Thinking::Level(level.as_str().to_owned()),
        (None, None) => Thinking::ModelDefault,
    }
}

fn response_format(model: &ModelConfig) -> ResponseFormat {
    match model.response_format {
        None | Some(fleet::ResponseFormat::JsonSchema) => ResponseFormat::JsonSchema,
        Some(fleet::ResponseFormat::JsonObject) => ResponseFormat::JsonObject,
        Some(fleet::ResponseFormat::None) => ResponseFormat::None,
    }
}

fn output_limit(model: &ModelConfig) -> OutputLimitField {
    match model.output_limit_field {
        None | Some(fleet::OutputLimitField::MaxTokens) => OutputLimitField::MaxTokens,
        Some(fleet::OutputLimitField::MaxCompletionTokens) => OutputLimitField::MaxCompletionTokens,
    }
}

/// Tokens from a cache that has no price of its own cost as much as any other.
fn prices(model: &ModelConfig) -> ModelPrices {
    let cached = |cached: Option<Micros>, input: Micros| cached.unwrap_or(input);
    ModelPrices {
        input_per_million: model.input_price,
        cached_per_million: cached(model.cached_price, model.input_price),
        output_per_million: model.output_price,
        long_prompt: model.long_prompt.map(|long| LongPromptPrices {
            over_tokens: long.above_tokens.into(),
            input_per_million: long.input_price,
            cached_per_million: cached(long.cached_price, long.input_price),
            output_per_million: long.output_price,
        }),
    }
}

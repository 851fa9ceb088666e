//! What no single value shows: contradictions between values.

use ::review::Micros;
use tracing_subscriber::EnvFilter;

use super::{Config, ConfigError, ModelConfig, ModelName, Provider, TierName, contract, source::Source};

/// Globs that `review.skip` may have: each is tried on each file of a change.
const SKIP_MAX: usize = 200;
/// Most characters of one of them.
const SKIP_CHARS_MAX: usize = 200;
/// Models that one review may try after its first.
const FALLBACKS_MAX: usize = 8;
/// Queues that there may be; a worker serves all of them.
const QUEUES_MAX: usize = 64;
/// Tiers and models that there may be: both are metric labels.
const NAMES_MAX: usize = 64;

pub fn check(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    sizes(config, source)?;
    api(config, source)?;
    store(config, source)?;
    queues(config, source)?;
    contract::check(config, source)?;
    retry(config, source)?;
    review(config, source)?;
    for (name, model) in &config.models {
        self::model(config, source, name, model)?;
    }
    timeouts(config, source)?;
    routing(config, source)?;
    telemetry(config, source)
}

fn sizes(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    for (key, found, max) in [
        ("queues", config.queues.len(), QUEUES_MAX),
        ("tiers", config.tiers.len(), NAMES_MAX),
        ("models", config.models.len(), NAMES_MAX),
    ] {
        if found > max {
            return Err(source.wrong(&[key], format!("there are {found} with the built-in ones: at most {max} may be")));
        }
    }
    Ok(())
}

fn api(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    let api = &config.api;
    if api.allow_anonymous_loopback && !api.listen.ip().is_loopback() {
        let what = format!(
            "anyone who reaches {} could use the API without a key: allowed on a loopback address only, such as \
             127.0.0.1",
            api.listen
        );
        return Err(source.wrong(&["api", "allow_anonymous_loopback"], what));
    }
    if !config.tiers.contains_key(&api.default_tier) {
        let defined = config.tiers.keys().map(TierName::as_str).collect::<Vec<_>>().join(", ");
        let what = format!("there is no tier {}: defined are {defined}", api.default_tier);
        return Err(source.wrong(&["api", "default_tier"], what));
    }
    Ok(())
}

fn store(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    if config.store.data_dir.as_os_str().is_empty() {
        return Err(source.wrong(&["store", "data_dir"], "expected the path of a folder"));
    }
    if config.store.transaction_pooler && config.store.listen_url.is_none() {
        let what = "no wake-up comes through a pooler in transaction mode: name the server's own address in \
                    store.listen_url or DATABASE_LISTEN_URL as well";
        return Err(source.wrong(&["store", "transaction_pooler"], what));
    }
    for (repository, path) in &config.forge.repositories {
        if path.as_os_str().is_empty() {
            let keys = ["forge", "repositories", repository.as_str()];
            return Err(source.wrong(&keys, "expected the path of a git repository"));
        }
    }
    Ok(())
}

fn queues(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    for (name, queue) in &config.queues {
        for (class, limit) in &queue.limits {
            if *limit > queue.limit {
                let what = format!(
                    "a limit of {limit} for each key of class {class} is never reached: all jobs of the queue together \
                     have a limit of {}. Expected at most that",
                    queue.limit
                );
                return Err(source.wrong(&["queues", name.as_str(), "limits", class.as_str()], what));
            }
        }
    }
    Ok(())
}

fn retry(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    let retry = &config.retry;
    if retry.base > retry.cap {
        let what = format!("the first delay is above retry.cap_secs, which is {}", retry.cap.as_secs());
        return Err(source.wrong(&["retry", "base_ms"], what));
    }
    Ok(())
}

fn review(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    let review = &config.review;
    let complexity = &review.complexity;
    for (key, simple, medium_key, medium) in [
        ("simple_lines_below", complexity.simple_lines_below, "medium_lines_below", complexity.medium_lines_below),
        ("simple_files_max", complexity.simple_files_max, "medium_files_max", complexity.medium_files_max),
    ] {
        if simple > medium {
            let what = format!(
                "a simple change would be larger than a medium one: expected at most review.complexity.{medium_key}, \
                 which is {medium}"
            );
            return Err(source.wrong(&["review", "complexity", key], what));
        }
    }
    if review.skip.len() > SKIP_MAX {
        return Err(source.wrong(&["review", "skip"], format!("expected at most {SKIP_MAX} globs")));
    }
    for glob in &review.skip {
        if glob.trim_matches('/').is_empty() || glob.chars().count() > SKIP_CHARS_MAX {
            let what = format!(
                "{glob:?} is no glob of files: expected 1 to {SKIP_CHARS_MAX} characters, as .gitignore has them, such \
                 as \"docs/**\""
            );
            return Err(source.wrong(&["review", "skip"], what));
        }
    }
    Ok(())
}

fn model(config: &Config, source: &Source<'_>, name: &ModelName, model: &ModelConfig) -> Result<(), ConfigError> {
    let wrong = |key: &str, what: String| Err(source.wrong(&["models", name.as_str(), key], what));
    match (&model.model, model.provider) {
        (Some(name), _) if !is_model(name) => return wrong("model", MODELS.into()),
        (None, Provider::Gemini) => return wrong("model", format!("a gemini model needs one: {MODELS}")),
        _ => {}
    }
    match (&model.base_url, model.provider) {
        (None, Provider::OpenAi) => {
            return wrong(
                "base_url",
                "an openai model needs one, such as \"https://api.openai.com/v1\" or \"http://127.0.0.1:11434/v1\""
                    .into(),
            );
        }
        (Some(url), _) if !is_base_url(url) => {
            return wrong("base_url", BASE_URLS.into());
        }
        _ => {}
    }
    keys_of_provider(source, name, model)?;
    thinking(config, source, name, model)?;
    prices(source, name, model)
}

/// Keys that the model's provider does not know would be written in vain.
fn keys_of_provider(source: &Source<'_>, name: &ModelName, model: &ModelConfig) -> Result<(), ConfigError> {
    for (key, is_set, provider) in [
        ("thinking_budget_tokens", model.thinking_budget_tokens.is_some(), Provider::Gemini),
        ("thinking_level", model.thinking_level.is_some(), Provider::Gemini),
        ("response_format", model.response_format.is_some(), Provider::OpenAi),
        ("output_limit_field", model.output_limit_field.is_some(), Provider::OpenAi),
    ] {
        if is_set && model.provider != provider {
            let what = format!("allowed for models of provider {} only", provider.as_str());
            return Err(source.wrong(&["models", name.as_str(), key], what));
        }
    }
    Ok(())
}

fn prices(source: &Source<'_>, name: &ModelName, model: &ModelConfig) -> Result<(), ConfigError> {
    const CACHED: &str = "cached_usd_per_million_tokens";
    let cached_above = |cached: Option<Micros>, input| cached.is_some_and(|cached| cached > input);
    let dearer = "tokens from the cache would cost more than others: expected at most input_usd_per_million_tokens";
    if cached_above(model.cached_price, model.input_price) {
        return Err(source.wrong(&["models", name.as_str(), CACHED], dearer));
    }
    let Some(long) = &model.long_prompt else { return Ok(()) };
    if cached_above(long.cached_price, long.input_price) {
        return Err(source.wrong(&["models", name.as_str(), "long_prompt", CACHED], dearer));
    }
    if long.input_price < model.input_price || long.output_price < model.output_price {
        let what = "long prompts would cost less than others: expected prices that are at least as high";
        return Err(source.wrong(&["models", name.as_str(), "long_prompt"], what));
    }
    Ok(())
}

/// A call that may outlast its job would be cut off by it, and paid for.
fn timeouts(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    let Some((tier, shortest)) = config.tiers.iter().min_by_key(|(_, tier)| tier.timeout) else { return Ok(()) };
    for (name, model) in config.models.iter().filter(|(name, _)| config.routing.names(name)) {
        if model.longest_call() < shortest.timeout {
            continue;
        }
        let tier_keys = ["tiers", tier.as_str(), "timeout_secs"];
        let model_keys = ["models", name.as_str(), "timeout_secs"];
        let what = format!(
            "a job of tier {tier} ends after {} s, and a call of model {name} may take {} s with its retries",
            shortest.timeout.as_secs(),
            model.longest_call().as_secs()
        );
        return Err(if source.has(&tier_keys) && !source.has(&model_keys) {
            source.wrong(&tier_keys, format!("{what}: expected more"))
        } else {
            source.wrong(&model_keys, format!("{what}: expected less"))
        });
    }
    Ok(())
}

fn thinking(config: &Config, source: &Source<'_>, name: &ModelName, model: &ModelConfig) -> Result<(), ConfigError> {
    let keys = ["models", name.as_str(), "thinking_budget_tokens"];
    let Some(budget) = model.thinking_budget_tokens else { return Ok(()) };
    if model.thinking_level.is_some() {
        return Err(source.wrong(&keys, "thinking_level is set as well: a model takes one of them"));
    }
    if i64::from(budget) >= i64::from(config.review.output_tokens_max) {
        let what = format!(
            "thoughts count as output, and no token would be left for the answer: expected less than \
             review.output_tokens_max, which is {}",
            config.review.output_tokens_max
        );
        return Err(source.wrong(&keys, what));
    }
    Ok(())
}

fn routing(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    let routing = &config.routing;
    let defined = config.models.keys().map(ModelName::as_str).collect::<Vec<_>>().join(", ");
    for (key, name) in [("simple", &routing.simple), ("medium", &routing.medium), ("complex", &routing.complex)]
        .into_iter()
        .chain(routing.fallbacks.iter().map(|name| ("fallbacks", name)))
    {
        if !config.models.contains_key(name) {
            let what = format!("there is no model {name}: defined are {defined}");
            return Err(source.wrong(&["routing", key], what));
        }
    }
    if routing.fallbacks.len() > FALLBACKS_MAX {
        return Err(source.wrong(&["routing", "fallbacks"], format!("expected at most {FALLBACKS_MAX} models")));
    }
    let twice = routing.fallbacks.iter().enumerate().find(|(i, name)| routing.fallbacks[..*i].contains(name));
    if let Some((_, name)) = twice {
        return Err(source.wrong(&["routing", "fallbacks"], format!("{name} is named twice: once is enough")));
    }
    Ok(())
}

fn telemetry(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    if is_log_level(&config.telemetry.log_level) {
        return Ok(());
    }
    Err(source.wrong(&["telemetry", "log_level"], LOG_LEVELS))
}

/// What [`is_log_level`] allows.
pub const LOG_LEVELS: &str = "expected error, warn, info, debug, trace or off, or directives such as info,worker=debug";

pub fn is_log_level(text: &str) -> bool {
    !text.is_empty() && EnvFilter::builder().parse(text).is_ok()
}

/// What [`is_model`] allows.
pub const MODELS: &str = "expected the provider's name for the model, 1 to 200 visible ASCII characters";

pub fn is_model(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// What [`is_base_url`] allows.
pub const BASE_URLS: &str = "expected http:// or https://, a host and perhaps a path, without user, query or fragment";

pub fn is_base_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    !host.is_empty()
        && !host.starts_with(':')
        && url.len() <= 500
        && url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'@' | b'?' | b'#' | b'\\'))
}

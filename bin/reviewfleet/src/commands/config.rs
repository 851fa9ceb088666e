use anyhow::Result;
use fleet::{Config, Place};
use serde_json::json;

use crate::output::Output;

/// Says what a configuration that was read and found right comes to.
pub fn check(config: &Config, out: &mut Output) -> Result<()> {
    let file = config.file.as_deref().map_or_else(|| "built-in defaults".to_owned(), |f| f.display().to_string());
    let repositories: Vec<&str> = config.forge.repositories.keys().map(review::RepositoryName::as_str).collect();
    let queues: Vec<&str> = config.queues.keys().map(job::QueueName::as_str).collect();
    if out.is_json() {
        out.object(&json!({
            "file": file,
            "result": "ok",
            "reviewer": config.reviewer_line(),
            "listen": config.api.listen,
            "store": Place::of(&config.store).to_string(),
            "queues": queues,
            "weights": config.worker.weights,
            "repositories": repositories,
        }))?;
        return Ok(());
    }
    out.line(format_args!("{file}: ok"))?;
    out.line(format_args!("  reviewer      {}", config.reviewer_line()))?;
    out.line(format_args!("  api           {}", config.api.listen))?;
    out.line(format_args!("  store         {}", Place::of(&config.store)))?;
    let weighted = |queue: &job::QueueName| match config.worker.weights.get(queue) {
        Some(weight) => format!("{queue} (weight {})", weight.get()),
        None => queue.to_string(),
    };
    let weighted: Vec<String> = config.queues.keys().map(weighted).collect();
    out.line(format_args!("  queues        {}", weighted.join(", ")))?;
    out.line(format_args!(
        "  repositories  {}",
        if repositories.is_empty() { "none".into() } else { repositories.join(", ") }
    ))?;
    Ok(())
}

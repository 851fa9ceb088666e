use std::path::Path;

use anyhow::Result;
use fleet::{Config, Shutdown};
use review::LocalGit;
use serde::Serialize;

use crate::{cli, output::Output, repository, service::Service};

#[derive(Serialize)]
struct Started<'a> {
    url: &'a str,
    reviewer: String,
}

pub async fn run(command: &cli::Up, mut config: Config, shutdown: &Shutdown, out: &mut Output) -> Result<()> {
    if let Some(listen) = command.listen {
        config.api.listen = listen;
    }
    config.check_repositories()?;
    serve_this_repository(&mut config);
    let repositories: Vec<String> = config.forge.repositories.keys().map(ToString::to_string).collect();
    let repositories = if repositories.is_empty() { "none".to_owned() } else { repositories.join(", ") };
    let (reviewer, data) = (config.reviewer_line(), config.store.data_dir.clone());
    let telemetry = fleet::telemetry::init(&config.telemetry)?;
    let mut service = Service::start(config, telemetry.metrics, 1).await?;
    if out.is_json() {
        out.object(&Started { url: service.url(), reviewer })?;
    } else {
        out.line(format_args!("Reviewer:     {reviewer}"))?;
        out.line(format_args!("Data:         {}", data.display()))?;
        out.line(format_args!("Repositories: {repositories}"))?;
        out.line(format_args!("Listening:    {}", service.url()))?;
    }
    let failed = tokio::select! {
        failed = service.failed() => failed,
        () = shutdown.requested() => Ok(()),
    };
    service.stop().await?;
    failed
}

/// Without configured repositories, the git repository that it was started in can be reviewed.
fn serve_this_repository(config: &mut Config) {
    if !config.forge.repositories.is_empty() {
        return;
    }
    if let Ok(root) = LocalGit::discover(Path::new(".")) {
        config.forge.repositories.insert(repository::name_of(&root), root);
    }
}

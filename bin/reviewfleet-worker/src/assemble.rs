use std::sync::Arc;

use anyhow::{Context, Result};
use fleet::{Config, ForgeKind};
use review::{
    CommitId, ContextError, Forge, IndexFacts, LexicalIndex, LexicalSettings, LocalGit, LocalGitSettings,
    RepositoryName, Reviewer,
};

mod models;
mod settings;

/// The review pipeline as the configuration wants it. All workers of a process share one: its context index, its
/// connections and its breakers.
pub struct Workshop {
    index: Arc<LexicalIndex>,
    reviewer: Arc<Reviewer>,
}

impl Workshop {
    /// Builds the pipeline. Nothing is contacted yet.
    pub fn new(config: &Config) -> Result<Self> {
        let forge: Arc<dyn Forge> = match config.forge.kind {
            ForgeKind::Local => Arc::new(local_git(config)),
        };
        let index = Arc::new(LexicalIndex::new(forge.clone(), LexicalSettings::default()));
        let models = models::router(config).context("the models of the configuration cannot be used")?;
        let reviewer = Arc::new(Reviewer::new(forge, index.clone(), models, settings::reviewer(config)?));
        Ok(Self { index, reviewer })
    }

    /// Makes the context index of a repository ahead of its first review, telling of files done and files in all.
    pub async fn index(
        &self,
        repository: &RepositoryName,
        at: &CommitId,
        progress: &(dyn Fn(usize, usize) + Send + Sync),
    ) -> Result<IndexFacts, ContextError> {
        self.index.ensure(repository, at, Some(progress)).await
    }

    pub(crate) fn reviewer(&self) -> Arc<Reviewer> {
        self.reviewer.clone()
    }
}

fn local_git(config: &Config) -> LocalGit {
    let forge = &config.forge;
    let settings = LocalGitSettings {
        diff_bytes_max: forge.diff_max_bytes as u64,
        file_bytes_max: forge.file_max_bytes as u64,
        context_lines: forge.context_lines,
        ..LocalGitSettings::default()
    };
    LocalGit::new(forge.repositories.clone(), settings)
}

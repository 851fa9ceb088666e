use super::Reviewer;
use crate::{ContextError, Note, PullRequest, Snippet, context::query_for, diff::Diff};

impl Reviewer {
    /// Related code. A review without it is worth more than none, so that a fault becomes a note.
    pub(super) async fn retrieve(
        &self,
        pull_request: &PullRequest,
        diff: &Diff,
        notes: &mut Vec<Note>,
    ) -> Vec<Snippet> {
        match self.related(pull_request, diff).await {
            Ok(snippets) => snippets,
            Err(fault) => {
                tracing::warn!(error = &fault as &dyn std::error::Error, "no context for a review");
                notes.push(Note::NoContext { reason: fault.to_string() });
                Vec::new()
            }
        }
    }

    async fn related(&self, pull_request: &PullRequest, diff: &Diff) -> Result<Vec<Snippet>, ContextError> {
        let repository = &pull_request.repository;
        self.context.prepare(repository, &pull_request.head).await?;
        self.context.search(repository, &query_for(diff, &pull_request.title), self.settings.snippets_max).await
    }
}

//! Git repositories on this machine, as a forge: a commit, or a range of commits, stands for a pull request.
//!
//! Reads objects and nothing else. libgit2 runs no hook, filter, textconv or external diff, and this build of it speaks no
//! network protocol. Beyond that a repository is read without its own configuration, its index and its working tree, so
//! that a diff depends on the commits alone: no `diff.*` or `core.*` setting changes a byte of it, contents are compared
//! as they are stored (no end-of-line conversion, no `ident` expansion), and a `.gitattributes` in the tree has no say in
//! what counts as binary or generated. What is still heeded are the attributes that the machine's owner sets:
//! `$GIT_DIR/info/attributes` and the user's and system's attribute files.

mod facts;
mod open;
mod patch;
#[cfg(test)]
mod tests;
mod tree;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use git2::{ErrorCode, Oid, Repository};
use tokio::sync::Semaphore;

use crate::{Change, CommitId, Forge, ForgeError, PullRequest, RepositoryName, TreeFile, diff::RepoPath};

pub use open::LocalGitError;

/// How many repository names an error lists.
const NAMES_LISTED_MAX: usize = 20;

/// Limits of [`LocalGit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalGitSettings {
    /// Most bytes of a diff.
    pub diff_bytes_max: u64,
    /// Most bytes of one file: a larger one is not read, and its changes are shown as those of a binary file.
    pub file_bytes_max: u64,
    /// Unchanged lines around a change.
    pub context_lines: u32,
    /// Git operations at once; each may hold a diff or a file in memory.
    pub operations_max: usize,
}

impl Default for LocalGitSettings {
    /// 16 MiB of diff (a commit of 50,000 lines has about 4), 16 MiB a file, git's own 3 lines of context, 4 operations.
    fn default() -> Self {
        Self { diff_bytes_max: 16 << 20, file_bytes_max: 16 << 20, context_lines: 3, operations_max: 4 }
    }
}

/// The repositories of this machine that may be named.
#[derive(Debug)]
pub struct LocalGit {
    repositories: BTreeMap<RepositoryName, PathBuf>,
    settings: LocalGitSettings,
    operations: Arc<Semaphore>,
}

impl LocalGit {
    /// Over repositories by name. A path is the root of a working tree, a linked working tree, or a bare repository; it
    /// is looked at when it is asked for, so that one missing folder does not keep the others from being reviewed.
    pub fn new(repositories: BTreeMap<RepositoryName, PathBuf>, settings: LocalGitSettings) -> Self {
        let operations = Arc::new(Semaphore::new(settings.operations_max.clamp(1, Semaphore::MAX_PERMITS)));
        Self { repositories, settings, operations }
    }

    /// Runs `work` on a thread where it may block. The permit goes with it: a caller that gives up does not make room for
    /// another operation before this one has ended.
    async fn blocking<T: Send + 'static>(
        &self,
        name: &RepositoryName,
        work: impl FnOnce(&Opened) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        let path = self.repositories.get(name).ok_or_else(|| self.unknown(name))?.clone();
        let (name, settings) = (name.clone(), self.settings);
        let permit = Arc::clone(&self.operations).acquire_owned().await.map_err(unavailable("waiting for a turn"))?;
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let git = open::isolated(&path)
                .map_err(|e| ForgeError::NotARepository { repository: name.clone(), reason: e.to_string() })?;
            work(&Opened { name, git, settings })
        });
        task.await.map_err(unavailable("running git"))?
    }

    fn unknown(&self, repository: &RepositoryName) -> ForgeError {
        let names: Vec<&str> = self.repositories.keys().take(NAMES_LISTED_MAX).map(RepositoryName::as_str).collect();
        let allowed = match (names.as_slice(), self.repositories.len() - names.len()) {
            ([], _) => "none is configured".to_owned(),
            (names, 0) => format!("known are {}", names.join(", ")),
            (names, more) => format!("known are {} and {more} more", names.join(", ")),
        };
        ForgeError::UnknownRepository { repository: repository.clone(), allowed }
    }
}

#[async_trait]
impl Forge for LocalGit {
    /// With a base, the title is the first line of the head's message; its other lines are the body, and behind them the
    /// titles of the range's other commits, newest first.
    async fn pull_request(&self, change: &Change) -> Result<PullRequest, ForgeError> {
        let change = change.clone();
        self.blocking(&change.repository.clone(), move |git| facts::pull_request(git, &change)).await
    }

    /// The bytes that `git diff --full-index --find-renames BASE HEAD` writes: abbreviated object ids would change with
    /// the repository's size, and with them every key made of the diff. A copy shows as an added file, with its lines. How
    /// alike two files are is libgit2's estimate: it can differ from git's by some percent, and so decide otherwise near the
    /// half that makes a rename.
    async fn diff(&self, of: &PullRequest) -> Result<Bytes, ForgeError> {
        let (base, head) = (of.base.clone(), of.head.clone());
        self.blocking(&of.repository, move |git| patch::diff(git, base.as_ref(), &head)).await
    }

    /// `None` for a folder, a link and a submodule too.
    async fn file(
        &self,
        repository: &RepositoryName,
        at: &CommitId,
        path: &RepoPath,
    ) -> Result<Option<Bytes>, ForgeError> {
        let (at, path) = (at.clone(), path.clone());
        self.blocking(repository, move |git| tree::file(git, &at, &path)).await
    }

    async fn tree(&self, repository: &RepositoryName, at: &CommitId) -> Result<Vec<TreeFile>, ForgeError> {
        let at = at.clone();
        self.blocking(repository, move |git| tree::files(git, &at)).await
    }
}

/// A repository that was opened for one operation.
struct Opened {
    name: RepositoryName,
    git: Repository,
    settings: LocalGitSettings,
}

impl Opened {
    /// The commit that an id names, by itself or through an annotated tag.
    fn commit(&self, id: &CommitId) -> Result<git2::Commit<'_>, ForgeError> {
        let unknown = || ForgeError::UnknownCommit { repository: self.name.clone(), commit: id.clone() };
        // A SHA of 64 digits names nothing here: libgit2 reads SHA-1 repositories only.
        let oid = Oid::from_str(id.as_str()).map_err(|_| unknown())?;
        match self.git.find_object(oid, None) {
            Ok(object) => object.peel_to_commit().map_err(|_| unknown()),
            Err(e) if e.code() == ErrorCode::NotFound => Err(unknown()),
            Err(e) => Err(unavailable("reading a commit")(e)),
        }
    }

    fn too_large(bytes: u64, max_bytes: u64) -> ForgeError {
        ForgeError::TooLarge { bytes, max_bytes }
    }
}

fn commit_id(oid: Oid) -> Result<CommitId, ForgeError> {
    oid.to_string().parse().map_err(unavailable("reading an object id"))
}

fn unavailable<E: std::error::Error + Send + Sync + 'static>(what: &'static str) -> impl Fn(E) -> ForgeError {
    move |source| ForgeError::Unavailable { what, source: Box::new(source) }
}

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use git2::{Config, ErrorCode, Index, Repository, RepositoryOpenFlags, Sort};

use super::LocalGit;
use crate::CommitId;

/// Most commits that [`LocalGit::last_commits`] lists.
const LAST_COMMITS_MAX: usize = 10_000;

/// Why a folder gives no commits.
#[derive(Debug, thiserror::Error)]
pub enum LocalGitError {
    /// Nothing stands there.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// A file stands there.
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// A folder without a repository.
    #[error("{} is not the root of a git repository", .0.display())]
    NoRepository(PathBuf),
    /// A folder without a repository, in folders without one.
    #[error("{} is in no git repository", .0.display())]
    Outside(PathBuf),
    /// git refuses folders of other users, whose configuration it would trust.
    #[error(
        "{path} belongs to another user: run as its owner, or allow it by `git config --global --add safe.directory {path}`",
        path = .0.display()
    )]
    Owner(PathBuf),
    /// A repository before its first commit.
    #[error("{} has no commit yet", .0.display())]
    Empty(PathBuf),
    /// libgit2 cannot read it.
    #[error("{} cannot be read: {}", .path.display(), .source.message())]
    Unreadable {
        /// Where.
        path: PathBuf,
        /// libgit2's reason.
        source: git2::Error,
    },
}

/// Opens the repository at `path`, and at no folder above it, cut off from its configuration, index and working tree.
///
/// The ownership check comes first, on the working tree as git does it. The second handle knows no working tree, since
/// attributes would else be read from the files that happen to be checked out.
pub(super) fn isolated(path: &Path) -> Result<Repository, LocalGitError> {
    let checked = open(path, RepositoryOpenFlags::NO_SEARCH)?;
    let unreadable = |source| LocalGitError::Unreadable { path: path.to_owned(), source };
    let git = Repository::open_bare(checked.path()).map_err(unreadable)?;
    git.set_config(&Config::new().map_err(unreadable)?).map_err(unreadable)?;
    git.set_index(&mut Index::new().map_err(unreadable)?).map_err(unreadable)?;
    Ok(git)
}

impl LocalGit {
    /// The root of the repository that `path` lies in: its working tree, or the repository itself if it is bare.
    pub fn discover(path: &Path) -> Result<PathBuf, LocalGitError> {
        let git = open(path, RepositoryOpenFlags::empty()).map_err(|e| match e {
            LocalGitError::NoRepository(path) => LocalGitError::Outside(path),
            other => other,
        })?;
        Ok(git.workdir().unwrap_or_else(|| git.path()).to_owned())
    }

    /// Whether `path` is the root of a repository that can be reviewed, with or without commits.
    pub fn check(path: &Path) -> Result<(), LocalGitError> {
        isolated(path).map(drop)
    }

    /// The commit that is checked out at a repository's root.
    pub fn head(path: &Path) -> Result<CommitId, LocalGitError> {
        let git = open(path, RepositoryOpenFlags::NO_SEARCH)?;
        head_of(&git, path).and_then(|oid| commit_id(oid, path))
    }

    /// The last commits of a repository's checked out branch, newest first, by first parents: at most `limit`, and at most
    /// 10,000.
    pub fn last_commits(path: &Path, limit: usize) -> Result<Vec<CommitId>, LocalGitError> {
        let git = open(path, RepositoryOpenFlags::NO_SEARCH)?;
        let unreadable = |source| LocalGitError::Unreadable { path: path.to_owned(), source };
        let mut walk = git.revwalk().map_err(unreadable)?;
        walk.push(head_of(&git, path)?).map_err(unreadable)?;
        walk.simplify_first_parent().map_err(unreadable)?;
        walk.set_sorting(Sort::TOPOLOGICAL).map_err(unreadable)?;
        walk.take(limit.min(LAST_COMMITS_MAX)).map(|oid| commit_id(oid.map_err(unreadable)?, path)).collect()
    }
}

fn open(path: &Path, flags: RepositoryOpenFlags) -> Result<Repository, LocalGitError> {
    Repository::open_ext(path, flags, [] as [&OsStr; 0]).map_err(|e| refusal(path, e))
}

pub(super) fn refusal(path: &Path, source: git2::Error) -> LocalGitError {
    let path = path.to_owned();
    match source.code() {
        ErrorCode::Owner => LocalGitError::Owner(path),
        _ if !path.exists() => LocalGitError::Missing(path),
        _ if !path.is_dir() => LocalGitError::NotAFolder(path),
        ErrorCode::NotFound => LocalGitError::NoRepository(path),
        _ => LocalGitError::Unreadable { path, source },
    }
}

fn head_of(git: &Repository, path: &Path) -> Result<git2::Oid, LocalGitError> {
    match git.head().and_then(|head| head.peel_to_commit()) {
        Ok(commit) => Ok(commit.id()),
        Err(e) if e.code() == ErrorCode::UnbornBranch => Err(LocalGitError::Empty(path.to_owned())),
        Err(source) => Err(LocalGitError::Unreadable { path: path.to_owned(), source }),
    }
}

fn commit_id(oid: git2::Oid, path: &Path) -> Result<CommitId, LocalGitError> {
    oid.to_string().parse().map_err(|_| LocalGitError::NoRepository(path.to_owned()))
}

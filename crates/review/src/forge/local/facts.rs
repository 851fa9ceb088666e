use std::fs;

use git2::{Commit, ErrorClass, ErrorCode, Oid, Sort};

use super::{Opened, commit_id, unavailable};
use crate::{Change, CommitId, ForgeError, PullRequest};

/// Bytes of a title; git's own advice is 50 characters.
const TITLE_BYTES_MAX: usize = 1_024;
/// Bytes of a body, as much as GitHub takes.
const BODY_BYTES_MAX: usize = 65_536;
/// Bytes of an author's name.
const AUTHOR_BYTES_MAX: usize = 256;
/// How many of a range's commits the body names.
const COMMITS_NAMED_MAX: usize = 50;

pub(super) fn pull_request(git: &Opened, change: &Change) -> Result<PullRequest, ForgeError> {
    let head = git.commit(&change.head)?;
    let (base, base_is_cut_off) = match &change.base {
        Some(base) => (Some(merge_base(git, &head, base)?), false),
        None => first_parent(git, &head)?,
    };
    let message = String::from_utf8_lossy(head.message_bytes());
    let (title, rest) = message.trim_start().split_once('\n').unwrap_or((message.trim(), ""));
    let mut body = rest.trim().to_owned();
    if let (Some(_), Some(base)) = (&change.base, base) {
        append_others(git, &mut body, base, head.id()).map_err(unavailable("reading the range's commits"))?;
    }
    cut(&mut body, BODY_BYTES_MAX);
    Ok(PullRequest {
        repository: git.name.clone(),
        head: commit_id(head.id())?,
        base: base.map(commit_id).transpose()?,
        base_is_cut_off,
        title: bounded(title.trim(), TITLE_BYTES_MAX),
        body,
        author: bounded(&String::from_utf8_lossy(head.author().name_bytes()), AUTHOR_BYTES_MAX),
    })
}

/// The first parent, and whether it is cut off: git takes the oldest commits of a shallow clone for roots, and so do we. Any
/// other parent must be there.
fn first_parent(git: &Opened, head: &Commit<'_>) -> Result<(Option<Oid>, bool), ForgeError> {
    match head.parent_ids().next() {
        None => Ok((None, false)),
        Some(_) if ends_history(git, head.id()) => Ok((None, true)),
        Some(parent) => git.commit(&commit_id(parent)?).map(|c| (Some(c.id()), false)),
    }
}

/// Whether a shallow clone ends with a commit. Its list of such commits is a file of one id a line; one that cannot be read
/// names none, and the missing parent is then told of.
fn ends_history(git: &Opened, commit: Oid) -> bool {
    let list = fs::read_to_string(git.git.commondir().join("shallow")).unwrap_or_default();
    let commit = commit.to_string();
    list.lines().any(|line| line.trim() == commit)
}

fn merge_base(git: &Opened, head: &Commit<'_>, base: &CommitId) -> Result<Oid, ForgeError> {
    let base_oid = git.commit(base)?.id();
    git.git.merge_base(base_oid, head.id()).map_err(|e| match (e.code(), e.class()) {
        (ErrorCode::NotFound, ErrorClass::Merge) => {
            ForgeError::NoMergeBase { repository: git.name.clone(), head: change_id(head, base), base: base.clone() }
        }
        _ => unavailable("finding the merge base")(e),
    })
}

fn change_id(head: &Commit<'_>, fallback: &CommitId) -> CommitId {
    commit_id(head.id()).unwrap_or_else(|_| fallback.clone())
}

fn append_others(git: &Opened, body: &mut String, base: Oid, head: Oid) -> Result<(), git2::Error> {
    let mut walk = git.git.revwalk()?;
    walk.push(head)?;
    walk.hide(base)?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    // One past the limit, so that the list can say that it goes on.
    for (nth, oid) in
        walk.filter(|oid| oid.as_ref().map_or(true, |o| *o != head)).take(COMMITS_NAMED_MAX + 1).enumerate()
    {
        if nth == 0 {
            body.push_str(if body.is_empty() { "Other commits:" } else { "\n\nOther commits:" });
        }
        if nth == COMMITS_NAMED_MAX {
            body.push_str("\n- …");
            break;
        }
        let commit = git.git.find_commit(oid?)?;
        let message = String::from_utf8_lossy(commit.message_bytes());
        let title = message.trim_start().lines().next().unwrap_or_default();
        body.push_str("\n- ");
        body.push_str(&bounded(title.trim(), TITLE_BYTES_MAX));
    }
    Ok(())
}

fn bounded(text: &str, bytes_max: usize) -> String {
    let mut text = text.to_owned();
    cut(&mut text, bytes_max);
    text
}

/// Shortens to at most `bytes_max` bytes, the mark of the cut among them.
fn cut(text: &mut String, bytes_max: usize) {
    const MARK: &str = "…";
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max - MARK.len()));
        text.push_str(MARK);
    }
}

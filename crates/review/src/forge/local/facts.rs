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
    let base = match &change.base {
        Some(base) => Some(merge_base(git, &head, base)?),
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
        title: bounded(title.trim(), TITLE_BYTES_MAX),
        body,
        author: bounded(&String::from_utf8_lossy(head.author().name_bytes()), AUTHOR_BYTES_MAX),
    })
}

/// The parent must be there: in a shallow clone the oldest commit would else look like one that adds every file.
fn first_parent(git: &Opened, head: &Commit<'_>) -> Result<Option<Oid>, ForgeError> {
    match head.parent_ids().next() {
        None => Ok(None),
        Some(parent) => git.commit(&commit_id(parent)?).map(|c| Some(c.id())),
    }
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

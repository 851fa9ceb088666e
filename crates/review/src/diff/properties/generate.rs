//! Edits of files, and the diff that git would write for them.

use proptest::{prelude::*, sample::select};

use super::render::quoted;
use crate::diff::{FileStatus, LineKind, RepoPath};

/// Lines that look like something else, or hold what a line seldom holds.
const LINES: &[&[u8]] = &[
    b"",
    b" ",
    b"let x = 1;",
    b"- a/x",
    b"-- a/x",
    b"+ b/x",
    b"++ b/x",
    b"-- ",
    b"@@ -1,2 +1,2 @@",
    b"diff --git a/x b/x",
    b"Binary files a/x and b/x differ",
    b"GIT binary patch",
    b"\\ No newline at end of file",
    b"\tx\r",
    b"old\rmac",
    b"\xff\xfe\0",
    "ä 漢 🚀".as_bytes(),
];

const NAMES: &[&str] = &["x", "a b/c", "x b/x", "t\tab", "q\"uo\\te", "ä/漢", "-- a", "dev/null", "new\nline", "end "];

/// One file, before and after.
#[derive(Debug, Clone)]
pub(super) struct Edited {
    pub(super) status: FileStatus,
    old: RepoPath,
    new: RepoPath,
    script: Vec<(LineKind, &'static [u8])>,
    context: usize,
    bare_old: bool,
    bare_new: bool,
}

/// A few files with different paths, each edited somehow.
pub(super) fn edited_files() -> impl Strategy<Value = Vec<Edited>> {
    prop::collection::vec(edited(), 1..4).prop_map(|mut files| {
        for (n, file) in files.iter_mut().enumerate() {
            file.new = RepoPath::from(format!("{n}/{}", file.new).as_str());
            let moved = matches!(file.status, FileStatus::Renamed | FileStatus::Copied);
            file.old = if moved { RepoPath::from(format!("{n}/{}", file.old).as_str()) } else { file.new.clone() };
        }
        files
    })
}

fn edited() -> impl Strategy<Value = Edited> {
    use FileStatus::{Added, Copied, Deleted, Modified, Renamed};
    use LineKind as K;
    let kind = prop_oneof![5 => Just(K::Context), 1 => Just(K::Added), 1 => Just(K::Removed)];
    let script = prop::collection::vec((kind, select(LINES)), 0..60);
    let status = select(&[Added, Copied, Deleted, Modified, Renamed][..]);
    (status, select(NAMES), select(NAMES), script, 0..4usize, any::<(bool, bool)>()).prop_map(
        |(status, old, new, mut script, context, (bare_old, bare_new))| {
            for (kind, _) in &mut script {
                match status {
                    Added => *kind = K::Added,
                    Deleted => *kind = K::Removed,
                    Modified | Renamed | Copied => {}
                }
            }
            let mut file = Edited { status, old: old.into(), new: new.into(), script, context, bare_old, bare_new };
            file.settle_newlines();
            file
        },
    )
}

impl Edited {
    /// A line on both sides ends alike on both, and only a side's last line can lack a newline.
    fn settle_newlines(&mut self) {
        let last = |side| self.script.iter().rposition(|(k, _)| *k == side || *k == LineKind::Context);
        let (old, new) = (last(LineKind::Removed), last(LineKind::Added));
        let shared = |at: Option<usize>| at.is_some_and(|i| self.script[i].0 == LineKind::Context);
        let both = old == new && self.bare_old && self.bare_new;
        (self.bare_old, self.bare_new) = (
            if shared(old) { both } else { old.is_some() && self.bare_old },
            if shared(new) { both } else { new.is_some() && self.bare_new },
        );
    }

    pub(super) fn old_path(&self) -> Option<&RepoPath> {
        (self.status != FileStatus::Added).then_some(&self.old)
    }

    pub(super) fn new_path(&self) -> Option<&RepoPath> {
        (self.status != FileStatus::Deleted).then_some(&self.new)
    }

    pub(super) fn lacks_newline(&self, side: LineKind) -> bool {
        if side == LineKind::Removed { self.bare_old } else { self.bare_new }
    }

    /// A side's lines as the parser shows them: without a carriage return at the end.
    pub(super) fn texts(&self, side: LineKind) -> Vec<String> {
        let lines = self.script.iter().filter(|(k, _)| *k == side || *k == LineKind::Context);
        lines.map(|(_, t)| String::from_utf8_lossy(t.strip_suffix(b"\r").unwrap_or(t)).into_owned()).collect()
    }

    pub(super) fn diff(&self) -> Vec<u8> {
        let header = match self.status {
            FileStatus::Added => "new file mode 100644".to_owned(),
            FileStatus::Deleted => "deleted file mode 100644".to_owned(),
            FileStatus::Modified => "old mode 100644\nnew mode 100755\nindex 1..2".to_owned(),
            FileStatus::Renamed => {
                format!("rename from {}\nrename to {}", quoted("", &self.old), quoted("", &self.new))
            }
            FileStatus::Copied => format!("copy from {}\ncopy to {}", quoted("", &self.old), quoted("", &self.new)),
        };
        let (old, new) = (quoted("a/", &self.old), quoted("b/", &self.new));
        let mut out = format!("diff --git {old} {new}\n{header}\n").into_bytes();
        let hunks = self.hunks();
        if !hunks.is_empty() {
            let tab = |name: &str| if name.contains(' ') && !name.starts_with('"') { "\t" } else { "" };
            let side = |there: Option<&RepoPath>, name: &str| {
                there.map_or("/dev/null".to_owned(), |_| format!("{name}{}", tab(name)))
            };
            let (old, new) = (side(self.old_path(), &old), side(self.new_path(), &new));
            out.extend(format!("--- {old}\n+++ {new}\n").into_bytes());
        }
        for hunk in hunks {
            self.write_hunk(hunk, &mut out);
        }
        out
    }

    /// Runs of changes with their context; those that touch are one.
    fn hunks(&self) -> Vec<std::ops::Range<usize>> {
        let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
        for at in (0..self.script.len()).filter(|i| self.script[*i].0 != LineKind::Context) {
            let (from, to) = (at.saturating_sub(self.context), (at + 1 + self.context).min(self.script.len()));
            match hunks.last_mut() {
                Some(last) if last.end >= from => last.end = last.end.max(to),
                _ => hunks.push(from..to),
            }
        }
        hunks
    }

    fn write_hunk(&self, hunk: std::ops::Range<usize>, out: &mut Vec<u8>) {
        let count = |upto: std::ops::Range<usize>, side| {
            self.script[upto].iter().filter(|(k, _)| *k == side || *k == LineKind::Context).count()
        };
        let span = |side| {
            let (before, within) = (count(0..hunk.start, side), count(hunk.clone(), side));
            match within {
                0 => format!("{before},0"),
                1 => format!("{}", before + 1),
                n => format!("{},{n}", before + 1),
            }
        };
        out.extend(format!("@@ -{} +{} @@\n", span(LineKind::Removed), span(LineKind::Added)).into_bytes());
        for at in hunk {
            let (kind, text) = self.script[at];
            out.push(match kind {
                LineKind::Added => b'+',
                LineKind::Removed => b'-',
                LineKind::Context => b' ',
            });
            out.extend(text);
            out.push(b'\n');
            let ends = |side| self.lacks_newline(side) && count(at + 1..self.script.len(), side) == 0;
            if (kind != LineKind::Added && ends(LineKind::Removed))
                || (kind != LineKind::Removed && ends(LineKind::Added))
            {
                out.extend(b"\\ No newline at end of file\n");
            }
        }
    }
}

//! The diff that the local forge reads is written by libgit2, whose headers differ from git's in places.

use git2::{Delta, DiffFindOptions, DiffFormat, DiffOptions, Index, IndexEntry, IndexTime, Oid, Repository, Tree};

use crate::diff::{Diff, FileDiff, FileStatus, RepoPath};

const FILE: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;
const LINK: u32 = 0o120_000;
const SUBMODULE: u32 = 0o160_000;

type Entry = (&'static [u8], u32, &'static [u8]);

const BEFORE: &[Entry] = &[
    (b"a b/c b/d", FILE, b"1\n2\n3\n"),
    (b"binary", FILE, b"\0\x01"),
    (b"crlf", FILE, b"a\r\nb\r\n"),
    (b"becomes a link", FILE, b"text\n"),
    (b"gone", FILE, b"x\n"),
    (b"gone empty", FILE, b""),
    (b"lib", SUBMODULE, b"1"),
    (b"no newline", FILE, b"a\nb"),
    (b"old name", FILE, b"1\n2\n3\n4\n5\n6\n7\n8\n9\n"),
    (b"quote\"tab\tback\\", FILE, b"a\n"),
    (b"raw\xff\n", FILE, b"a\n"),
    (b"run", FILE, b"#!\n"),
    (b"sql", FILE, b"- a/x\n- \nkeep\n"),
    ("\u{E4}".as_bytes(), FILE, b"a\n"),
];

const AFTER: &[Entry] = &[
    (b"a b/c b/d", FILE, b"1\nzwei\n3\n4\n"),
    (b"binary", FILE, b"\0\x02"),
    (b"crlf", FILE, b"a\nb\r\n"),
    (b"becomes a link", LINK, b"target"),
    (b"lib", SUBMODULE, b"2"),
    (b"no newline", FILE, b"a\nb\n"),
    (b"new b/name", FILE, b"1\n2\n3\n4\nfive\n6\n7\n8\n9\n"),
    (b"new empty", FILE, b""),
    (b"quote\"tab\tback\\", FILE, b"b\n"),
    (b"raw\xff\n", FILE, b"b\n"),
    (b"run", EXECUTABLE, b"#!\n"),
    (b"sql", FILE, b"+ b/x\nkeep\n"),
    ("\u{E4}".as_bytes(), FILE, b"b\n"),
];

fn tree<'r>(repository: &'r Repository, entries: &[Entry]) -> Tree<'r> {
    let mut index = Index::new().unwrap();
    for (path, mode, content) in entries {
        let id = match *mode {
            SUBMODULE => Oid::from_str(&String::from_utf8_lossy(content).repeat(40)).unwrap(),
            _ => repository.blob(content).unwrap(),
        };
        let never = IndexTime::new(0, 0);
        let (path, mode) = (path.to_vec(), *mode);
        let (ctime, mtime) = (never, never);
        index
            .add(&IndexEntry {
                ctime,
                mtime,
                dev: 0,
                ino: 0,
                mode,
                uid: 0,
                gid: 0,
                file_size: 0,
                id,
                flags: 0,
                flags_extended: 0,
                path,
            })
            .unwrap();
    }
    repository.find_tree(index.write_tree_to(repository).unwrap()).unwrap()
}

/// libgit2's own account of a file: paths and what happened.
type Told = (Option<RepoPath>, Option<RepoPath>, FileStatus);

fn patch(options: &mut DiffOptions) -> (Vec<Told>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::init_bare(folder.path()).unwrap();
    let (before, after) = (tree(&repository, BEFORE), tree(&repository, AFTER));
    let mut diff = repository.diff_tree_to_tree(Some(&before), Some(&after), Some(options)).unwrap();
    diff.find_similar(Some(DiffFindOptions::new().renames(true))).unwrap();
    let path = |file: git2::DiffFile<'_>| Some(RepoPath::new(file.path_bytes().unwrap()));
    let told = diff.deltas().map(|delta| match delta.status() {
        Delta::Added => (None, path(delta.new_file()), FileStatus::Added),
        Delta::Deleted => (path(delta.old_file()), None, FileStatus::Deleted),
        Delta::Renamed => (path(delta.old_file()), path(delta.new_file()), FileStatus::Renamed),
        _ => (path(delta.old_file()), path(delta.new_file()), FileStatus::Modified),
    });
    let told = told.collect();
    let mut text = Vec::new();
    diff.print(DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.push(line.origin().try_into().unwrap());
        }
        text.extend_from_slice(line.content());
        true
    })
    .unwrap();
    (told, text)
}

fn check(options: &mut DiffOptions) -> Diff {
    let (told, text) = patch(options);
    let shown = String::from_utf8_lossy(&text).into_owned();
    let diff = Diff::parse(text).unwrap_or_else(|e| panic!("{e}\n{shown}"));
    let parsed: Vec<Told> = diff.files.iter().map(|f| (f.old_path.clone(), f.new_path.clone(), f.status)).collect();
    assert_eq!(parsed, told, "{shown}");
    diff
}

#[test]
fn a_patch_of_libgit2_is_read_as_it_was_meant() {
    let diff = check(&mut DiffOptions::new());
    let file = |path: &[u8]| diff.file(&RepoPath::new(path)).unwrap();
    let texts = |f: &FileDiff| f.lines().map(|l| diff.text(l).into_owned()).collect::<Vec<_>>();
    assert!(file(b"binary").binary && file(b"lib").submodule);
    assert!(file(b"run").hunks.is_empty() && file(b"new empty").hunks.is_empty());
    assert_eq!(texts(file(b"sql")), ["- a/x", "- ", "+ b/x", "keep"]);
    assert_eq!(texts(file(b"crlf")), ["a", "a", "b"]);
    let ends: Vec<_> = file(b"no newline").lines().map(|l| l.no_newline).collect();
    assert_eq!(ends, [false, true, false]);
}

#[test]
fn libgit2_s_options_change_no_file() {
    for context_lines in [0, 1, 100] {
        check(DiffOptions::new().context_lines(context_lines).show_binary(true).include_typechange(true));
    }
}

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use git2::{ObjectType, Oid, Repository};
use tempfile::TempDir;

use super::{LocalGit, LocalGitError, LocalGitSettings, open};
use crate::{
    Change, CommitId, Forge, ForgeError, PullRequest, RepositoryName,
    diff::{Diff, FileStatus, RepoPath},
};

const FILE: i32 = 0o100_644;
const PROGRAM: i32 = 0o100_755;
const LINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

/// A repository in a folder of its own. Objects are written as they are, so that a test can make what git would refuse.
struct Made {
    folder: TempDir,
    git: Repository,
}

type Entry<'a> = (&'a [u8], i32, &'a [u8]);

impl Made {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init(folder.path()).unwrap();
        Self { folder, git }
    }

    fn commit(&self, files: &[Entry<'_>], parents: &[&CommitId]) -> CommitId {
        self.commit_saying(files, parents, b"Change things\n")
    }

    fn commit_saying(&self, files: &[Entry<'_>], parents: &[&CommitId], message: &[u8]) -> CommitId {
        self.commit_of(self.tree(files), parents, message)
    }

    fn commit_of(&self, tree: Oid, parents: &[&CommitId], message: &[u8]) -> CommitId {
        let mut text = format!("tree {tree}\n");
        for parent in parents {
            writeln!(text, "parent {parent}").unwrap();
        }
        text.push_str("author Ada Lovelace <ada@example.org> 1700000000 +0000\n");
        text.push_str("committer Ada Lovelace <ada@example.org> 1700000000 +0000\n\n");
        self.object(ObjectType::Commit, &[text.as_bytes(), message].concat()).to_string().parse().unwrap()
    }

    fn object(&self, kind: ObjectType, bytes: &[u8]) -> Oid {
        self.git.odb().unwrap().write(kind, bytes).unwrap()
    }

    /// A tree of files whose paths may have folders.
    fn tree(&self, files: &[Entry<'_>]) -> Oid {
        let mut here: BTreeMap<Vec<u8>, (i32, Oid)> = BTreeMap::new();
        let mut folders: BTreeMap<&[u8], Vec<Entry<'_>>> = BTreeMap::new();
        for &(path, mode, content) in files {
            match path.iter().position(|b| *b == b'/') {
                Some(at) => folders.entry(&path[..at]).or_default().push((&path[at + 1..], mode, content)),
                None if mode == SUBMODULE => {
                    here.insert(path.to_vec(), (mode, Oid::from_str(std::str::from_utf8(content).unwrap()).unwrap()));
                }
                None => {
                    here.insert(path.to_vec(), (mode, self.object(ObjectType::Blob, content)));
                }
            }
        }
        for (name, inside) in folders {
            // git sorts a folder as if its name ended in a slash.
            here.insert([name, b"/"].concat(), (0o40_000, self.tree(&inside)));
        }
        let mut bytes = Vec::new();
        for (name, (mode, id)) in here {
            bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
            bytes.extend_from_slice(name.strip_suffix(b"/").unwrap_or(&name));
            bytes.push(0);
            bytes.extend_from_slice(id.as_bytes());
        }
        self.object(ObjectType::Tree, &bytes)
    }

    fn forge(&self) -> LocalGit {
        self.forge_with(LocalGitSettings::default())
    }

    fn forge_with(&self, settings: LocalGitSettings) -> LocalGit {
        LocalGit::new(BTreeMap::from([(name(), self.folder.path().to_owned())]), settings)
    }

    async fn facts(&self, head: &CommitId, base: Option<&CommitId>) -> Result<PullRequest, ForgeError> {
        self.forge().pull_request(&change(head, base)).await
    }

    async fn diff(&self, head: &CommitId, base: Option<&CommitId>) -> String {
        let bytes = self.forge().diff(&self.facts(head, base).await.unwrap()).await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The diff of two commits that hold these files.
    async fn between(&self, old: &[Entry<'_>], new: &[Entry<'_>]) -> String {
        let before = self.commit(old, &[]);
        self.diff(&self.commit(new, &[&before]), None).await
    }
}

fn name() -> RepositoryName {
    "acme/widgets".parse().unwrap()
}

fn change(head: &CommitId, base: Option<&CommitId>) -> Change {
    Change { repository: name(), head: head.clone(), base: base.cloned() }
}

/// A diff without its `index` lines, which hold nothing but object ids.
fn without_ids(diff: &str) -> String {
    diff.split_inclusive('\n').filter(|l| !l.starts_with("index ")).collect()
}

fn numbered(lines: std::ops::Range<u32>) -> Vec<u8> {
    lines.fold(String::new(), |text, n| text + &format!("line {n}\n")).into_bytes()
}

#[tokio::test]
async fn a_commit_is_compared_with_its_first_parent() {
    let made = Made::new();
    let first = made.commit(&[(b"a.txt", FILE, b"one\n")], &[]);
    let side = made.commit(&[(b"a.txt", FILE, b"one\n"), (b"b.txt", FILE, b"side\n")], &[&first]);
    let second = made.commit_saying(&[(b"a.txt", FILE, b"two\n")], &[&first], b"Say two\n\nBecause one is past.\n");
    let merge = made.commit(&[(b"a.txt", FILE, b"two\n"), (b"b.txt", FILE, b"side\n")], &[&second, &side]);

    let facts = made.facts(&second, None).await.unwrap();
    assert_eq!((facts.title.as_str(), facts.body.as_str()), ("Say two", "Because one is past."));
    assert_eq!((facts.author.as_str(), facts.base), ("Ada Lovelace", Some(first)));
    assert_eq!(made.facts(&merge, None).await.unwrap().base, Some(second.clone()));
    let diff = made.diff(&merge, None).await;
    assert!(diff.contains("+side") && !diff.contains("two"), "{diff}");
    assert_eq!(
        without_ids(&made.diff(&second, None).await),
        "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n"
    );
}

#[tokio::test]
async fn a_root_commit_adds_everything() {
    let made = Made::new();
    let root = made.commit(&[(b"a.txt", FILE, b"one\n"), (b"empty", FILE, b"")], &[]);
    assert_eq!(made.facts(&root, None).await.unwrap().base, None);
    assert_eq!(
        without_ids(&made.diff(&root, None).await),
        "diff --git a/a.txt b/a.txt\nnew file mode 100644\n--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+one\n\
         diff --git a/empty b/empty\nnew file mode 100644\n"
    );
}

#[tokio::test]
async fn what_the_base_branch_did_meanwhile_is_no_part_of_the_diff() {
    let made = Made::new();
    let fork = made.commit(&[(b"a.txt", FILE, b"one\n")], &[]);
    let base = made.commit(&[(b"a.txt", FILE, b"one\n"), (b"new.txt", FILE, b"base only\n")], &[&fork]);
    let first = made.commit_saying(&[(b"a.txt", FILE, b"two\n")], &[&fork], b"First step\n");
    let head = made.commit_saying(&[(b"a.txt", FILE, b"three\n")], &[&first], b"Second step\n");

    let facts = made.facts(&head, Some(&base)).await.unwrap();
    assert_eq!(facts.base, Some(fork.clone()));
    assert_eq!((facts.title.as_str(), facts.body.as_str()), ("Second step", "Other commits:\n- First step"));
    let diff = made.diff(&head, Some(&base)).await;
    assert!(diff.contains("-one\n+three\n") && !diff.contains("new.txt"), "{diff}");
    assert_eq!(made.diff(&fork, Some(&base)).await, "", "a head that the base holds already changes nothing");
}

#[tokio::test]
async fn sides_without_common_history_are_refused() {
    let made = Made::new();
    let (one, other) = (made.commit(&[(b"a", FILE, b"1")], &[]), made.commit(&[(b"a", FILE, b"2")], &[]));
    let error = made.facts(&one, Some(&other)).await.unwrap_err();
    assert!(matches!(&error, ForgeError::NoMergeBase { head, base, .. } if *head == one && *base == other), "{error}");
}

#[tokio::test]
async fn renames_show_as_renames_and_copies_as_additions() {
    let made = Made::new();
    let (before, after) = (numbered(0..40), [numbered(0..39), b"changed\n".to_vec()].concat());
    let diff = made.between(&[(b"old.txt", FILE, &before)], &[(b"dir/new.txt", PROGRAM, &after)]).await;
    let start = "diff --git a/old.txt b/dir/new.txt\nold mode 100644\nnew mode 100755\nsimilarity index ";
    assert!(diff.starts_with(start), "{diff}");
    assert!(diff.contains("rename from old.txt\nrename to dir/new.txt\n") && diff.contains("-line 39\n+changed\n"));

    let diff = made.between(&[(b"a", FILE, &before)], &[(b"b", FILE, &before)]).await;
    assert_eq!(diff, "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n");

    let diff = made.between(&[(b"a", FILE, &before)], &[(b"a", FILE, &before), (b"b", FILE, &before)]).await;
    assert!(diff.contains("new file mode") && diff.matches("\n+line").count() == 40, "{diff}");
}

#[tokio::test]
async fn a_folder_of_very_many_files_is_seen_to_move() {
    let made = Made::new();
    let count = 1_001;
    let contents: Vec<Vec<u8>> = (0..count).map(|n| numbered(n * 10..n * 10 + 9)).collect();
    let paths = |folder| (0..count).map(|n| format!("{folder}/{n:04}").into_bytes()).collect::<Vec<_>>();
    let (old_paths, new_paths) = (paths("old"), paths("new"));
    let old: Vec<Entry<'_>> = old_paths.iter().zip(&contents).map(|(p, c)| (&**p, FILE, &**c)).collect();
    let mut new: Vec<Entry<'_>> = new_paths.iter().zip(&contents).map(|(p, c)| (&**p, FILE, &**c)).collect();
    let edited = [contents[7].as_slice(), b"more\n"].concat();
    new[7].2 = &edited;
    let diff = made.between(&old, &new).await;
    assert_eq!(diff.matches("\nrename from old/").count(), 1_001);
    assert_eq!(diff.matches("\n+").count(), 2, "a path and the line that the one edited file has more");
}

#[tokio::test]
async fn modes_links_submodules_and_binaries_are_told_apart() {
    let made = Made::new();
    let diff = made.between(&[(b"run", FILE, b"x\n")], &[(b"run", PROGRAM, b"x\n")]).await;
    assert_eq!(diff, "diff --git a/run b/run\nold mode 100644\nnew mode 100755\n");

    let diff = made.between(&[(b"f", FILE, b"x\n")], &[(b"f", LINK, b"target")]).await;
    assert!(diff.contains("deleted file mode 100644") && diff.contains("new file mode 120000"), "{diff}");
    assert!(diff.ends_with("+target\n\\ No newline at end of file\n"), "{diff}");

    let (one, two) = ([b'1'; 40], [b'2'; 40]);
    let diff = made.between(&[(b"sub", SUBMODULE, &one)], &[(b"sub", SUBMODULE, &two)]).await;
    assert!(diff.contains(" 160000\n--- a/sub\n+++ b/sub\n@@ -1 +1 @@\n-Subproject commit 1111"), "{diff}");

    let diff = made.between(&[(b"p.png", FILE, b"\0\x01")], &[(b"p.png", FILE, b"\0\x02")]).await;
    assert!(without_ids(&diff).ends_with("b/p.png\nBinary files a/p.png and b/p.png differ\n"), "{diff}");

    let diff = made.between(&[(b"w.txt", FILE, b"a\r\nb\r\n")], &[(b"w.txt", FILE, b"a\r\nc\r\n")]).await;
    assert!(diff.ends_with("@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n"), "line ends are shown as they are stored: {diff:?}");
}

#[tokio::test]
async fn odd_paths_are_quoted_as_git_does() {
    let made = Made::new();
    for (path, quoted) in [
        (&b"tab\there"[..], "\"b/tab\\there\"\n"),
        (b"say \"hi\"", "\"b/say \\\"hi\\\"\"\n"),
        (b"back\\slash", "\"b/back\\\\slash\"\n"),
        (b"\xff\xfe.txt", "\"b/\\377\\376.txt\"\n"),
        ("grün.txt".as_bytes(), "\"b/gr\\303\\274n.txt\"\n"),
        (b"a b/c d", "b/a b/c d\t\n"),
        (b"line\nbreak", "\"b/line\\nbreak\"\n"),
    ] {
        let diff = made.between(&[], &[(path, FILE, b"x\n")]).await;
        assert!(diff.contains(&format!("\n+++ {quoted}@@ -0,0 +1 @@\n+x\n")), "{diff}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_utf8_survive() {
    let made = Made::new();
    let old = made.commit(&[(b"caf\xe9", FILE, b"\xff old\n")], &[]);
    let new = made.commit_saying(&[(b"caf\xe9", FILE, b"\xff new\n")], &[&old], b"Caf\xe9\n");
    let facts = made.facts(&new, None).await.unwrap();
    assert_eq!(facts.title, "Caf\u{fffd}");
    let diff = made.forge().diff(&facts).await.unwrap();
    assert!(memchr::memmem::find(&diff, b"-\xff old\n+\xff new\n").is_some());
    let file = made.forge().file(&name(), &new, &RepoPath::new(*b"caf\xe9")).await.unwrap().unwrap();
    assert_eq!(file, b"\xff new\n"[..]);
}

#[tokio::test]
async fn a_commit_that_changes_nothing_has_an_empty_diff() {
    let made = Made::new();
    let first = made.commit(&[(b"a", FILE, b"1")], &[]);
    let again = made.commit_saying(&[(b"a", FILE, b"1")], &[&first], b"");
    assert_eq!(made.facts(&again, None).await.unwrap().title, "");
    assert_eq!(made.diff(&again, None).await, "");
}

#[tokio::test]
async fn only_whole_known_commits_are_found_and_tags_lead_to_theirs() {
    let made = Made::new();
    let commit = made.commit(&[(b"a", FILE, b"1")], &[]);
    let tag = format!("object {commit}\ntype commit\ntag v1\ntagger A <a@b.c> 1 +0000\n\nfirst\n");
    let tag: CommitId = made.object(ObjectType::Tag, tag.as_bytes()).to_string().parse().unwrap();
    assert_eq!(made.facts(&tag, None).await.unwrap().head, commit);

    let tree = made.tree(&[(b"a", FILE, b"1")]).to_string();
    let blob = made.object(ObjectType::Blob, b"1").to_string();
    for id in [tree, blob, "0".repeat(40), "a".repeat(64)] {
        let id = id.parse().unwrap();
        let error = made.facts(&id, None).await.unwrap_err();
        assert!(matches!(&error, ForgeError::UnknownCommit { commit, .. } if *commit == id), "{error}");
        assert!(matches!(made.facts(&commit, Some(&id)).await, Err(ForgeError::UnknownCommit { .. })));
    }
    let cut_off = made.commit(&[(b"a", FILE, b"2")], &[&"b".repeat(40).parse().unwrap()]);
    assert!(matches!(made.facts(&cut_off, None).await, Err(ForgeError::UnknownCommit { .. })), "no parent, no guess");
}

#[tokio::test]
async fn the_oldest_commit_of_a_shallow_clone_is_taken_for_a_root() {
    let made = Made::new();
    let missing = "b".repeat(40).parse().unwrap();
    let oldest = made.commit(&[(b"a", FILE, b"1\n")], &[&missing]);
    let newer = made.commit(&[(b"a", FILE, b"2\n")], &[&oldest]);
    assert!(matches!(made.facts(&oldest, None).await, Err(ForgeError::UnknownCommit { .. })), "none of a whole clone");

    std::fs::write(made.git.path().join("shallow"), format!("{oldest}\n")).unwrap();
    let facts = made.facts(&oldest, None).await.unwrap();
    assert_eq!((facts.base, facts.base_is_cut_off), (None, true));
    assert!(made.diff(&oldest, None).await.contains("+1"), "every file counts as added");
    let facts = made.facts(&newer, None).await.unwrap();
    assert_eq!((facts.base, facts.base_is_cut_off), (Some(oldest), false));
}

#[tokio::test]
async fn an_unknown_repository_is_told_from_a_broken_one() {
    let made = Made::new();
    let commit = made.commit(&[(b"a", FILE, b"1")], &[]);
    let other: RepositoryName = "acme/other".parse().unwrap();
    let error = made.forge().tree(&other, &commit).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no repository acme/other: known are acme/widgets");

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    std::fs::create_dir(made.folder.path().join("inside")).unwrap();
    for (path, says) in [
        (folder.path().join("gone"), "does not exist"),
        (folder.path().join("file"), "is not a folder"),
        (folder.path().to_owned(), "is not the root of a git repository"),
        (made.folder.path().join("inside"), "is not the root of a git repository"),
    ] {
        let forge = LocalGit::new(BTreeMap::from([(name(), path)]), LocalGitSettings::default());
        let error = forge.tree(&name(), &commit).await.unwrap_err();
        assert!(matches!(&error, ForgeError::NotARepository { reason, .. } if reason.contains(says)), "{error}");
        assert!(error.is_permanent());
    }
    let many = (0..30).map(|n| (format!("acme/r{n:02}").parse().unwrap(), folder.path().to_owned())).collect();
    let error = LocalGit::new(many, LocalGitSettings::default()).tree(&other, &commit).await.unwrap_err();
    assert!(error.to_string().ends_with("acme/r19 and 10 more"), "{error}");
}

#[test]
fn a_folder_of_another_user_is_refused_with_the_way_out() {
    let owner = git2::Error::new(git2::ErrorCode::Owner, git2::ErrorClass::Config, "not owned by current user");
    let text = open::refusal(Path::new("/srv/widgets"), owner).to_string();
    assert!(text.contains("git config --global --add safe.directory /srv/widgets"), "{text}");
}

#[tokio::test]
async fn a_bare_repository_and_a_linked_working_tree_are_read_alike() {
    let made = Made::new();
    let commit = made.commit(&[(b"a", FILE, b"1\n")], &[]);
    let oid = Oid::from_str(commit.as_str()).unwrap();
    made.git.reference("refs/heads/side", oid, true, "").unwrap();
    made.git.set_head("refs/heads/side").unwrap();
    let places = tempfile::tempdir().unwrap();
    let linked = places.path().join("linked");
    made.git.worktree("linked", &linked, None).unwrap();
    for path in [made.git.path().to_owned(), linked] {
        let forge = LocalGit::new(BTreeMap::from([(name(), path.clone())]), LocalGitSettings::default());
        let facts = forge.pull_request(&change(&commit, None)).await.unwrap();
        assert!(forge.diff(&facts).await.unwrap().ends_with(b"+1\n"), "{}", path.display());
        assert_eq!(LocalGit::head(&path).unwrap(), commit);
    }
}

#[tokio::test]
async fn neither_configuration_nor_checked_out_attributes_change_a_diff() {
    let made = Made::new();
    let old = made.commit(&[(b"a.txt", FILE, b"one\n"), (b".gitattributes", FILE, b"*.txt -diff\n")], &[]);
    let new = made.commit(&[(b"a.txt", FILE, b"two\n"), (b".gitattributes", FILE, b"*.txt -diff\n")], &[&old]);
    let plain = made.diff(&new, None).await;
    assert!(plain.contains("-one\n+two\n"), "{plain}");
    std::fs::write(made.folder.path().join(".gitattributes"), "*.txt -diff\n").unwrap();
    let mut index = made.git.index().unwrap();
    index.add_path(Path::new(".gitattributes")).unwrap();
    index.write().unwrap();
    let mut config = made.git.config().unwrap();
    for (key, value) in [("diff.noprefix", "true"), ("core.abbrev", "4"), ("diff.external", "/bin/false")] {
        config.set_str(key, value).unwrap();
    }
    assert_eq!(made.diff(&new, None).await, plain);
}

#[tokio::test]
async fn a_diff_over_its_limit_is_refused() {
    let made = Made::new();
    let old = made.commit(&[], &[]);
    let new = made.commit(&[(b"a", FILE, &numbered(0..2_000))], &[&old]);
    let facts = made.facts(&new, None).await.unwrap();
    let bytes = made.forge().diff(&facts).await.unwrap().len() as u64;
    for (diff_bytes_max, fits) in [(bytes, true), (bytes - 1, false), (0, false)] {
        let forge = made.forge_with(LocalGitSettings { diff_bytes_max, ..LocalGitSettings::default() });
        match forge.diff(&facts).await {
            Ok(diff) => assert!(fits && diff.len() as u64 == bytes),
            Err(ForgeError::TooLarge { bytes, max_bytes }) => assert!(!fits && bytes > max_bytes),
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_tree_that_names_itself_a_billion_times_ends_early() {
    let made = Made::new();
    let mut tree = made.tree(&[(b"a", FILE, b"1")]);
    for _ in 0..9 {
        let mut bytes = Vec::new();
        for name in b'0'..=b'9' {
            bytes.extend_from_slice(&[b"40000 ", &[name][..], b"\0", tree.as_bytes()].concat());
        }
        tree = made.object(ObjectType::Tree, &bytes);
    }
    let bomb = made.commit_of(tree, &[], b"Boom\n");
    let facts = made.facts(&bomb, None).await.unwrap();
    assert!(matches!(made.forge().diff(&facts).await, Err(ForgeError::TooLarge { .. })));
    assert!(matches!(made.forge().tree(&name(), &bomb).await, Err(ForgeError::TooLarge { .. })));
}

#[tokio::test]
async fn a_file_over_its_limit_is_shown_as_binary_and_not_read() {
    let made = Made::new();
    let old = made.commit(&[(b"big", FILE, &numbered(0..200))], &[]);
    let new = made.commit(&[(b"big", FILE, &numbered(1..200))], &[&old]);
    let forge = made.forge_with(LocalGitSettings { file_bytes_max: 1_000, ..LocalGitSettings::default() });
    let diff = forge.diff(&made.facts(&new, None).await.unwrap()).await.unwrap();
    assert!(diff.ends_with(b"Binary files a/big and b/big differ\n"));
    assert!(matches!(forge.file(&name(), &new, &"big".into()).await, Err(ForgeError::TooLarge { .. })));
}

#[tokio::test]
async fn a_tree_lists_files_without_links_and_submodules() {
    let made = Made::new();
    let commit = made.commit(
        &[
            (b"src/lib.rs", FILE, b"one"),
            (b"src/a/b.rs", PROGRAM, b"one"),
            (b"link", LINK, b"src/lib.rs"),
            (b"sub", SUBMODULE, &[b'1'; 40]),
            (b"top", FILE, b"four"),
        ],
        &[],
    );
    let forge = made.forge();
    let tree = forge.tree(&name(), &commit).await.unwrap();
    let listed: Vec<_> = tree.iter().map(|f| (f.path.display(), f.bytes)).collect();
    assert_eq!(listed, [("src/a/b.rs".into(), 3), ("src/lib.rs".into(), 3), ("top".into(), 4)]);
    assert_eq!(tree[0].content_id, tree[1].content_id);
    assert_ne!(tree[0].content_id, tree[2].content_id);
    for (path, content) in [
        ("src/lib.rs", Some(&b"one"[..])),
        ("top", Some(b"four")),
        ("src", None),
        ("link", None),
        ("sub", None),
        ("gone", None),
        ("top/below", None),
        ("src/../top", None),
        ("/top", None),
        ("", None),
    ] {
        assert_eq!(forge.file(&name(), &commit, &path.into()).await.unwrap().as_deref(), content, "{path}");
    }
}

#[test]
fn a_folder_tells_its_root_and_its_last_commits() {
    let made = Made::new();
    let root = made.folder.path();
    assert!(matches!(LocalGit::head(root), Err(LocalGitError::Empty(_))));
    assert!(matches!(LocalGit::last_commits(root, 5), Err(LocalGitError::Empty(_))));

    let first = made.commit(&[(b"a", FILE, b"1")], &[]);
    let side = made.commit(&[(b"a", FILE, b"side")], &[&first]);
    let second = made.commit(&[(b"a", FILE, b"2")], &[&first]);
    let merge = made.commit(&[(b"a", FILE, b"3")], &[&second, &side]);
    made.git.reference("refs/heads/main", Oid::from_str(merge.as_str()).unwrap(), true, "").unwrap();
    made.git.set_head("refs/heads/main").unwrap();
    assert_eq!(LocalGit::head(root).unwrap(), merge);
    assert_eq!(LocalGit::last_commits(root, 2).unwrap(), [merge.clone(), second.clone()]);
    assert_eq!(LocalGit::last_commits(root, 99).unwrap(), [merge, second, first]);

    std::fs::create_dir_all(root.join("deep/er")).unwrap();
    assert_eq!(
        LocalGit::discover(&root.join("deep/er")).unwrap().canonicalize().unwrap(),
        root.canonicalize().unwrap()
    );
    assert!(matches!(LocalGit::discover(&root.join("gone")), Err(LocalGitError::Missing(_))));
}

#[tokio::test]
async fn what_is_written_can_be_read_again() {
    use FileStatus::{Added, Deleted, Modified, Renamed};
    let made = Made::new();
    let (text, ids) = (numbered(0..30), ([b'1'; 40], [b'2'; 40]));
    let before = made.commit(
        &[
            (b"bin", FILE, b"\0a"),
            (b"empty", FILE, b""),
            (b"gone \"q\"", FILE, b"x\n"),
            (b"moved", FILE, &text),
            (b"run", FILE, b"x"),
            (b"sql", FILE, b"-- a/x\n++ b/x\n"),
            (b"sub", SUBMODULE, &ids.0),
            (b"x b/y z", FILE, b"1\r\n2\r\n"),
        ],
        &[],
    );
    let after = made.commit(
        &[
            (b"\xff\t", FILE, b"y\n"),
            (b"bin", FILE, b"\0b"),
            (b"new folder/moved there", FILE, &[b"zero\n".as_slice(), &text].concat()),
            (b"run", PROGRAM, b"x"),
            (b"sql", FILE, b"++ b/x\n"),
            (b"sub", SUBMODULE, &ids.1),
            (b"x b/y z", FILE, b"1\r\n3\r\n"),
        ],
        &[&before],
    );
    let bytes = made.forge().diff(&made.facts(&after, None).await.unwrap()).await.unwrap();
    let diff = Diff::parse(bytes).unwrap();
    let files: Vec<_> =
        diff.files.iter().map(|f| (f.path().as_bytes(), f.status, f.binary, f.submodule, f.changed_lines())).collect();
    assert_eq!(
        files,
        [
            (&b"bin"[..], Modified, true, false, 0),
            (b"empty", Deleted, false, false, 0),
            (b"gone \"q\"", Deleted, false, false, 1),
            (b"new folder/moved there", Renamed, false, false, 1),
            (b"run", Modified, false, false, 0),
            (b"sql", Modified, false, false, 1),
            (b"sub", Modified, false, true, 2),
            (b"x b/y z", Modified, false, false, 2),
            (b"\xff\t", Added, false, false, 1),
        ]
    );
    assert_eq!(diff.files[3].old_path, Some("moved".into()));
}

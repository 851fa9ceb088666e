use std::path::Path;

use git2::{ObjectType, Oid, Repository};
use tempfile::TempDir;

/// Mode of a file in a tree.
const FILE: i32 = 0o100_644;
/// Mode of a folder in a tree.
const FOLDER: i32 = 0o040_000;

/// What a tree's entry names.
#[derive(Clone, Copy)]
pub enum Entry<'a> {
    /// A file of these bytes, or a link to them.
    Blob(&'a [u8]),
    /// A submodule's commit, which need not be here.
    Commit(&'a str),
}

/// A git repository of the test's own.
pub struct Repo {
    dir: TempDir,
    git: Repository,
}

impl Repo {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = Repository::init(dir.path()).unwrap();
        Self { dir, git }
    }

    /// A repository with so many commits, each of which adds a function to a file; their SHAs, oldest first.
    pub fn with_commits(count: usize) -> (Self, Vec<String>) {
        let repo = Self::new();
        let commits = (0..count)
            .map(|i| {
                let path = format!("src/part_{}.rs", i % 7);
                let text = format!("/// Adds {i}.\npub fn add_{i}(n: u64) -> u64 {{\n    n + {i}\n}}\n");
                repo.append(&path, &text);
                repo.commit(&format!("Add {i}"))
            })
            .collect();
        (repo, commits)
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Makes of this repository what `git clone --depth` makes: its history ends with this commit, whose parent is gone.
    pub fn end_history_at(&self, commit: &str) {
        let parent = self.git.find_commit(Oid::from_str(commit).unwrap()).unwrap().parent_id(0).unwrap().to_string();
        std::fs::write(self.git.path().join("shallow"), format!("{commit}\n")).unwrap();
        std::fs::remove_file(self.git.path().join("objects").join(&parent[..2]).join(&parent[2..])).unwrap();
    }

    pub fn append(&self, path: &str, text: &str) {
        let file = self.path().join(path);
        let before = std::fs::read(&file).unwrap_or_default();
        self.write(path, &[&before, text.as_bytes()].concat());
    }

    pub fn write(&self, path: &str, content: &[u8]) {
        let file = self.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// Commits all that is in the folder on top of HEAD; the commit's SHA.
    pub fn commit(&self, message: &str) -> String {
        let mut index = self.git.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.update_all(["*"], None).unwrap();
        index.write().unwrap();
        self.commit_tree(index.write_tree().unwrap(), message.as_bytes(), &[])
    }

    /// Commits HEAD's tree with one entry more, or another one, in its root: the entry's name, mode and content. Names and
    /// messages may be any bytes; what lies in the folder is left as it is.
    pub fn commit_entry(&self, name: &[u8], mode: i32, content: Entry<'_>, message: &[u8]) -> String {
        self.commit_tree(self.tree_with(name, mode, content), message, &[])
    }

    /// Merges a commit into HEAD, whose tree gets this file from it. The merge's SHA.
    pub fn merge(&self, other: &str, file: &str, message: &str) -> String {
        let other_tree = self.git.find_commit(Oid::from_str(other).unwrap()).unwrap().tree().unwrap();
        let blob = self.git.find_blob(other_tree.get_name(file).unwrap().id()).unwrap();
        let tree = self.tree_with(file.as_bytes(), FILE, Entry::Blob(blob.content()));
        self.commit_tree(tree, message.as_bytes(), &[other])
    }

    /// Commits a new file on top of a commit, on no branch. The commit's SHA.
    pub fn commit_beside(&self, parent: &str, file: &str, content: &[u8]) -> String {
        let parent = self.git.find_commit(Oid::from_str(parent).unwrap()).unwrap();
        let mut tree = self.git.treebuilder(Some(&parent.tree().unwrap())).unwrap();
        tree.insert(file, self.git.blob(content).unwrap(), FILE).unwrap();
        let tree = self.git.find_tree(tree.write().unwrap()).unwrap();
        let author = parent.author();
        self.git.commit(None, &author, &author, "Beside", &tree, &[&parent]).unwrap().to_string()
    }

    fn tree_with(&self, name: &[u8], mode: i32, content: Entry<'_>) -> Oid {
        let head = self.git.head().unwrap().peel_to_tree().unwrap();
        let id = match content {
            Entry::Blob(bytes) => self.git.blob(bytes).unwrap(),
            Entry::Commit(sha) => Oid::from_str(sha).unwrap(),
        };
        // git2's builder would check names, and that submodules' commits are here.
        let mut entries: Vec<(Vec<u8>, i32, Oid)> =
            head.iter().map(|e| (e.name_bytes().to_vec(), e.filemode_raw(), e.id())).collect();
        entries.retain(|(other, ..)| other != name);
        entries.push((name.to_vec(), mode, id));
        entries.sort_by_key(|(name, mode, _)| [name.as_slice(), if *mode == FOLDER { b"/" } else { b"" }].concat());
        let mut tree = Vec::new();
        for (name, mode, id) in entries {
            tree.extend(format!("{mode:o} ").bytes());
            tree.extend(name);
            tree.push(0);
            tree.extend(id.as_bytes());
        }
        self.git.odb().unwrap().write(ObjectType::Tree, &tree).unwrap()
    }

    /// Writes a commit as bytes, since a message need not be text.
    fn commit_tree(&self, tree: Oid, message: &[u8], other_parents: &[&str]) -> String {
        let head = self.git.head().ok().map(|head| head.target().unwrap().to_string());
        let mut commit = format!("tree {tree}\n");
        for parent in head.iter().map(String::as_str).chain(other_parents.iter().copied()) {
            commit.extend(["parent ", parent, "\n"]);
        }
        for role in ["author", "committer"] {
            commit.extend([role, " Ann <ann@example.invalid> 1700000000 +0000\n"]);
        }
        let commit = [commit.as_bytes(), b"\n", message].concat();
        let id = self.git.odb().unwrap().write(ObjectType::Commit, &commit).unwrap();
        let head = self.git.find_reference("HEAD").unwrap();
        let branch = head.symbolic_target().unwrap().unwrap_or_else(|| panic!("HEAD names a branch")).to_owned();
        self.git.reference(&branch, id, true, "commit").unwrap();
        id.to_string()
    }
}

use std::path::Path;

use git2::{Repository, Signature, Time};
use tempfile::TempDir;

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
        let parent = self.git.head().ok().map(|head| head.peel_to_commit().unwrap());
        let parents: Vec<_> = parent.iter().collect();
        let mut index = self.git.index().unwrap();
        index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
        index.update_all(["*"], None).unwrap();
        index.write().unwrap();
        let tree = self.git.find_tree(index.write_tree().unwrap()).unwrap();
        let author = Signature::new("Ann", "ann@example.invalid", &Time::new(1_700_000_000, 0)).unwrap();
        self.git.commit(Some("HEAD"), &author, &author, message, &tree, &parents).unwrap().to_string()
    }
}

use std::path::Path;

use ::review::LocalGit;

use super::{Config, ConfigError, DEFAULT_FILE, ForgeKind, read, source::Source};

const EXPECTED: &str = "expected the root of a git repository that this user may read; a relative path starts at the \
                        folder of this file";

impl Config {
    /// Makes sure that each configured repository is one. For the processes that read them, before they take work: a path
    /// with a mistake in it would else show as dead letters. Not part of reading the file, since those that only name
    /// repositories (the API, an operator's commands, the check of another machine's file) need not have them.
    pub fn check_repositories(&self) -> Result<(), ConfigError> {
        let ForgeKind::Local = self.forge.kind;
        for (name, path) in &self.forge.repositories {
            if let Err(error) = LocalGit::check(path) {
                let keys = ["forge", "repositories", name.as_str()];
                return Err(self.wrong(&keys, &format!("{error}: {EXPECTED}")));
            }
        }
        Ok(())
    }

    /// A mistake at a key, with its place in the file as that is now.
    fn wrong(&self, keys: &[&str], what: &str) -> ConfigError {
        let file = self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        let text = self.file.as_deref().and_then(|file| read(file).ok()).unwrap_or_default();
        match Source::parse(file, &text) {
            Ok(source) => source.wrong(keys, what),
            Err(error) => error,
        }
    }
}

use std::path::Path;

use review::RepositoryName;

/// Owner of the repositories that are named after their folder.
const OWNER: &str = "local";
/// Most characters that a repository's name has.
const NAME_CHARS_MAX: usize = 100;

/// What a repository on this machine is called when the configuration has no name for it: `local/` and its folder, with
/// `-` in place of what a name cannot have.
pub fn name_of(root: &Path) -> RepositoryName {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let folder = root.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = folder.chars().map(allowed).take(NAME_CHARS_MAX).collect();
    format!("{OWNER}/{name}").parse().unwrap_or_else(|_| fallback())
}

/// The name of a folder that has none of its own, such as `/`.
#[expect(clippy::expect_used, reason = "the text is a literal, and a test parses it")]
fn fallback() -> RepositoryName {
    "local/repository".parse().expect("a literal name")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_folder_makes_a_name() {
        for (folder, name) in [
            ("/srv/acme widgets", "local/acme-widgets"),
            ("/srv/ü", "local/-"),
            ("/", "local/repository"),
            ("/srv/reviewfleet/", "local/reviewfleet"),
        ] {
            assert_eq!(name_of(Path::new(folder)).as_str(), name);
        }
    }
}

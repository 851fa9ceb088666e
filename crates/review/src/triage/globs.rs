use regex::{RegexSet, RegexSetBuilder};
use serde::{Deserialize, Serialize};

/// Patterns of one configuration. More would be a list of files rather than of patterns.
const MAX_PATTERNS: usize = 200;

/// Characters of one pattern.
const MAX_PATTERN_CHARS: usize = 200;

/// Memory of all patterns, compiled.
const MAX_COMPILED_BYTES: usize = 8 << 20;

/// Patterns of paths, as `.gitignore` has them: `*` and `?` stay within a folder, `**` crosses folders, a pattern
/// without a `/` (but at its end) matches at any depth, and one that names a folder matches all below it. Every other
/// character means itself. Matching takes time linear in the path, whatever the patterns are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct PathGlobs {
    patterns: Vec<String>,
    set: RegexSet,
}

/// Patterns that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// More than the maximum.
    #[error("{0} path patterns: at most {MAX_PATTERNS} are allowed")]
    TooMany(usize),
    /// Nothing, or only slashes.
    #[error("a path pattern is empty")]
    Empty,
    /// One is too long.
    #[error("the path pattern {0:?}… is too long: at most {MAX_PATTERN_CHARS} characters are allowed")]
    TooLong(String),
    /// Together they need too much memory.
    #[error("the path patterns are too complex together")]
    TooComplex,
}

impl PathGlobs {
    /// Compiles the patterns.
    pub fn new(patterns: Vec<String>) -> Result<Self, GlobError> {
        if patterns.len() > MAX_PATTERNS {
            return Err(GlobError::TooMany(patterns.len()));
        }
        let expressions = patterns.iter().map(|p| to_expression(p)).collect::<Result<Vec<_>, _>>()?;
        let set = RegexSetBuilder::new(expressions)
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|_| GlobError::TooComplex)?;
        Ok(Self { patterns, set })
    }

    /// The first pattern that the path matches.
    pub fn matched(&self, path: &str) -> Option<&str> {
        self.set.matches(path).iter().next().map(|i| self.patterns[i].as_str())
    }
}

fn to_expression(pattern: &str) -> Result<String, GlobError> {
    if pattern.chars().count() > MAX_PATTERN_CHARS {
        return Err(GlobError::TooLong(pattern.chars().take(40).collect()));
    }
    let mut rest = pattern.trim_matches('/');
    if rest.is_empty() {
        return Err(GlobError::Empty);
    }
    let is_rooted = pattern.starts_with('/') || rest.contains('/');
    let mut expression = String::from(if is_rooted { r"(?s)\A" } else { r"(?s)\A(?:.*/)?" });
    while let Some(char) = rest.chars().next() {
        let (taken, meaning) = match char {
            '*' if rest.starts_with("**/") => (3, "(?:.*/)?"),
            '*' if rest.starts_with("**") => (2, ".*"),
            '*' => (1, "[^/]*"),
            '?' => (1, "[^/]"),
            _ => (char.len_utf8(), ""),
        };
        if meaning.is_empty() {
            expression.push_str(&regex::escape(&rest[..taken]));
        } else {
            expression.push_str(meaning);
        }
        rest = &rest[taken..];
    }
    expression.push_str(r"(?:/.*)?\z");
    Ok(expression)
}

impl Default for PathGlobs {
    fn default() -> Self {
        Self { patterns: Vec::new(), set: RegexSet::empty() }
    }
}

impl PartialEq for PathGlobs {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl TryFrom<Vec<String>> for PathGlobs {
    type Error = GlobError;

    fn try_from(patterns: Vec<String>) -> Result<Self, GlobError> {
        Self::new(patterns)
    }
}

impl From<PathGlobs> for Vec<String> {
    fn from(globs: PathGlobs) -> Self {
        globs.patterns
    }
}

use crate::diff::RepoPath;

/// The languages that rules speak of. Anything else is read as plain text, by the rules that need no syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Rust,
    JavaScript,
    Python,
    Go,
    Java,
    Kotlin,
    C,
    CSharp,
    Ruby,
    Php,
    Shell,
    Sql,
    Yaml,
    Docker,
    Terraform,
    Json,
}

impl Language {
    /// All, in the order of their declaration.
    pub(super) const ALL: [Self; 16] = [
        Self::Rust,
        Self::JavaScript,
        Self::Python,
        Self::Go,
        Self::Java,
        Self::Kotlin,
        Self::C,
        Self::CSharp,
        Self::Ruby,
        Self::Php,
        Self::Shell,
        Self::Sql,
        Self::Yaml,
        Self::Docker,
        Self::Terraform,
        Self::Json,
    ];

    /// By file name and extension.
    pub(super) fn of(path: &RepoPath) -> Option<Self> {
        let name = path.file_name();
        if ["Dockerfile", "Containerfile"].iter().any(|n| name == *n || name.starts_with(&format!("{n}."))) {
            return Some(Self::Docker);
        }
        Some(match path.extension().as_str() {
            "rs" => Self::Rust,
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" => Self::JavaScript,
            "py" | "pyi" => Self::Python,
            "go" => Self::Go,
            "java" => Self::Java,
            "kt" | "kts" => Self::Kotlin,
            "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "hh" | "hxx" => Self::C,
            "cs" => Self::CSharp,
            "rb" | "rake" => Self::Ruby,
            "php" => Self::Php,
            "sh" | "bash" | "zsh" | "ksh" => Self::Shell,
            "sql" => Self::Sql,
            "yml" | "yaml" => Self::Yaml,
            "dockerfile" => Self::Docker,
            "tf" | "hcl" => Self::Terraform,
            "json" => Self::Json,
            _ => return None,
        })
    }

    /// What opens a comment that ends with its line.
    pub(super) const fn line_comments(self) -> &'static [&'static str] {
        match self {
            Self::Rust | Self::JavaScript | Self::Go | Self::Java | Self::Kotlin | Self::C | Self::CSharp => &["//"],
            Self::Php | Self::Terraform => &["//", "#"],
            Self::Python | Self::Ruby | Self::Shell | Self::Yaml | Self::Docker => &["#"],
            Self::Sql => &["--"],
            Self::Json => &[],
        }
    }

    /// Whether `/* … */` is a comment.
    pub(super) const fn has_block_comments(self) -> bool {
        !matches!(self, Self::Python | Self::Ruby | Self::Shell | Self::Yaml | Self::Docker | Self::Json)
    }

    /// Whether block comments nest.
    pub(super) const fn nests_comments(self) -> bool {
        matches!(self, Self::Rust | Self::Kotlin)
    }

    /// Whether `"""` opens a text of several lines.
    pub(super) const fn has_triple_quotes(self) -> bool {
        matches!(self, Self::Python | Self::Kotlin | Self::Java)
    }

    /// What opens a text.
    pub(super) const fn quotes(self) -> &'static [u8] {
        match self {
            Self::Rust | Self::Terraform | Self::Json => b"\"",
            Self::JavaScript | Self::Go | Self::Ruby => b"\"'`",
            _ => b"\"'",
        }
    }

    /// Whether a text that this quote opened goes on in the next line. Where a language allows it and people rarely do
    /// it, the answer is no: a stray apostrophe then spoils one line and not the rest of the hunk.
    pub(super) const fn spans_lines(self, quote: u8) -> bool {
        match self {
            Self::Rust => quote == b'"',
            Self::JavaScript | Self::Go => quote == b'`',
            _ => false,
        }
    }

    /// Whether a backslash hides the quote behind it.
    pub(super) const fn escapes(self, quote: u8) -> bool {
        match self {
            Self::Sql => false,
            Self::Go => quote != b'`',
            Self::Shell | Self::Docker | Self::Yaml => quote == b'"',
            _ => true,
        }
    }
}

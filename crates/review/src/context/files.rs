use crate::diff::RepoPath;

/// Folders of other people's code and of what tools write.
const FOLDERS_LEFT_OUT: &[&str] =
    &["node_modules", "vendor", "third_party", "bower_components", "dist", "target", ".git", ".venv", "__pycache__"];

/// Lock files, whose lines say nothing about the code.
const NAMES_LEFT_OUT: &[&str] =
    &["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "go.sum", "gradle.lockfile", "packages.lock.json"];

/// Data, generated text and binaries by their endings; the last can be told without reading them.
const ENDINGS_LEFT_OUT: &[&str] = &[
    ".lock", ".min.js", ".min.css", ".map", ".svg", ".csv", ".tsv", ".snap", ".po", ".pot", ".ipynb", ".pb.go",
    "_pb2.py", ".patch", ".diff", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".pdf", ".zip", ".gz", ".xz",
    ".zst", ".jar", ".wasm", ".so", ".dll", ".exe", ".woff", ".woff2", ".ttf", ".mp4", ".mp3", ".bin", ".onnx",
    ".parquet",
];

/// How far git looks for a NUL byte to call a content binary.
const BINARY_PROBE_BYTES: usize = 8_000;
/// Bytes of a line; nobody writes longer ones by hand.
const LINE_BYTES_MAX: usize = 4_096;
/// Mean bytes of a line, above which a file is minified or data.
const LINE_BYTES_MEAN_MAX: usize = 300;

/// Whether a file can hold code that people write, by its path.
pub(super) fn is_source(path: &RepoPath) -> bool {
    let shown = path.display().to_ascii_lowercase();
    let (folders, name) = shown.rsplit_once('/').unwrap_or(("", &shown));
    !folders.split('/').any(|f| FOLDERS_LEFT_OUT.contains(&f))
        && !NAMES_LEFT_OUT.contains(&name)
        && !ENDINGS_LEFT_OUT.iter().any(|e| name.ends_with(e))
}

/// A content as text, if it is some that people write. Bytes that are no UTF-8 become `\u{FFFD}`.
pub(super) fn readable(content: &[u8]) -> Option<String> {
    if content[..content.len().min(BINARY_PROBE_BYTES)].contains(&0) {
        return None;
    }
    let lines = memchr::memchr_iter(b'\n', content).count() + 1;
    let longest = content.split(|b| *b == b'\n').map(<[u8]>::len).max().unwrap_or_default();
    let written = longest <= LINE_BYTES_MAX && content.len() / lines <= LINE_BYTES_MEAN_MAX;
    written.then(|| String::from_utf8_lossy(content).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_wrote_is_left_out() {
        for path in ["src/lib.rs", "docs/vendors.md", "Makefile", "targets/x.py", "lock.go"] {
            assert!(is_source(&path.into()), "{path}");
        }
        for path in
            ["vendor/x/y.go", "web/node_modules/a.js", "Cargo.lock", "a/package-lock.json", "app.MIN.js", "x.PNG"]
        {
            assert!(!is_source(&path.into()), "{path}");
        }
        assert!(readable(b"fn main() {}\n").is_some() && readable(b"caf\xe9\n").is_some() && readable(b"").is_some());
        assert!(readable(b"\x7fELF\0").is_none());
        assert!(readable(&[b'x'; LINE_BYTES_MAX + 1]).is_none());
        assert!(readable(&[&[b'x'; 400][..], b"\n"].concat().repeat(9)).is_none());
    }
}

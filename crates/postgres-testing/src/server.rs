use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops/postgres-server");

/// A Postgres that this process has started. It ends with the process.
#[derive(Debug)]
pub struct Server {
    /// Its address, by the superuser `postgres`, whom it asks for no password.
    pub url: String,
    dir: PathBuf,
}

impl Server {
    /// Starts a new one with these settings, each `name=value`.
    pub fn start(settings: &[&str]) -> Self {
        let dir = TempDir::new().unwrap().keep();
        let url = script(SCRIPT, "start", &dir, settings);
        stop_at_the_end(SCRIPT, &dir);
        Self { url, dir }
    }

    /// Ends all its processes at once.
    pub fn crash(&self) {
        script(SCRIPT, "crash", &self.dir, &[]);
    }

    /// Ends it in order.
    pub fn stop(&self) {
        script(SCRIPT, "stop", &self.dir, &[]);
    }

    /// Starts it anew, at the same address.
    pub fn restart(&self) {
        assert_eq!(script(SCRIPT, "start", &self.dir, &[]), self.url);
    }

    /// Its folder: `data` in it is the server's own.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// The address of the server that the tests of this run share: the one that `REVIEWFLEET_TEST_POSTGRES_URL` names, else one
/// of this process.
#[expect(clippy::disallowed_methods, reason = "the test runner names its server so")]
pub fn server_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        std::env::var("REVIEWFLEET_TEST_POSTGRES_URL").unwrap_or_else(|_| Server::start(&["fsync=off"]).url)
    })
}

pub(crate) fn script(script: &str, command: &str, dir: &Path, more: &[&str]) -> String {
    let output = Command::new(script).arg(command).arg(dir).args(more).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{script} {command} fails");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Tests are killed at a timeout, and destructors of statics never run: a watcher that outlives this process stops what it
/// has started, once its own standard input closes.
pub(crate) fn stop_at_the_end(script: &str, dir: &Path) {
    let mut watcher = Command::new("sh");
    watcher.args(["-c", r#"cat >/dev/null; "$0" stop "$1"; rm -rf "$1""#, script]).arg(dir);
    watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    watcher.spawn().map(|child| std::mem::forget(child.stdin)).unwrap();
}

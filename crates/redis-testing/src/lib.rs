//! Real Redis servers for tests. Everything here panics instead of failing, since its callers are tests.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops/redis-server");

/// A server that this process has started. It ends with the process at the latest: a watcher stops it when its standard input
/// closes.
pub struct Server {
    /// Its address.
    pub url: String,
    dir: PathBuf,
    _watched: ChildStdin,
}

fn script(command: &str, dir: &Path, settings: &[&str]) -> String {
    let output = Command::new(SCRIPT).arg(command).arg(dir).args(settings).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "ops/redis-server {command} fails");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Server {
    /// Starts one on a free port with these settings, each `name=value`, beside a log that is on disk before a call is answered.
    pub fn start(settings: &[&str]) -> Self {
        let dir = TempDir::new().unwrap().keep();
        let url = script("start", &dir, settings);
        // Tests are killed at a timeout, and destructors of statics never run: the watcher outlives this process.
        let watcher = Command::new("sh")
            .args(["-c", r#"cat >/dev/null; kill -CONT "$(cat "$1/pid")"; "$0" stop "$1"; rm -rf "$1""#, SCRIPT])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self { url, dir, _watched: watcher.unwrap().stdin.unwrap() }
    }

    /// Ends it at once.
    pub fn kill(&self) {
        script("crash", &self.dir, &[]);
    }

    /// Ends it in order.
    pub fn stop(&self) {
        script("stop", &self.dir, &[]);
    }

    /// Starts it anew, at its address.
    pub fn restart(&self) {
        assert_eq!(script("start", &self.dir, &[]), self.url);
    }

    /// Lets it hang: it takes connections and answers nothing.
    pub fn hang(&self) {
        self.signal("-STOP");
    }

    /// Ends a hang.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.dir.join("pid")).unwrap();
        assert!(Command::new("kill").args([name, pid.trim()]).status().unwrap().success());
    }
}

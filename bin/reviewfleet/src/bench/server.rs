use std::{
    io::ErrorKind,
    ops::RangeInclusive,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use postgres::Address;
use tempfile::TempDir;

/// Starts and stops a private Postgres. It lies beside the program's sources, and goes with the program.
const SCRIPT: &str = include_str!("../../../../ops/postgres-server");
/// What a server for this purpose is given beside its share of memory; all else is as Postgres comes, `fsync` and
/// `synchronous_commit` above all.
const SETTINGS: [&str; 2] = ["max_wal_size=8GB", "checkpoint_timeout=30min"];
/// Bounds of its shared buffers, in MB. In between they are a quarter of the machine's memory:
/// <https://www.postgresql.org/docs/current/runtime-config-resource.html>.
const BUFFERS_MB: RangeInclusive<u64> = 128..=4096;

/// A Postgres of this process alone, on a free port of the loopback address, in a temporary folder.
pub struct PrivateServer {
    pub address: Address,
    /// Stops the server once its standard input closes: when this is dropped, and however else this process ends.
    watcher: Child,
}

impl PrivateServer {
    /// Starts one of the newest Postgres that is installed.
    pub fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("reviewfleet-bench-").context("no temporary folder")?;
        // Root hands it to the user postgres, who must get there.
        let started = script("start", dir.path()).args(SETTINGS).arg(buffers()).stderr(Stdio::inherit()).output();
        let started = started.map_err(|e| match e.kind() {
            ErrorKind::NotFound => {
                anyhow::anyhow!("there is no bash to start a private Postgres with: name a server by --url")
            }
            _ => e.into(),
        })?;
        ensure!(started.status.success(), "no private Postgres could be started: name a server by --url");
        let address = String::from_utf8(started.stdout)?.trim().parse()?;
        let mut watcher = Command::new("bash");
        // In a group of its own, so that a Ctrl-C does not end it before the server.
        watcher.args(["-c", r#"cat; bash -c "$1" postgres-server stop "$2"; rm -rf "$2""#, "watcher", SCRIPT]);
        watcher.arg(dir.path()).process_group(0);
        let watcher = watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        // The watcher's from here on.
        let _ = dir.keep();
        Ok(Self { address, watcher })
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}

/// The setting of the shared buffers. A machine that does not say its memory as Linux does is taken for one of 4 GB.
fn buffers() -> String {
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    let total = memory.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("MemTotal:")));
    let total_kb = total.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(4 * 1024 * 1024);
    format!("shared_buffers={}MB", (total_kb / 4 / 1024).clamp(*BUFFERS_MB.start(), *BUFFERS_MB.end()))
}

fn script(command: &str, dir: &Path) -> Command {
    let mut bash = Command::new("bash");
    bash.args(["-c", SCRIPT, "postgres-server", command]).arg(dir);
    bash
}

use std::path::PathBuf;

use tempfile::TempDir;

use crate::server::{script, stop_at_the_end};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ops/pgbouncer-server");

/// A `PgBouncer` that this process has started before a server. It ends with the process.
#[derive(Debug)]
pub struct Pooler {
    /// The address of the server's database `postgres` through it.
    pub url: String,
    _dir: PathBuf,
}

impl Pooler {
    /// Starts one before the server with this address, with these settings, each `name=value`.
    pub fn start(server: &str, settings: &[&str]) -> Self {
        let dir = TempDir::new().unwrap().keep();
        let url = script(SCRIPT, "start", &dir, &[&[server], settings].concat());
        stop_at_the_end(SCRIPT, &dir);
        Self { url, _dir: dir }
    }

    /// The address of a database through it.
    pub fn url_of(&self, database: &str) -> String {
        let (base, _) = self.url.rsplit_once('/').unwrap();
        format!("{base}/{database}")
    }
}

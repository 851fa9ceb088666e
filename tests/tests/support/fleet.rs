use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use serde_json::Value;

use super::{process::KEY, program, until};

/// A program of the fleet as a process of its own, in a folder with a `workers.toml`; killed when it is dropped.
pub struct FleetProcess {
    child: Child,
    log: PathBuf,
}

impl FleetProcess {
    /// Starts it on a database. Its log goes into the folder, under a name of its own.
    pub fn start(name: &str, dir: &Path, database: &str, log: &str) -> Self {
        let log = dir.join(log);
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(program(name));
        command.env_clear().env("REVIEWFLEET_API_KEY", KEY).env("DATABASE_URL", database).current_dir(dir);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it has logged a text.
    #[track_caller]
    pub fn has_logged(&self, text: &str) {
        until(text, || self.log().contains(text).then_some(()));
    }

    /// Waits until it listens for HTTP; where.
    pub fn address(&self) -> String {
        until("the process listens", || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains("serving HTTP"))?;
            line.rsplit_once("address=").map(|(_, address)| address.trim().to_owned())
        })
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        until("the end of the process", || self.child.try_wait().unwrap())
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for FleetProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `reviewfleet-api`, which listens on a free port.
pub struct Api {
    pub process: FleetProcess,
    url: String,
    client: reqwest::blocking::Client,
}

impl Api {
    pub fn start(dir: &Path, database: &str) -> Self {
        let process = FleetProcess::start("reviewfleet-api", dir, database, "api.log");
        let address = process.address();
        install_tls();
        // No connection is used twice: one that the API closes meanwhile would fail the test.
        let client = reqwest::blocking::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { process, url: format!("http://{address}"), client }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.process.address()
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY).send().unwrap();
        (answer.status().as_u16(), serde_json::from_str(&answer.text().unwrap()).unwrap_or_default())
    }

    /// Posts a review job: the status, the content type and the answer.
    pub fn post(&self, head: &str, user: &str) -> (u16, String, Value) {
        let body = serde_json::json!({ "repository": "acme/widgets", "head": head, "user": user, "tier": "PRO" });
        let request = self.client.post(format!("{}/v1/reviews", self.url)).bearer_auth(KEY).json(&body);
        let answer = request.send().unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind, answer.json().unwrap())
    }

    /// As [`Api::post`], where it must be taken: the job's id.
    #[track_caller]
    pub fn review(&self, head: &str, user: &str) -> String {
        let (status, _, answer) = self.post(head, user);
        assert_eq!(status, 202, "{answer}");
        answer["job_id"].as_str().unwrap().to_owned()
    }

    /// Waits until a job has come to a final state; the job. A database that comes back is borne with.
    pub fn ended(&self, job: &str) -> Value {
        until("the job's end", || {
            let (status, view) = self.get(&format!("/v1/jobs/{job}"));
            assert!(status == 200 || status == 503, "{view}");
            matches!(view["state"].as_str(), Some("completed" | "dead" | "cancelled")).then_some(view)
        })
    }
}

/// Chooses the TLS that a client of HTTP is built with, whether it uses any or not.
pub fn install_tls() {
    // `Err` says that another test of this process has installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Runs what is asynchronous in a test that is not.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

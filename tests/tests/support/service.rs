use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use serde_json::Value;

use super::{program, until};

/// The bearer key of every service under test.
pub const KEY: &str = "a-key-of-the-tests";

const UP: [&str; 4] = ["up", "--json", "--listen", "127.0.0.1:0"];

/// The program with an environment that holds nothing but what a test puts in.
pub fn reviewfleet(dir: &Path) -> Command {
    let mut command = Command::new(program("reviewfleet"));
    command.env_clear().env("REVIEWFLEET_API_KEY", KEY).current_dir(dir).stdin(Stdio::null());
    command
}

/// A running `reviewfleet up`; killed when it is dropped.
pub struct Service {
    process: Child,
    pub url: String,
    client: reqwest::blocking::Client,
}

impl Service {
    /// Starts it in a folder that holds its `workers.toml`, and waits until it listens.
    pub fn start(dir: &Path) -> Self {
        let mut command = reviewfleet(dir);
        command.args(UP);
        Self::launch(command, dir)
    }

    /// Starts it where no file may grow beyond so many KiB, as on a disk that is full.
    pub fn start_on_full_disk(dir: &Path, file_kib_max: u32) -> Self {
        let mut command = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -f {file_kib_max}; exec \"$@\"");
        command.args(["-c", &script, "bash"]).arg(program("reviewfleet")).args(UP);
        command.env("REVIEWFLEET_API_KEY", KEY).current_dir(dir).stdin(Stdio::null());
        Self::launch(command, dir)
    }

    fn launch(mut command: Command, dir: &Path) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
        let mut process = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let started: Value = serde_json::from_str(&first)
            .unwrap_or_else(|e| panic!("{e}: {first:?}; {}", std::fs::read_to_string(dir.join("log")).unwrap()));
        let url = started["url"].as_str().unwrap().to_owned();
        // `Err` says that another test of this process has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { process, url, client: reqwest::blocking::Client::new() }
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(KEY).json(body);
        let answer = request.send().unwrap();
        (answer.status().as_u16(), answer.json().unwrap())
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY).send().unwrap();
        (answer.status().as_u16(), answer.json().unwrap())
    }

    pub fn text(&self, path: &str) -> String {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY).send().unwrap().text().unwrap()
    }

    /// Posts a review job; the job's id.
    pub fn review(&self, repository: &str, head: &str, user: &str) -> String {
        let body = serde_json::json!({ "repository": repository, "head": head, "user": user, "tier": "PRO" });
        let (status, answer) = self.post("/v1/reviews", &body);
        assert_eq!(status, 202, "{answer}");
        answer["job_id"].as_str().unwrap().to_owned()
    }

    /// Waits until a job has come to a final state; the job.
    pub fn ended(&self, job: &str) -> Value {
        until("the job's end", || {
            let (status, view) = self.get(&format!("/v1/jobs/{job}"));
            assert_eq!(status, 200, "{view}");
            matches!(view["state"].as_str(), Some("completed" | "dead" | "cancelled")).then_some(view)
        })
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Waits for the process to end by itself.
    pub fn wait(mut self) -> ExitStatus {
        until("the end of the process", || self.process.try_wait().unwrap())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Both outputs of a command, and how it ended.
pub fn run(mut command: Command) -> (ExitStatus, String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (child.wait().unwrap(), out, err)
}

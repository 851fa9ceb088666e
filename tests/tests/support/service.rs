use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use serde_json::Value;

use super::{
    KEY, Process, command_of,
    process::{log_file, logged},
    program, reviewfleet, until,
};

const UP: [&str; 4] = ["up", "--json", "--listen", "127.0.0.1:0"];

/// A running service with an API.
pub struct Service {
    process: Process,
    pub url: String,
    client: reqwest::blocking::Client,
}

impl Service {
    /// Starts `reviewfleet up` in a folder that holds its `workers.toml`, and waits until it listens.
    pub fn start(dir: &Path) -> Self {
        let mut command = reviewfleet(dir);
        command.args(UP);
        Self::launch(command, dir)
    }

    /// Starts it where no file may grow beyond so many KiB, as on a disk that is full.
    pub fn start_on_full_disk(dir: &Path, file_kib_max: u32) -> Self {
        let mut command = Command::new("bash");
        let script = format!("trap '' XFSZ; ulimit -S -f {file_kib_max}; exec \"$@\"");
        command.args(["-c", &script, "bash"]).arg(program("reviewfleet")).args(UP);
        command.env("REVIEWFLEET_API_KEY", KEY).current_dir(dir).stdin(Stdio::null());
        Self::launch(command, dir)
    }

    /// Starts `reviewfleet-api` alone, whose `workers.toml` lets it listen on a port that is free.
    pub fn start_api(dir: &Path) -> Self {
        let mut command = command_of("reviewfleet-api", dir);
        let process = command.stderr(log_file(dir, "api.log")).spawn().unwrap();
        Self::new(Process::new(process), url_in(dir, "api.log"))
    }

    /// Starts `reviewfleet-worker` alone, which is told to answer `/metrics` on a port that is free.
    pub fn start_scraped_worker(dir: &Path, log: &str, options: &[&str]) -> Self {
        let process = Process::worker_with(dir, log, options);
        Self::new(process, url_in(dir, log))
    }

    fn launch(mut command: Command, dir: &Path) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(log_file(dir, "log")).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let started: Value = serde_json::from_str(&first)
            .unwrap_or_else(|e| panic!("{e}: {first:?}; {}", std::fs::read_to_string(dir.join("log")).unwrap()));
        let url = started["url"].as_str().unwrap().to_owned();
        Self::new(Process::new(process), url)
    }

    fn new(process: Process, url: String) -> Self {
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

    /// Asks with this `Authorization`, or with none.
    pub fn get_as(&self, authorization: Option<&str>, path: &str) -> (u16, Value) {
        let mut request = self.client.get(format!("{}{path}", self.url));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let answer = request.send().unwrap();
        (answer.status().as_u16(), answer.json().unwrap())
    }

    pub fn status_without_key(&self, path: &str) -> u16 {
        self.client.get(format!("{}{path}", self.url)).send().unwrap().status().as_u16()
    }

    /// Sends a request of any method.
    pub fn status_of(&self, method: &str, path: &str) -> u16 {
        let method = method.parse().unwrap();
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(KEY);
        request.send().unwrap().status().as_u16()
    }

    pub fn delete(&self, path: &str) -> (u16, Value) {
        let answer = self.client.delete(format!("{}{path}", self.url)).bearer_auth(KEY).send().unwrap();
        (answer.status().as_u16(), answer.json().unwrap())
    }

    pub fn text(&self, path: &str) -> String {
        self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY).send().unwrap().text().unwrap()
    }

    /// A review as Markdown.
    pub fn markdown(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(KEY).header("accept", "text/markdown");
        let answer = request.send().unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        // Strictly: `text` would replace what is no UTF-8.
        String::from_utf8(answer.bytes().unwrap().to_vec()).unwrap()
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

    /// Waits until a job is completed; its review.
    #[track_caller]
    pub fn completed(&self, job: &str) -> Value {
        let view = self.ended(job);
        assert_eq!(view["state"], "completed", "{view}");
        self.get(view["links"]["review"].as_str().unwrap()).1
    }

    /// `kill -9`.
    pub fn kill(self) {
        self.process.kill();
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the process to end by itself.
    pub fn wait(self) -> ExitStatus {
        self.process.wait()
    }

    /// Gives the disk of [`Self::start_on_full_disk`] room again.
    pub fn free_disk(&self) {
        self.process.free_disk();
    }
}

/// Where a process listens, by its log.
fn url_in(dir: &Path, log: &str) -> String {
    let line = logged(dir, log, "serving HTTP");
    let (_, address) = line.split_once("address=").unwrap();
    format!("http://{address}")
}

/// Both outputs of a command, and how it ended.
pub fn run(mut command: Command) -> (ExitStatus, String, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (child.wait().unwrap(), out, err)
}

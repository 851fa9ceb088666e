use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use serde_json::Value;

use super::{fleet::install_tls, process::log_file, until};

/// Ports that are tried: between the choice of one and the server's start, another process may take it.
const PORTS_TRIED_MAX: usize = 10;

/// The folder of the rules and the configuration that come with the programs.
pub fn prometheus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("ops/prometheus")
}

/// Runs Debian's `promtool` in a folder; whether it is content, and all that it says.
pub fn promtool(folder: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new("promtool").args(args).current_dir(folder).output();
    let output = output.unwrap_or_else(|e| panic!("promtool: {e}: ops/prepare installs it"));
    let text = [output.stdout, output.stderr].map(|out| String::from_utf8(out).unwrap());
    (output.status.success(), text.concat())
}

/// A real Prometheus on a free port, with its data in a folder of the test's; killed when it is dropped.
pub struct Prometheus {
    child: Child,
    url: String,
    client: reqwest::blocking::Client,
}

impl Prometheus {
    /// Starts one by the `prometheus.yml` of a folder, and waits until it serves.
    pub fn start(folder: &Path) -> Self {
        install_tls();
        let client = reqwest::blocking::Client::new();
        for _ in 0..PORTS_TRIED_MAX {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut child = launch(folder, port);
            let url = format!("http://127.0.0.1:{port}");
            let serves = until("Prometheus serves", || {
                if child.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                let answer = client.get(format!("{url}/-/ready")).send().ok()?;
                answer.status().is_success().then_some(true)
            });
            if serves {
                return Self { child, url, client };
            }
        }
        panic!("{}", fs::read_to_string(folder.join("prometheus.log")).unwrap());
    }

    /// The `data` of an answer of its HTTP API.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), query).unwrap();
        let answer = self.client.get(url).send().unwrap();
        let mut answer: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"].take()
    }

    /// The value of an expression that has one series; `None` while it has none.
    pub fn value(&self, expression: &str) -> Option<f64> {
        let found = self.get("query", &[("query", expression)]);
        let series = found["result"].as_array().unwrap();
        assert!(series.len() <= 1, "{expression}: {found}");
        series.first().map(|one| one["value"][1].as_str().unwrap().parse().unwrap())
    }

    /// Waits until an expression has a value.
    #[track_caller]
    pub fn has(&self, expression: &str, value: f64) {
        let what = format!("{expression} is {value}");
        until(&what, || self.value(expression).filter(|found| found.total_cmp(&value).is_eq()));
    }

    /// Asks it to stop, and waits for its end.
    pub fn stop(mut self) -> ExitStatus {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        until("the end of Prometheus", || self.child.try_wait().unwrap())
    }
}

fn launch(folder: &Path, port: u16) -> Child {
    let mut command = Command::new("prometheus");
    command.current_dir(folder).args([
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        &format!("--web.listen-address=127.0.0.1:{port}"),
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file(folder, "prometheus.log"));
    command.spawn().unwrap_or_else(|e| panic!("prometheus: {e}: ops/prepare installs it"))
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

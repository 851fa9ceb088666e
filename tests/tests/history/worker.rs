//! A worker of these tests as a process of its own: this test program, started again.

use std::{
    fs::{File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use job::{Job, JobKind, Outcome, QueueName, RetryPolicy, WorkerId};
use rustix::process::{Pid, Signal, kill_process};
use store_postgres::{Options, PostgresQueue};
use tokio_util::sync::CancellationToken;
use worker::{Context, Handler, Handlers};

/// The name of the test that is no test but a worker, where its environment says so.
const SELF: &str = "worker::a_worker_of_these_tests";
const URL: &str = "HISTORY_WORKER_URL";
const LISTEN: &str = "HISTORY_WORKER_LISTEN_URL";
const NAME: &str = "HISTORY_WORKER_NAME";
const BEGUN: &str = "HISTORY_WORKER_BEGUN";
/// How many slots it has, if not [`SLOTS`].
pub const SLOTS_OF_ITS_OWN: &str = "HISTORY_WORKER_SLOTS";
/// Where it is set, the worker never ends a job of the kind `hold`.
pub const HOLDS: &str = "HISTORY_WORKER_HOLDS";

/// How long a lease runs, so short that what is lost comes back within a test.
pub const LEASE: Duration = Duration::from_secs(1);
pub const SLOTS: usize = 8;

/// Fails sometimes and is done otherwise, within some milliseconds.
struct Sleeper(Begun);

/// Is done at once, or never.
struct Holder {
    begun: Begun,
    for_ever: bool,
}

/// Where handlers note which job they begin, in which worker, and what time it is there.
#[derive(Clone)]
struct Begun {
    file: Arc<File>,
    worker: String,
}

impl Begun {
    #[expect(clippy::disallowed_methods, reason = "what time a worker believes it is")]
    fn note(&self, job: &Job) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        // One short write to a file that only grows is whole, whoever else writes.
        (&*self.file).write_all(format!("{} {} {now}\n", job.id, self.worker).as_bytes()).unwrap();
    }
}

#[async_trait]
impl Handler for Sleeper {
    async fn run(&self, job: &Job, _: &Context) -> Outcome {
        self.0.note(job);
        let [millis, luck, ..] = RandomState::new().hash_one(0_u8).to_le_bytes();
        tokio::time::sleep(Duration::from_millis(u64::from(millis) / 12)).await;
        match luck {
            0..8 => Outcome::Transient { error: "bad luck".to_owned(), retry_after: None },
            8..10 => Outcome::Permanent { error: "no luck at all".to_owned() },
            _ => Outcome::Completed,
        }
    }
}

#[async_trait]
impl Handler for Holder {
    async fn run(&self, job: &Job, _: &Context) -> Outcome {
        self.begun.note(job);
        if self.for_ever {
            std::future::pending::<()>().await;
        }
        Outcome::Completed
    }
}

#[expect(clippy::disallowed_methods, reason = "a process that the test starts is told by its environment what to do")]
fn told(what: &str) -> Option<String> {
    std::env::var(what).ok()
}

#[test]
fn a_worker_of_these_tests() {
    let Some(url) = told(URL) else { return };
    let options =
        Options { transaction_pooler: told(LISTEN).is_some(), listen_url: told(LISTEN), ..Options::default() };
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).with_env_filter("warn").init();
    let (name, begun) = (told(NAME).unwrap(), told(BEGUN).unwrap());
    let file = Arc::new(OpenOptions::new().create(true).append(true).open(begun).unwrap());
    let begun = Begun { file, worker: name.clone() };
    let holder = Holder { begun: begun.clone(), for_ever: told(HOLDS).is_some() };
    let handlers = Handlers::default()
        .with(JobKind::new("sleep").unwrap(), Arc::new(Sleeper(begun)))
        .with(JobKind::new("hold").unwrap(), Arc::new(holder));
    let mut of_worker = worker::Options::new(WorkerId::new(name).unwrap(), vec![QueueName::new("work").unwrap()]);
    of_worker.concurrency = told(SLOTS_OF_ITS_OWN).map_or(SLOTS, |slots| slots.parse().unwrap());
    of_worker.lease = LEASE;
    of_worker.poll_interval = Duration::from_millis(500);
    of_worker.retry =
        RetryPolicy { base: Duration::from_millis(50), cap: Duration::from_millis(200), ..RetryPolicy::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let queue = loop {
            match PostgresQueue::open(&url, options.clone()).await {
                Ok(queue) => break queue,
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        worker::run(queue.shared(), handlers, of_worker, CancellationToken::new()).await.unwrap();
    });
}

/// How to start workers.
#[derive(Clone)]
pub struct Recipe {
    pub url: String,
    /// Where to listen, when the address is a pooler's.
    pub listen: Option<String>,
    /// Where handlers write which job they begin, and workers their logs.
    pub dir: PathBuf,
}

/// A running worker; killed when it is dropped.
pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Recipe {
    pub fn start(&self, name: &str) -> Worker {
        self.start_with(name, &[])
    }

    /// Starts one with more in its environment.
    pub fn start_with(&self, name: &str, environment: &[(&str, &str)]) -> Worker {
        let log = self.dir.join(format!("{name}.log"));
        let file = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([SELF, "--exact", "--nocapture"]).env(URL, &self.url).env(NAME, name).env(BEGUN, self.begun());
        command.envs(self.listen.iter().map(|url| (LISTEN, url))).envs(environment.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().unwrap();
        Worker { child, log }
    }

    pub fn begun(&self) -> PathBuf {
        self.dir.join("begun")
    }
}

impl Worker {
    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().try_into().unwrap()).unwrap(), signal).unwrap();
    }

    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The library that shows a process another time than the machine's, which `ops/prepare` installs.
pub fn faketime() -> PathBuf {
    let of = |dir: std::fs::DirEntry| dir.path().join("faketime/libfaketime.so.1");
    let found =
        std::fs::read_dir(Path::new("/usr/lib")).unwrap().map(|dir| of(dir.unwrap())).find(|file| file.exists());
    found.expect("libfaketime is missing: run ops/prepare")
}

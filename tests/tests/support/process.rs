use std::{
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::{program, until};

/// The bearer key of every service under test.
pub const KEY: &str = "a-key-of-the-tests";

/// A program of the workspace with an environment that holds nothing but what a test puts in.
pub fn command_of(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(program(name));
    command.env_clear().env("REVIEWFLEET_API_KEY", KEY).current_dir(dir).stdin(Stdio::null());
    command
}

/// The command line's program, as [`command_of`] has it.
pub fn reviewfleet(dir: &Path) -> Command {
    command_of("reviewfleet", dir)
}

/// A process under test; killed when it is dropped.
pub struct Process(Child);

impl Process {
    /// Starts `reviewfleet-worker` in a folder that holds its `workers.toml`, and waits until it looks for work. Its log is
    /// a file of this name there.
    pub fn worker(dir: &Path, log: &str) -> Self {
        Self::worker_with(dir, log, &[])
    }

    /// As [`Self::worker`], with these options.
    pub fn worker_with(dir: &Path, log: &str, options: &[&str]) -> Self {
        let mut command = command_of("reviewfleet-worker", dir);
        command.args(options);
        let worker = Self::new(command.stderr(log_file(dir, log)).spawn().unwrap());
        logged(dir, log, "working");
        worker
    }

    pub(super) const fn new(child: Child) -> Self {
        Self(child)
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Waits for the process to end by itself.
    pub fn wait(mut self) -> ExitStatus {
        until("the end of the process", || self.0.try_wait().unwrap())
    }

    /// Lets the files of a running process grow as far as this one's may: the disk has room again.
    pub fn free_disk(&self) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        let pid = Pid::from_raw(self.id().try_into().unwrap()).unwrap();
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: maximum, maximum }).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file in a folder to which a process writes its log.
pub fn log_file(dir: &Path, name: &str) -> std::fs::File {
    std::fs::OpenOptions::new().create(true).append(true).open(dir.join(name)).unwrap()
}

/// Waits for a log's first line with these words; the line.
pub fn logged(dir: &Path, name: &str, words: &str) -> String {
    until(words, || {
        let log = std::fs::read_to_string(dir.join(name)).unwrap();
        log.lines().find(|line| line.contains(words)).map(str::to_owned)
    })
}

//! How every program ends when it cannot do its work: its exit code, and one line that says why.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::path::Path;

use support::{command_of, run};

/// Every program, with the command that makes a service of it.
const PROGRAMS: [(&str, &[&str]); 3] =
    [("reviewfleet", &["up"]), ("reviewfleet-api", &[]), ("reviewfleet-worker", &[])];
const API: [(&str, &[&str]); 2] = [PROGRAMS[0], PROGRAMS[1]];
const WORKER: [(&str, &[&str]); 2] = [PROGRAMS[0], PROGRAMS[2]];

/// Asserts that a program ends with this code and says why in one line and no more, even where backtraces are asked for.
#[track_caller]
fn ends(program: (&str, &[&str]), dir: &Path, more: &[&str], key: bool, (code, why): (i32, &str)) {
    let mut command = command_of(program.0, dir);
    command.env("RUST_BACKTRACE", "1").env("RUST_LOG", "warn").args(program.1).args(more);
    if !key {
        command.env_remove("REVIEWFLEET_API_KEY");
    }
    let (status, out, err) = run(command);
    assert_eq!((status.code(), out.as_str()), (Some(code), ""), "{program:?}: {err}");
    assert!(err.starts_with("error: ") && err.contains(why), "{program:?}: {err}");
    assert_eq!(err.trim_end().lines().count(), 1, "{program:?}: {err}");
}

fn folder(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("workers.toml"), config).unwrap();
    dir
}

#[test]
fn a_wrong_configuration_ends_every_program_with_2() {
    for (config, why) in [
        ("[worker]\nconcurrency = 0", "workers.toml:2: worker.concurrency = 0: "),
        ("[worker", "workers.toml:1: "),
        ("[api]\nlisten = \"here\"", "api.listen"),
    ] {
        let dir = folder(config);
        for program in PROGRAMS {
            ends(program, dir.path(), &[], true, (2, why));
        }
    }
    let dir = folder("");
    for program in PROGRAMS {
        ends(program, dir.path(), &["--config", "none.toml"], true, (2, "none.toml cannot be read: No such file"));
    }
    for program in API {
        ends(program, dir.path(), &[], false, (2, "environment variable REVIEWFLEET_API_KEY: the API needs a key"));
    }
    let dir = folder("[forge.repositories]\n\"acme/widgets\" = \"nowhere\"");
    for program in WORKER {
        ends(program, dir.path(), &[], true, (2, "nowhere does not exist"));
    }
    assert!(!dir.path().join("reviewfleet-data").exists(), "nothing is made before the configuration is found right");
}

#[test]
fn what_is_no_fault_of_the_configuration_ends_every_program_with_1() {
    let dir = folder("[api]\nlisten = \"127.0.0.1:0\"");
    std::fs::write(dir.path().join("reviewfleet-data"), "a file").unwrap();
    for program in PROGRAMS {
        ends(program, dir.path(), &[], true, (1, "reviewfleet-data (store.data_dir) cannot be made: "));
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = folder(&format!("[api]\nlisten = \"{address}\""));
    for program in API {
        ends(program, dir.path(), &[], true, (1, &format!("cannot listen on {address} (api.listen): Address already")));
    }
    let dir = folder("");
    let why = format!("cannot listen on {address} (worker.metrics_listen): Address already");
    ends(PROGRAMS[2], dir.path(), &["--metrics-listen", &address.to_string()], true, (1, &why));
    assert!(!dir.path().join("reviewfleet-data").exists(), "nothing is made where it could not be served");
}

#[test]
fn a_wrong_command_line_ends_every_program_with_2() {
    let dir = folder("");
    for (program, arguments) in PROGRAMS {
        let mut command = command_of(program, dir.path());
        command.args(arguments).arg("--no-such-option");
        let (status, out, err) = run(command);
        assert_eq!((status.code(), out.as_str()), (Some(2), ""), "{program}: {err}");
        assert!(err.contains("--no-such-option"), "{program}: {err}");
    }
}

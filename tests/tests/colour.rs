//! Colour: on a terminal, unless it was asked not to be; in a pipe, only when it was asked for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

mod support;

use std::process::{Command, ExitStatus};

use support::{Repo, Service, command_of, configure, reviewfleet, run, run_on_terminal};

/// What begins every sequence that sets a colour or an emphasis.
const ESCAPE: char = '\u{1b}';

type Runner = fn(Command) -> (ExitStatus, String, String);

/// A folder with a queue, in which a command has something to emphasize and another one fails.
fn folder() -> tempfile::TempDir {
    let (repo, commits) = Repo::with_commits(1);
    let dir = tempfile::tempdir().unwrap();
    configure(dir.path(), repo.path(), "", "");
    let service = Service::start(dir.path());
    service.completed(&service.review("acme/widgets", &commits[0], "ann"));
    dir
}

/// Runs `jobs list`, which prints a heading, and a command that fails, and says whether the one's standard output and the
/// other's standard error have colour.
#[track_caller]
fn coloured(dir: &tempfile::TempDir, run: Runner, variables: &[(&str, &str)], options: &[&str]) -> (bool, bool) {
    let command = |arguments: &[&str]| {
        let mut command = reviewfleet(dir.path());
        command.env("TERM", "xterm-256color").envs(variables.iter().copied()).args(options).args(arguments);
        run(command)
    };
    let (status, out, err) = command(&["jobs", "list"]);
    assert!(status.success() && out.contains("STATE") && err.is_empty(), "{out}{err}");
    let (status, nothing, error) = command(&["queues", "pause", "nope"]);
    assert_eq!((status.code(), nothing.as_str()), (Some(1), ""));
    assert!(error.contains("there is no queue nope"), "{error}");
    (out.contains(ESCAPE), error.contains(ESCAPE))
}

#[test]
fn it_goes_by_terminal_environment_and_option() {
    let dir = folder();
    let pipe: (Runner, &str) = (run, "pipe");
    let terminal: (Runner, &str) = (run_on_terminal, "terminal");
    let (yes, no) = ((true, true), (false, false));
    for ((runner, place), variables, options, expected) in [
        (terminal, &[][..], &[][..], yes),
        (terminal, &[("NO_COLOR", "1")], &[], no),
        // An empty value is none: https://no-color.org.
        (terminal, &[("NO_COLOR", "")], &[], yes),
        (terminal, &[("TERM", "dumb")], &[], no),
        (terminal, &[], &["--color", "never"], no),
        (terminal, &[("NO_COLOR", "1")], &["--color", "always"], yes),
        (pipe, &[], &[], no),
        (pipe, &[], &["--color", "auto"], no),
        (pipe, &[], &["--color", "always"], yes),
        (pipe, &[("NO_COLOR", "1")], &["--color", "always"], yes),
        (pipe, &[("CLICOLOR_FORCE", "1")], &[], yes),
        (pipe, &[("CLICOLOR_FORCE", "1")], &["--color", "never"], no),
    ] {
        assert_eq!(coloured(&dir, runner, variables, options), expected, "{place} {variables:?} {options:?}");
    }
}

#[test]
fn json_has_none_even_on_a_terminal_and_when_asked_for() {
    let dir = folder();
    for options in [&["--json"][..], &["--json", "--color", "always"]] {
        let mut command = reviewfleet(dir.path());
        command.env("TERM", "xterm-256color").args(options).args(["jobs", "list"]);
        let (status, out, _) = run_on_terminal(command);
        assert!(status.success() && !out.contains(ESCAPE), "{out}");
        assert!(serde_json::from_str::<serde_json::Value>(out.trim()).is_ok(), "{out}");
    }
}

#[test]
fn the_demo_shows_its_progress_on_a_terminal_alone_and_without_colour_when_asked_to() {
    let (repo, _) = Repo::with_commits(2);
    let folder = tempfile::tempdir().unwrap();
    let colour = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    for (options, expected) in [(&[][..], true), (&["--color", "never"], false)] {
        let mut command = reviewfleet(folder.path());
        command.env("TERM", "xterm-256color").env("TMPDIR", folder.path()).args(options).arg("demo").arg(repo.path());
        let (status, out, err) = run_on_terminal(command);
        assert!(status.success() && out.contains("2 jobs, 2 completed"), "{out}{err}");
        assert_eq!(colour.is_match(&out), expected, "{out}");
        assert!(err.contains("reviewing") && !out.contains("reviewing"), "{out}{err}");
    }
}

#[test]
fn a_command_line_that_is_wrong_is_told_without_colour_in_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let command = |variables: &[(&str, &str)]| {
        let mut command = reviewfleet(dir.path());
        command.env("TERM", "xterm-256color").envs(variables.iter().copied()).args(["jobs", "show", "123"]);
        command
    };
    let (status, out, err) = run(command(&[]));
    assert_eq!((status.code(), out.as_str(), err.contains(ESCAPE)), (Some(2), "", false), "{err}");
    let (_, _, err) = run_on_terminal(command(&[]));
    assert!(err.contains(ESCAPE), "{err}");
    let (_, _, err) = run_on_terminal(command(&[("NO_COLOR", "1")]));
    assert!(!err.contains(ESCAPE), "{err}");
}

#[test]
fn log_lines_have_it_as_all_else_has() {
    let (repo, _) = Repo::with_commits(1);
    let folder = tempfile::tempdir().unwrap();
    let (pipe, terminal): (Runner, Runner) = (run, run_on_terminal);
    for (runner, variables, options, expected) in [
        (terminal, &[][..], &[][..], true),
        (terminal, &[("NO_COLOR", "1")], &[], false),
        (terminal, &[], &["--color", "never"], false),
        (pipe, &[], &[], false),
        (pipe, &[], &["--color", "always"], true),
    ] {
        let mut command = reviewfleet(folder.path());
        command.env("TERM", "xterm-256color").env("TMPDIR", folder.path()).env("RUST_LOG", "info,sqlx=warn");
        command.envs(variables.iter().copied()).args(options).arg("demo").arg(repo.path());
        let (status, _, err) = runner(command);
        let line = err.lines().find(|line| line.contains("serving HTTP")).unwrap_or_else(|| panic!("no log: {err}"));
        assert!(status.success() && line.contains(ESCAPE) == expected, "{variables:?} {options:?}: {line:?}");
    }
}

#[test]
fn api_and_worker_heed_the_same_option() {
    let folder = tempfile::tempdir().unwrap();
    for program in ["reviewfleet-api", "reviewfleet-worker"] {
        for (when, expected) in [("always", true), ("never", false), ("auto", false)] {
            let mut command = command_of(program, folder.path());
            command.args(["--color", when, "--config", "none.toml"]);
            let (status, _, err) = run(command);
            assert_eq!((status.code(), err.contains(ESCAPE)), (Some(2), expected), "{program} --color {when}: {err}");
        }
    }
}

use std::{
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    process::{Command, ExitStatus},
    thread,
};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

/// Runs a command with both outputs on terminals, one each: what they show, and how it ended.
pub fn run_on_terminal(mut command: Command) -> (ExitStatus, String, String) {
    let ((out, out_end), (err, err_end)) = (terminal(), terminal());
    let mut child = command.stdout(out_end).stderr(err_end).spawn().unwrap();
    // It holds this process' copies of the terminals' other ends, which would keep them open.
    drop(command);
    let (out, err) = (thread::spawn(move || shown(out)), thread::spawn(move || shown(err)));
    let status = child.wait().unwrap();
    (status, out.join().unwrap(), err.join().unwrap())
}

/// A new terminal: where it can be read, and its end for the program.
fn terminal() -> (File, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let reading = openpt(flags).unwrap();
    grantpt(&reading).unwrap();
    unlockpt(&reading).unwrap();
    let end = ioctl_tiocgptpeer(&reading, flags).unwrap();
    (reading.into(), end)
}

fn shown(mut terminal: File) -> String {
    let mut bytes = Vec::new();
    // Once its other end is closed, Linux answers EIO where a pipe would answer its end.
    let _ = terminal.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

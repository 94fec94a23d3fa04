//! An example as a child process.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How long a test waits for what must come. Only a failing test waits so long, or one on a machine that gives sentinels no
/// time for 2 s: they do nothing for 30 s then.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A running example. Dropped, it is killed.
pub(crate) struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    /// Starts an example.
    #[track_caller]
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        Self::run(name, Command::new(path(name)).args(arguments))
    }

    /// Runs a command, called `name` where something goes wrong.
    #[track_caller]
    pub(crate) fn run(name: &str, command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (sender, lines) = mpsc::channel();
        forward(child.stdout.take().expect("it is piped"), sender.clone());
        forward(child.stderr.take().expect("it is piped"), sender);
        Self {
            name: name.to_owned(),
            stdin: child.stdin.take(),
            child,
            lines,
        }
    }

    /// Types a line.
    #[track_caller]
    pub(crate) fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it is open");
        writeln!(stdin, "{line}").expect("the example reads");
    }

    /// The end of what is typed.
    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The next line that it prints.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        let line = self.lines.recv_timeout(SOON);
        let line = line.unwrap_or_else(|error| panic!("{} prints no more: {error}", self.name));
        // Shown only by a test that fails.
        println!("{}: {line}", self.name);
        line
    }

    /// What stands behind `start` in the next line.
    #[track_caller]
    pub(crate) fn line_after(&self, start: &str) -> String {
        let line = self.line();
        let rest = line.strip_prefix(start);
        rest.unwrap_or_else(|| panic!("{line:?} was to start with {start:?}"))
            .to_owned()
    }

    /// What it still prints until it ends by itself, and how it ended.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Vec<String>, ExitStatus) {
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{} goes on: {rest:?}", self.name),
            }
        }
        let status = self.child.wait().expect("it is our child");
        (rest, status)
    }

    /// Presses Ctrl-C; it then ends well, and says no more than `rest`.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn interrupt(self, rest: &[&str]) {
        let id = i32::try_from(self.child.id()).ok();
        let id = id.and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(id.expect("an id"), rustix::process::Signal::INT)
            .expect("it is our child");
        let (said, status) = self.end();
        assert_eq!(said, rest);
        assert!(status.success(), "{status}");
    }

    #[cfg(not(unix))]
    pub(crate) fn interrupt(self, _rest: &[&str]) {}
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forward(output: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
}

/// Where Cargo has built an example: in `target/<profile>/examples`, beside this test's `target/<profile>/deps`.
#[track_caller]
pub(crate) fn path(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test knows where it is");
    let profile = test.parent().and_then(|deps| deps.parent());
    let folder = profile.expect("Cargo's layout").join("examples");
    let path = folder.join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    // Not with `--test run`, which leaves the examples out, or takes them as they were.
    assert!(
        path.is_file(),
        "`cargo test -p tidings-examples` builds {example}"
    );
    path
}

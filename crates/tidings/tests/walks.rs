//! The walks that `cargo xtask demo` shows come to their ends, fit on a narrow screen, and leave nothing behind.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Narrow screens have so many columns.
const COLUMNS: usize = 80;

/// The walk as a child process, killed when it is dropped.
struct Walk {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Walk {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(program())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, output }
    }

    /// All that it still shows until it ends, which it does well.
    fn finish(mut self) -> String {
        let mut shown = String::new();
        self.output.read_to_string(&mut shown).expect("it is text");
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "{status}: {shown}");
        self.assert_nothing_is_left();
        shown
    }

    #[cfg(unix)]
    fn await_line(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            let length = self.output.read_line(&mut line).expect("it is text");
            assert!(length > 0, "it ends before {part:?}");
        }
    }

    /// Folders of servers are named after the process that started them, and go when these have ended.
    fn assert_nothing_is_left(&self) {
        let prefix = format!("tidings-{}-", self.child.id());
        let left = fs::read_dir(env::temp_dir()).expect("a folder").flatten();
        let left = left.map(|entry| entry.file_name());
        let left: Vec<_> = left
            .filter(|name| name.to_string_lossy().starts_with(&prefix))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In `target/<profile>/examples`, beside this test's `target/<profile>/deps`.
fn program() -> PathBuf {
    let test = env::current_exe().expect("the test knows where it is");
    let profile = test.parent().and_then(|deps| deps.parent());
    let folder = profile.expect("Cargo's layout").join("examples");
    let path = folder.join(format!("demo{}", env::consts::EXE_SUFFIX));
    // Not with `--test walks`, which leaves the examples out, or takes them as they were.
    assert!(path.is_file(), "`cargo test -p tidings` builds it");
    path
}

#[test]
fn the_walk_on_one_server_comes_to_its_end() {
    let shown = Walk::start(&[]).finish();
    assert!(
        shown.ends_with("The README shows what else there is.\n"),
        "{shown}"
    );
}

#[test]
fn the_walk_on_a_cluster_comes_to_its_end() {
    let shown = Walk::start(&["--cluster"]).finish();
    for line in shown.lines() {
        assert!(line.chars().count() <= COLUMNS, "{line:?} is too long");
    }
    // What the servers and the subscriber did in this very run.
    for part in [
        "6 published, 6 came:",
        r#"(true, true, "value1", "value2")"#,
        ": the slot has moved to another node\n",
        ": a replica has taken over\n",
        "came: 0 twice, 0 out of order.\n",
        "behind a gap, 0 without one.\n",
    ] {
        assert!(shown.contains(part), "{part:?} is missing in: {shown}");
    }
}

#[cfg(unix)]
#[test]
fn a_walk_that_is_interrupted_leaves_nothing_behind() {
    for part in ["Starting", "A private cluster", "is killed"] {
        let mut walk = Walk::start(&["--cluster"]);
        walk.await_line(part);
        let pressed = Command::new("sh")
            .args(["-c", "kill -INT \"$0\"", &walk.child.id().to_string()])
            .status();
        assert!(pressed.expect("a shell").success());
        walk.await_line("Interrupted.");
        let status = walk.child.wait().expect("it is our child");
        assert_eq!(status.code(), Some(130));
        walk.assert_nothing_is_left();
    }
}

//! `cargo xtask demo` and `cargo xtask bench`: programs of other packages, built and run.

use crate::project::cargo;
use crate::servers;
use std::process::Command;

/// The demonstration; it starts private servers unless a URL says where one is.
pub(crate) fn demo(arguments: &[String]) -> Result<(), String> {
    if arguments.iter().all(|argument| argument == "--cluster") {
        servers::ensure()?;
    }
    let run = [
        "run",
        "--quiet",
        "--package",
        "tidings",
        "--example",
        "demo",
        "--",
    ];
    in_the_foreground(cargo(&run).args(arguments))
}

/// A benchmark by its name.
pub(crate) fn bench(arguments: &[String]) -> Result<(), String> {
    match arguments.split_first() {
        Some((name, rest)) if name == "micro" => {
            let bench = ["bench", "--package", "tidings-proto", "--bench", "*", "--"];
            in_the_foreground(cargo(&bench).args(rest))
        }
        Some((name, _)) if !name.starts_with('-') => {
            servers::ensure()?;
            // Its allocator counts, which would slow the others down.
            let program = match name.as_str() {
                "allocations" | "subscriptions" => "tidings-bench-allocations",
                _ => "tidings-bench",
            };
            in_the_foreground(tidings_bench(program).args(arguments))
        }
        _ => in_the_foreground(tidings_bench("tidings-bench").arg("--help")),
    }
}

fn tidings_bench(program: &str) -> Command {
    let run = ["run", "--release", "--package", "tidings-bench", "--bin"];
    let mut command = cargo(&run);
    command.args([program, "--"]);
    command
}

/// Unlike a step, it may read what is typed, and its own words say what went wrong.
///
/// It takes our place, so that whoever waits for us waits until it has ended, also after a Ctrl-C.
#[cfg(unix)]
fn in_the_foreground(command: &mut Command) -> Result<(), String> {
    use std::os::unix::process::CommandExt;
    Err(command.exec().to_string())
}

#[cfg(not(unix))]
fn in_the_foreground(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| error.to_string())?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None => Err(status.to_string()),
    }
}

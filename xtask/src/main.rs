//! The project's own commands: `cargo xtask help` lists them.
//!
//! They need nothing but the standard library, so that the first of them starts within seconds of a
//! fresh clone. What CI runs is here too (`.ci/run`), and runs the same at home.

mod check;
mod fuzz;
mod programs;
mod project;
mod report;
mod servers;
mod spec;
mod test;

use std::env;
use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

Usage: cargo xtask <command>

To see it work:
  demo [--url URL]       the demonstration, on a private server, or on the one at URL
  demo --cluster         that of clusters, on a private one of six servers: what one does with
                         it, and what a subscriber sees while a slot moves and a primary dies

To work on it:
  check                  formatting, lints, documentation, unit tests: before each commit
  test                   everything: all tests on real servers, documentation tests, feature
                         combinations, ten seconds of each fuzz target, the specification
  spec [--due A|B|C|D]   which items of the specification have tests; with --due, fail if one
                         has none that is due by that milestone
  servers                have a server installed, and bring newer Redis and Valkey servers into
                         target/servers/ (Debian; unpacked, not installed)
  bench NAME [args]      a benchmark, in release mode; beside other clients: `drain` (reading
                         messages), `fanout`, `sharded`, `pipeline`, `cluster` (pipelines over
                         its nodes), `publish`, `blocking`, `stalled` ([--runs N] [--only a,b]
                         [--json FILE] and others, which `bench help` lists), `allocations`
                         and `subscriptions` (what is taken from the heap);
                         `micro`: the benchmarks of the protocol crate
  help                   this page

Environment:
  TIDINGS_REDIS_SERVER   path of the redis-server to use, beside those that are found
  TIDINGS_VALKEY_SERVER  likewise for valkey-server
  TIDINGS_TEST_SERVERS   the servers that tests run on: `all`, or a list (redis-7.0.15,valkey-9)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let asks_for_help = rest.iter().any(|word| word == "--help" || word == "-h");
    let done = match command {
        // Before anything is built for it.
        _ if asks_for_help => {
            print!("{HELP}");
            Ok(())
        }
        "demo" => programs::demo(rest),
        "bench" => programs::bench(rest),
        "spec" => spec::command(rest),
        "check" => no_arguments(command, rest).and_then(|()| check::command()),
        "test" => no_arguments(command, rest).and_then(|()| test::command()),
        "servers" => no_arguments(command, rest).and_then(|()| servers::command()),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => Err(format!(
            "there is no command {unknown:?}: `cargo xtask help` lists them"
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn no_arguments(command: &str, rest: &[String]) -> Result<(), String> {
    match rest.first() {
        None => Ok(()),
        Some(argument) => Err(format!("`{command}` takes no argument, and got {argument}")),
    }
}

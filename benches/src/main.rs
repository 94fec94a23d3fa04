//! The benchmarks; see `tidings_bench`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidings_bench::main(None)
}

//! `cargo xtask check`: what holds before each commit.

use crate::project::{cargo, run};
use crate::report::Report;

pub(crate) fn command() -> Result<(), String> {
    let mut report = Report::new();
    report.step("formatting", || {
        run(&mut cargo(&["fmt", "--all", "--check"]))
    });
    report.step("lints", || {
        let clippy = "clippy --all-targets --all-features -- -D warnings";
        run(&mut cargo(&words(clippy)))
    });
    report.step("documentation", || {
        let doc = "doc --no-deps --all-features";
        run(cargo(&words(doc)).env("RUSTDOCFLAGS", "-D warnings"))?;
        // A link to what a feature brings is none without it.
        let bare = "doc --no-deps -p tidings --no-default-features";
        run(cargo(&words(bare)).env("RUSTDOCFLAGS", "-D warnings"))
    });
    report.step("unit tests", || {
        let tests = "test --lib --bins --all-features --no-fail-fast";
        run(&mut cargo(&words(tests)))
    });
    report.close(&[])
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

//! The fuzz targets, each for a few seconds, on a stable compiler.
//!
//! cargo-fuzz wants a nightly one for its sanitizers. The core has no `unsafe` for them to find, so
//! that coverage guidance is what we need, and that the stable compiler gives to whom asks LLVM for it.

use std::fs;
use std::process::{Command, Stdio};

use crate::project::{cargo, host, on_path, root, run, values};
use crate::report::{Outcome, Report};

/// Long enough to walk through the seeds and a few million inputs; a campaign runs elsewhere.
const SECONDS: u32 = 10;

/// What cargo-fuzz passes, without the sanitizers. Traced comparisons let libFuzzer see the constants
/// that an input is compared with; without them it has to guess four bytes at once.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";

/// Builds all targets and runs each.
pub(crate) fn steps(report: &mut Report) {
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap_or_default();
    let targets: Vec<String> = values(&manifest, "[[bin]]", "name").collect();
    if targets.is_empty() {
        report.step_or_warning("fuzz targets", || {
            Outcome::Warned("fuzz/Cargo.toml lists none".to_owned())
        });
        return;
    }
    let mut built = None;
    report.step_or_warning("build the fuzz targets", || {
        if !has_cxx() {
            return Outcome::Warned(
                "not run: libFuzzer is built with a C++ compiler, and there is none here (g++ or \
                 clang++ would do)"
                    .to_owned(),
            );
        }
        match build() {
            Ok(triple) => {
                built = Some(triple);
                Outcome::Passed
            }
            Err(problem) => Outcome::Failed(problem),
        }
    });
    let Some(triple) = built else { return };
    for target in &targets {
        report.step(&format!("fuzz {target}"), || fuzz(target, &triple));
    }
}

fn has_cxx() -> bool {
    std::env::var_os("CXX").is_some() || ["c++", "g++", "clang++"].into_iter().any(on_path)
}

fn build() -> Result<String, String> {
    let triple = host()?;
    let build = [
        "build",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--bins",
        "--release",
    ];
    let mut command = cargo(&build);
    command
        .args(["--target", &triple, "--target-dir", "fuzz/target"])
        .env("RUSTFLAGS", COVERAGE)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        // An overflow or a broken assertion is a finding.
        .env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true")
        .env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
    run(&mut command)?;
    Ok(triple)
}

fn fuzz(target: &str, triple: &str) -> Result<(), String> {
    let folder = root().join("fuzz");
    let corpus = folder.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    for needed in [&corpus, &artifacts] {
        fs::create_dir_all(needed).map_err(|error| format!("{}: {error}", needed.display()))?;
    }
    let program = folder
        .join("target")
        .join(triple)
        .join("release")
        .join(target);
    let mut command = Command::new(program);
    command
        .arg(format!("-max_total_time={SECONDS}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(corpus)
        .current_dir(&folder)
        .stdin(Stdio::null());
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let output = command
        .output()
        .map_err(|error| format!("{target}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        // libFuzzer's last words: how many inputs in how many seconds.
        println!("{}", said.trim_end().lines().last().unwrap_or_default());
        Ok(())
    } else {
        eprint!("{said}");
        Err(format!(
            "{target}: {}, see fuzz/artifacts/{target}/",
            output.status
        ))
    }
}

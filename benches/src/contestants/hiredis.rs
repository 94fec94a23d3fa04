//! hiredis, the C library, where it is installed: a small C program beside this file, compiled when
//! the benchmark starts.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{Assignment, Contestant, LIMIT, QUICK};
use crate::Result;
use crate::machine::Core;
use crate::measure::Outcome;
use crate::wire;

pub(super) const HIREDIS: Contestant = Contestant {
    name: "hiredis",
    usage: "C, blocking `read` of 64 KiB and `redisReaderGetReply`",
    package: None,
    most_messages: QUICK,
    core: Core::Last,
    prepare,
    drain,
};

const SOURCE: &str = include_str!("hiredis.c");

/// Beside this program, where build output belongs.
fn program() -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("tidings-bench-hiredis"))
}

fn prepare() -> Result<()> {
    let flags = Command::new("pkg-config")
        .args(["--cflags", "--libs", "hiredis"])
        .output();
    let flags = match flags {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout)?,
        _ => return Err("the library with its headers and pkg-config are not installed".into()),
    };
    let source = program()?.with_extension("c");
    std::fs::write(&source, SOURCE)?;
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=c11", "-O2", "-Wall", "-o"])
        .arg(program()?)
        .arg(&source);
    let status = compiler.args(flags.split_whitespace()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err("cc failed on hiredis.c".into())
    }
}

fn drain(assignment: &Assignment) -> Result<Outcome> {
    let output = Command::new(program()?)
        .args([assignment.port.to_string(), LIMIT.as_secs().to_string()])
        .args([wire::MARKER.to_owned(), wire::MARKER_LEN.to_string()])
        .args(assignment.shape.channels())
        .arg("--")
        .args(assignment.shape.patterns())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("the C program failed".into());
    }
    Ok(String::from_utf8(output.stdout)?.parse()?)
}

//! hiredis, the C library, where it is installed: small C programs, compiled when a benchmark starts.

use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};

use crate::Result;
use crate::contestant::LIMIT;
use crate::measure::Outcome;

const COMMON: &str = include_str!("common.h");

/// A program with hiredis.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
}

impl Program {
    /// Compiles it, or says what is missing.
    pub(crate) fn prepare(&self) -> Result<()> {
        let flags = Command::new("pkg-config")
            .args(["--cflags", "--libs", "hiredis"])
            .output();
        let flags = match flags {
            Ok(output) if output.status.success() => String::from_utf8(output.stdout)?,
            _ => {
                return Err("the library with its headers and pkg-config are not installed".into());
            }
        };
        let program = self.path()?;
        let source = program.with_extension("c");
        fs::create_dir_all(program.with_file_name(""))?;
        fs::write(&source, self.source)?;
        fs::write(program.with_file_name("common.h"), COMMON)?;
        let mut compiler = Command::new("cc");
        compiler
            .args(["-std=c11", "-O2", "-Wall", "-o"])
            .args([&program, &source]);
        let status = compiler.args(flags.split_whitespace()).status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("cc failed on {}", source.display()).into())
        }
    }

    /// Runs it with a port, the seconds after which it must end, and `arguments`.
    pub(crate) fn run(
        &self,
        port: u16,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Outcome> {
        let mut command = self.command(port, arguments)?;
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err("the C program failed".into());
        }
        String::from_utf8(output.stdout)?.parse()
    }

    /// Runs it with the input and output of this process, and ends with it.
    pub(crate) fn become_it(
        &self,
        port: u16,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Outcome> {
        let status = self.command(port, arguments)?.status()?;
        process::exit(status.code().unwrap_or(1))
    }

    fn command(&self, port: u16, arguments: impl IntoIterator<Item = String>) -> Result<Command> {
        let mut command = Command::new(self.path()?);
        command
            .args([port.to_string(), LIMIT.as_secs().to_string()])
            .args(arguments);
        Ok(command)
    }

    /// In a folder of its own beside this program, where build output belongs.
    fn path(&self) -> Result<PathBuf> {
        let folder = format!("tidings-bench-hiredis-{}", self.name);
        let folder = std::env::current_exe()?.with_file_name(folder);
        Ok(folder.join(self.name))
    }
}

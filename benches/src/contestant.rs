//! Who takes part in a benchmark. Each contestant runs as a process of its own.

use std::fmt::Display;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::machine::{self, Core};
use crate::measure::Outcome;

/// A run that takes longer hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// The word behind a benchmark's name that makes a process a contestant.
pub(crate) const CONTEST: &str = "contest";

/// One run: where the server is, what is done, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Assignment<S> {
    pub(crate) port: u16,
    pub(crate) shape: S,
    pub(crate) count: u64,
}

impl<S> Assignment<S> {
    /// The same of another benchmark.
    pub(crate) fn at<T>(&self, shape: T) -> Assignment<T> {
        Assignment {
            port: self.port,
            shape,
            count: self.count,
        }
    }
}

/// What a contestant is to the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What is under every client: the socket.
    Floor,
    Tidings,
    /// Another asynchronous client of this language.
    Peer,
    /// A client of another kind.
    Other,
}

pub(crate) struct Contestant<S: 'static> {
    pub(crate) name: &'static str,
    /// How it is used.
    pub(crate) usage: &'static str,
    /// The package whose version belongs beside its name.
    pub(crate) package: Option<&'static str>,
    pub(crate) kind: Kind,
    /// More would only make a run longer.
    pub(crate) most: u64,
    pub(crate) core: Core,
    /// Makes it ready, or says why it cannot take part.
    pub(crate) prepare: fn() -> Result<()>,
    pub(crate) run: fn(&Assignment<S>) -> Result<Outcome>,
}

impl<S: Display> Contestant<S> {
    /// Does its work in this process and prints the outcome.
    pub(crate) fn contest(&self, assignment: &Assignment<S>) -> Result<()> {
        machine::pin(self.core);
        thread::spawn(|| {
            thread::sleep(LIMIT);
            eprintln!("tidings-bench: no end after {LIMIT:?}");
            process::exit(1);
        });
        println!("{}", (self.run)(assignment)?);
        // What clients do when they are dropped is not measured.
        process::exit(0);
    }

    /// The same in a process of its own.
    pub(crate) fn contest_apart(
        &self,
        benchmark: &str,
        assignment: &Assignment<S>,
    ) -> Result<Outcome> {
        let mut command = self.process(benchmark, assignment)?;
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(format!("{} failed at {}", self.name, assignment.shape).into());
        }
        String::from_utf8(output.stdout)?.parse()
    }

    /// That process.
    pub(crate) fn process(&self, benchmark: &str, assignment: &Assignment<S>) -> Result<Command> {
        let Assignment { port, shape, count } = assignment;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([benchmark, CONTEST, self.name]).args([
            port.to_string(),
            shape.to_string(),
            count.to_string(),
        ]);
        Ok(command)
    }
}

pub(crate) fn nothing_to_prepare() -> Result<()> {
    Ok(())
}

pub(crate) fn current_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

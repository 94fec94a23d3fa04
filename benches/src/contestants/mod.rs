//! Who takes part. Each contestant runs as a process of its own, subscribes to all names of the
//! shape, and takes messages until the marked one.

mod fred;
mod hiredis;
mod raw;
mod raw_tokio;
mod redis;
mod rustis;
mod tidings;

use std::process;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::Result;
use crate::machine::{self, Core};
use crate::measure::Outcome;
use crate::shape::Shape;

/// A run that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// The longest runs, in messages, for contestants below 0.3 µs a message and for slower ones: half a
/// second or more at 16 B.
const QUICK: u64 = 8_000_000;
const STEADY: u64 = 1_000_000;

/// One run: where the server is, and what it will send.
#[derive(Clone, Copy)]
pub(crate) struct Assignment {
    pub(crate) port: u16,
    pub(crate) shape: Shape,
    pub(crate) messages: u64,
}

pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    /// How it is used.
    pub(crate) usage: &'static str,
    /// The package whose version belongs beside its name.
    pub(crate) package: Option<&'static str>,
    /// More would only make a run longer.
    pub(crate) most_messages: u64,
    core: Core,
    /// Makes it ready, or says why it cannot take part.
    prepare: fn() -> Result<()>,
    drain: fn(&Assignment) -> Result<Outcome>,
}

pub(crate) const ALL: &[Contestant] = &[
    raw::RAW,
    raw_tokio::RAW_TOKIO,
    tidings::TIDINGS,
    tidings::TIDINGS_MT,
    hiredis::HIREDIS,
    rustis::RUSTIS,
    redis::REDIS,
    redis::REDIS_PUSH,
    fred::FRED,
];

pub(crate) fn named(name: &str) -> Result<&'static Contestant> {
    let found = ALL.iter().find(|contestant| contestant.name == name);
    found.ok_or_else(|| format!("no contestant is called `{name}`").into())
}

impl Contestant {
    /// Whether this is the one that the others are compared with.
    pub(crate) fn is_raw(&self) -> bool {
        self.name == raw::RAW.name
    }

    pub(crate) fn prepare(&self) -> Result<()> {
        (self.prepare)()
    }

    /// Drains one stream and prints the outcome.
    pub(crate) fn contest(&self, assignment: &Assignment) -> Result<()> {
        machine::pin(self.core);
        thread::spawn(|| {
            thread::sleep(LIMIT);
            eprintln!("tidings-bench: no end after {LIMIT:?}");
            process::exit(1);
        });
        println!("{}", (self.drain)(assignment)?);
        // What clients do when they are dropped is not measured.
        process::exit(0);
    }
}

fn nothing_to_prepare() -> Result<()> {
    Ok(())
}

fn current_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

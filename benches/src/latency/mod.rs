//! Benchmarks of how long single units take. The contestants live as long as the benchmark, each in a process of its own,
//! and take turns that are short: what slows the machine for a while slows all of them.

mod blocking;
mod hiredis;
mod stalled;

pub(crate) use blocking::Blocking;
pub(crate) use stalled::Stalled;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::process;

use crate::Result;
use crate::commands::Server;
use crate::contestant::{Assignment, Contestant};
use crate::measure::{Latency, Outcome};
use crate::process::Process;
use crate::report::{Column, figures, or_dash};
use crate::rounds::{Benchmark, Observed, Run};

/// Turns of each contestant.
const TURNS: usize = 40;

/// The processes of the contestants, by name and shape.
#[derive(Default)]
struct Players(RefCell<HashMap<String, Process>>);

impl Players {
    /// Has a contestant take a turn; it is started for its first one.
    fn turn<B: Benchmark>(
        &self,
        server: &Server,
        contestant: &Contestant<B::Shape>,
        shape: B::Shape,
        count: u64,
    ) -> Result<Observed> {
        let mut players = self.0.borrow_mut();
        let key = format!("{} {shape}", contestant.name);
        if !players.contains_key(&key) {
            let port = server.port();
            let assignment = Assignment { port, shape, count };
            let mut command = contestant.process(B::NAME, &assignment)?;
            players.insert(key.clone(), Process::start(&mut command)?);
        }
        let player = players.get_mut(&key).ok_or("it was just put there")?;
        player.prompt()?;
        let line = player.line();
        let line = line.map_err(|error| format!("{} at {shape}: {error}", contestant.name))?;
        Ok(Observed {
            outcome: line.parse()?,
            protocol: None,
            server_reads: None,
        })
    }
}

/// Takes a turn for each line that comes, until there are no more.
fn take_turns(mut turn: impl FnMut() -> Result<Outcome>) -> Result<Outcome> {
    for line in io::stdin().lines() {
        line?;
        println!("{}", turn()?);
    }
    // What clients do when they are dropped is not measured.
    process::exit(0)
}

fn median_micros(run: &Run) -> Option<f64> {
    micros(run, |latency| latency.median)
}

fn p99_micros(run: &Run) -> Option<f64> {
    micros(run, |latency| latency.p99)
}

fn micros(run: &Run, figure: fn(&Latency) -> u64) -> Option<f64> {
    Some(figure(&run.observed.outcome.latency?) as f64 / 1e3)
}

const MEDIAN: Column = Column {
    head: "median µs",
    cell: |rows| or_dash(rows.known(median_micros), |it| it.show(figures)),
};

const P99: Column = Column {
    head: "99th percentile µs",
    cell: |rows| or_dash(rows.known(p99_micros), |it| it.show(figures)),
};

//! What all benchmarks share: a fresh process for every run, the contestants taking turns.

use std::fmt::Display;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::contestant::{Contestant, Kind};
use crate::measure::Outcome;
use crate::report::{self, Column};
use crate::{Error, Result, machine};

/// One benchmark: who does what, against which server, and which figures of it are shown.
pub(crate) trait Benchmark: Sized {
    /// The variants of the work, a table each.
    type Shape: Copy + Display + FromStr<Err = Error> + 'static;

    const NAME: &'static str;
    /// The option that chooses shapes.
    const SHAPES_OPTION: &'static str;
    /// What is counted, in the plural: the option that bounds it is named after it.
    const UNITS: &'static str;
    /// Of the table, behind the contestant's name.
    const COLUMNS: &'static [Column];

    /// Rounds, unless told otherwise.
    const ROUNDS: usize = 5;

    /// `server` is the program that the command line names.
    fn new(server: Option<&Path>) -> Result<Self>;

    /// One line about what the contestants talk to.
    fn facts(&self) -> String;

    fn contestants() -> &'static [Contestant<Self::Shape>];

    fn usual_shapes() -> &'static [Self::Shape];

    /// Whether a contestant can do this at all.
    fn takes_part(_contestant: &Contestant<Self::Shape>, _shape: Self::Shape) -> bool {
        true
    }

    fn title(shape: Self::Shape) -> String;

    /// How many units make a run of about a second, of `at_most`.
    fn count(shape: Self::Shape, at_most: u64) -> u64;

    /// Has one contestant do its work `count` times.
    fn run(
        &self,
        contestant: &Contestant<Self::Shape>,
        shape: Self::Shape,
        count: u64,
    ) -> Result<Observed>;
}

/// What was seen of one run.
pub(crate) struct Observed {
    pub(crate) outcome: Outcome,
    /// The RESP version that was spoken, where the server tells.
    pub(crate) protocol: Option<u8>,
    /// How often the server read, where it tells.
    pub(crate) server_reads: Option<u64>,
}

/// One run.
pub(crate) struct Run {
    pub(crate) contestant: &'static str,
    pub(crate) kind: Kind,
    pub(crate) shape: String,
    /// Runs of one round follow each other closely: ratios are taken within a round.
    pub(crate) round: usize,
    /// Units that were asked for; those that did not come were lost.
    pub(crate) asked: u64,
    pub(crate) observed: Observed,
}

impl Run {
    pub(crate) fn lost(&self) -> u64 {
        self.asked - self.observed.outcome.count
    }

    /// Nanoseconds of CPU for each unit that was asked for.
    pub(crate) fn cpu_each(&self) -> f64 {
        self.each(self.observed.outcome.cpu_nanos)
    }

    pub(crate) fn wall_each(&self) -> f64 {
        self.each(self.observed.outcome.wall_nanos)
    }

    pub(crate) fn per_second(&self) -> f64 {
        let Outcome {
            count, wall_nanos, ..
        } = self.observed.outcome;
        count as f64 * 1e9 / wall_nanos as f64
    }

    pub(crate) fn peak_mib(&self) -> f64 {
        self.observed.outcome.peak_kib as f64 / 1024.0
    }

    /// The share of one unit in a figure of the whole run.
    pub(crate) fn each(&self, figure: u64) -> f64 {
        figure as f64 / self.asked as f64
    }
}

pub(crate) struct Plan<B: Benchmark> {
    pub(crate) benchmark: B,
    pub(crate) shapes: Vec<B::Shape>,
    pub(crate) rounds: usize,
    pub(crate) contestants: Vec<&'static Contestant<B::Shape>>,
    /// Units a run.
    pub(crate) at_most: u64,
    pub(crate) json: Option<PathBuf>,
}

impl<B: Benchmark> Plan<B> {
    pub(crate) fn carry_out(&self) -> Result<()> {
        let facts = [machine::facts(), self.benchmark.facts()];
        println!("{}\n", report::preface(&facts, self.rounds));
        let (mut ready, mut left_out) = (Vec::new(), Vec::new());
        for contestant in &self.contestants {
            match (contestant.prepare)() {
                Ok(()) => ready.push(*contestant),
                Err(why) => left_out.push(format!("- {}: left out: {why}", contestant.name)),
            }
        }
        println!("{}", report::usages(&ready));
        for line in left_out {
            println!("{line}");
        }
        println!();

        let mut runs = Vec::new();
        for shape in &self.shapes {
            let first = runs.len();
            for round in 0..self.rounds {
                for contestant in ready.iter().filter(|it| B::takes_part(it, *shape)) {
                    runs.push(self.one_run(contestant, *shape, round)?);
                }
            }
            progress("");
            let title = B::title(*shape);
            println!("{}", report::table(&title, B::COLUMNS, &runs[first..]));
        }
        if let Some(path) = &self.json {
            fs::write(path, report::json(B::NAME, &runs))?;
        }
        Ok(())
    }

    fn one_run(
        &self,
        contestant: &Contestant<B::Shape>,
        shape: B::Shape,
        round: usize,
    ) -> Result<Run> {
        let name = contestant.name;
        progress(&format!("{shape}: round {}, {name}", round + 1));
        // Slower contestants get less: what one unit costs is what is compared.
        let asked = B::count(shape, contestant.most.min(self.at_most));
        let observed = self.benchmark.run(contestant, shape, asked)?;
        if observed.outcome.count > asked {
            return Err(format!("{name} got more than there was").into());
        }
        Ok(Run {
            contestant: name,
            kind: contestant.kind,
            shape: shape.to_string(),
            round,
            asked,
            observed,
        })
    }
}

/// Shows what runs now, in place of what ran before; with nothing, clears the line.
fn progress(text: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r{text:40}\r");
    }
}

//! The command line: which benchmark, and which of its processes this one is.

use std::path::{Path, PathBuf};

use crate::commands::{Allocations, Cluster, Pipeline, Publish};
use crate::contestant::{Assignment, CONTEST, Contestant, Kind};
use crate::drain::{self, Drain};
use crate::fanout::Fanout;
use crate::latency::{Blocking, Stalled};
use crate::rounds::{Benchmark, Plan};
use crate::sharded::Sharded;
use crate::subscriptions::Subscriptions;
use crate::{Result, measure};

const USAGE: &str = "\
usage: tidings-bench BENCHMARK [options]

  --runs N         rounds; in each, every contestant runs once [5, of latencies 40]
  --only LIST      these contestants, beside `raw`, which the ratios need [all]
  --server PATH    the server's program [the newest Redis that is found]; not for `drain`, `fanout`
                   and `sharded`
  --json FILE      write every run to FILE
";

pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let arguments: Vec<String> = arguments.collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [Drain::NAME, rest @ ..] => start::<Drain>(rest),
        [Fanout::NAME, rest @ ..] => start::<Fanout>(rest),
        [Sharded::NAME, rest @ ..] => start::<Sharded>(rest),
        [Pipeline::NAME, rest @ ..] => start::<Pipeline>(rest),
        [Cluster::NAME, rest @ ..] => start::<Cluster>(rest),
        [Publish::NAME, rest @ ..] => start::<Publish>(rest),
        [Blocking::NAME, rest @ ..] => start::<Blocking>(rest),
        [Stalled::NAME, rest @ ..] => start::<Stalled>(rest),
        [Allocations::NAME, rest @ ..] if measure::heap().is_some() => start::<Allocations>(rest),
        [Subscriptions::NAME, rest @ ..] if measure::heap().is_some() => {
            start::<Subscriptions>(rest)
        }
        [name @ (Allocations::NAME | Subscriptions::NAME), ..] => Err(format!(
            "only tidings-bench-allocations counts what is taken from the heap: `cargo xtask bench {name}` runs it"
        )
        .into()),
        // Started by `drain`, `fanout` and `sharded`, a process of its own.
        [drain::SERVE, shape, messages] => drain::serve(shape.parse()?, messages.parse()?),
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{USAGE}");
            describe::<Drain>();
            describe::<Fanout>();
            describe::<Sharded>();
            describe::<Pipeline>();
            describe::<Cluster>();
            describe::<Publish>();
            describe::<Blocking>();
            describe::<Stalled>();
            describe::<Allocations>();
            describe::<Subscriptions>();
            Ok(())
        }
        [other, ..] => Err(format!("unknown command `{other}`; try `tidings-bench help`").into()),
    }
}

fn describe<B: Benchmark>() {
    let shapes: Vec<String> = B::usual_shapes().iter().map(B::Shape::to_string).collect();
    println!("\n{}", B::NAME);
    println!(
        "  {:<18} [{}]",
        format!("{} LIST", B::SHAPES_OPTION),
        shapes.join(",")
    );
    println!(
        "  {:<18} at most so many a run",
        format!("--{} N", B::UNITS)
    );
    for contestant in B::contestants() {
        println!("  {:<18} {}", contestant.name, contestant.usage);
    }
}

/// The benchmark, or one contestant's run in it.
fn start<B: Benchmark>(arguments: &[&str]) -> Result<()> {
    match arguments {
        [CONTEST, name, port, shape, count] => named::<B>(name)?.contest(&Assignment {
            port: port.parse()?,
            shape: shape.parse()?,
            count: count.parse()?,
        }),
        options => plan::<B>(options)?.carry_out(),
    }
}

fn named<B: Benchmark>(name: &str) -> Result<&'static Contestant<B::Shape>> {
    let found = B::contestants()
        .iter()
        .find(|contestant| contestant.name == name);
    found.ok_or_else(|| format!("no contestant of {} is called `{name}`", B::NAME).into())
}

fn plan<B: Benchmark>(options: &[&str]) -> Result<Plan<B>> {
    let mut shapes = B::usual_shapes().to_vec();
    let mut contestants: Vec<_> = B::contestants().iter().collect();
    let (mut rounds, mut at_most) = (B::ROUNDS, u64::MAX);
    let (mut json, mut server) = (None, None);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let value = options
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        match *option {
            "--runs" => rounds = value.parse()?,
            "--only" => {
                let wanted: Vec<&str> = value.split(',').collect();
                for name in &wanted {
                    named::<B>(name)?;
                }
                contestants.retain(|contestant| {
                    contestant.kind == Kind::Floor || wanted.contains(&contestant.name)
                });
            }
            "--server" => server = Some(Path::new(value)),
            "--json" => json = Some(PathBuf::from(value)),
            option if option == B::SHAPES_OPTION => {
                shapes = value.split(',').map(str::parse).collect::<Result<_>>()?;
            }
            option if option.strip_prefix("--") == Some(B::UNITS) => at_most = value.parse()?,
            other => return Err(format!("unknown option `{other}`").into()),
        }
    }
    if rounds == 0 || at_most == 0 {
        return Err(format!("--runs and --{} start at 1", B::UNITS).into());
    }
    Ok(Plan {
        benchmark: B::new(server)?,
        shapes,
        rounds,
        contestants,
        at_most,
        json,
    })
}

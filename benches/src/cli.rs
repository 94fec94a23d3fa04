//! The command line: which of the three programs in one this process is.

use std::path::PathBuf;

use crate::Result;
use crate::contestants::{self, Assignment};
use crate::drain::{self, Plan};
use crate::server;
use crate::shape::Shape;

const USAGE: &str = "\
usage: tidings-bench drain [options]

  --sizes LIST     payload sizes in bytes, or `mix` (100 channels and 10 patterns)
                   [16,256,4096,65536,mix]
  --runs N         rounds; in each, every contestant runs once [5]
  --only LIST      these contestants beside `raw`, which the ratios need [all]
  --messages N     at most so many messages a run
  --json FILE      write every run to FILE

contestants:
";

pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let arguments: Vec<String> = arguments.collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["drain", options @ ..] => drain::run(&plan(options)?),
        // The two below are started by `drain`, each as a process of its own.
        ["serve", shape, messages] => server::run(shape.parse()?, messages.parse()?),
        ["contest", name, port, shape, messages] => {
            contestants::named(name)?.contest(&Assignment {
                port: port.parse()?,
                shape: shape.parse()?,
                messages: messages.parse()?,
            })
        }
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{USAGE}");
            for contestant in contestants::ALL {
                println!("  {:<12} {}", contestant.name, contestant.usage);
            }
            Ok(())
        }
        [other, ..] => Err(format!("unknown command `{other}`; try `tidings-bench help`").into()),
    }
}

fn plan(options: &[&str]) -> Result<Plan> {
    let mut plan = Plan {
        shapes: Shape::USUAL.to_vec(),
        rounds: 5,
        contestants: contestants::ALL.iter().collect(),
        most_messages: u64::MAX,
        json: None,
    };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let value = options
            .next()
            .ok_or_else(|| format!("{option} needs a value"))?;
        match *option {
            "--sizes" => plan.shapes = value.split(',').map(str::parse).collect::<Result<_>>()?,
            "--runs" => plan.rounds = value.parse()?,
            "--only" => {
                let wanted: Vec<&str> = value.split(',').collect();
                for name in &wanted {
                    contestants::named(name)?;
                }
                plan.contestants
                    .retain(|contestant| contestant.is_raw() || wanted.contains(&contestant.name));
            }
            "--messages" => plan.most_messages = value.parse()?,
            "--json" => plan.json = Some(PathBuf::from(value)),
            other => return Err(format!("unknown option `{other}`").into()),
        }
    }
    if plan.rounds == 0 || plan.most_messages == 0 {
        return Err("--runs and --messages start at 1".into());
    }
    Ok(plan)
}

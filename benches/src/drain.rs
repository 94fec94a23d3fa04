//! `drain`: a fresh server and a fresh process for every run, the contestants taking turns.

use std::fs;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::Result;
use crate::contestants::Contestant;
use crate::machine;
use crate::measure::Outcome;
use crate::report::{self, Run};
use crate::shape::Shape;

pub(crate) struct Plan {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) rounds: usize,
    pub(crate) contestants: Vec<&'static Contestant>,
    pub(crate) most_messages: u64,
    pub(crate) json: Option<PathBuf>,
}

/// Bytes on the wire after which a run ends even if its messages are few: about a second.
const MOST_BYTES: u64 = 2_000_000_000;

pub(crate) fn run(plan: &Plan) -> Result<()> {
    println!("{}\n", report::preface(&machine::facts(), plan.rounds));
    let (mut ready, mut left_out) = (Vec::new(), Vec::new());
    for contestant in &plan.contestants {
        match contestant.prepare() {
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
    for shape in &plan.shapes {
        let first = runs.len();
        for round in 0..plan.rounds {
            for contestant in &ready {
                let messages = message_count(plan, contestant, *shape);
                progress(&format!(
                    "{shape}: round {}, {}",
                    round + 1,
                    contestant.name
                ));
                runs.push(one_run(contestant, *shape, round, messages)?);
            }
        }
        progress("");
        println!("{}", report::table(*shape, &ready, &runs[first..]));
    }
    if let Some(path) = &plan.json {
        fs::write(path, report::json(&runs))?;
    }
    Ok(())
}

/// Shows what runs now, in place of what ran before; with nothing, clears the line.
fn progress(text: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r{text:40}\r");
    }
}

/// Slower contestants get fewer messages: what one message costs is what is compared.
fn message_count(plan: &Plan, contestant: &Contestant, shape: Shape) -> u64 {
    let by_bytes = MOST_BYTES / shape.frame_len() as u64;
    by_bytes
        .min(contestant.most_messages)
        .min(plan.most_messages)
        .max(1)
}

fn one_run(
    contestant: &'static Contestant,
    shape: Shape,
    round: usize,
    messages: u64,
) -> Result<Run> {
    let program = std::env::current_exe()?;
    let shape_text = shape.to_string();
    let mut server =
        Server::start(Command::new(&program).args(["serve", &shape_text, &messages.to_string()]))?;
    let port = server.line()?;
    let output = Command::new(&program)
        .args([
            "contest",
            contestant.name,
            &port,
            &shape_text,
            &messages.to_string(),
        ])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{} failed at {shape}", contestant.name).into());
    }
    let outcome: Outcome = String::from_utf8(output.stdout)?.parse()?;
    if outcome.bytes != outcome.messages * shape.payload_len() as u64 {
        return Err(format!(
            "{} got other payloads than were sent: {outcome}",
            contestant.name
        )
        .into());
    }
    let lost = messages.checked_sub(outcome.messages);
    let lost = lost.ok_or_else(|| format!("{} got more than was sent", contestant.name))?;
    let protocol = server.line()?.parse()?;
    Ok(Run {
        contestant: contestant.name,
        shape,
        round,
        protocol,
        lost,
        outcome,
    })
}

/// The canned server's process, which ends when this is dropped.
struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Server {
    fn start(command: &mut Command) -> Result<Self> {
        // Its standard input stays open as long as this process lives, and so does the server.
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        Ok(Self { child, lines })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err("the server ended".into());
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Steps that run one after another, each timed, and what became of them.

use std::fmt;
use std::time::{Duration, Instant};

/// A run of several steps, which goes on when one of them fails.
pub(crate) struct Report {
    started: Instant,
    steps: Vec<Step>,
}

struct Step {
    name: String,
    outcome: Outcome,
    took: Duration,
}

/// What became of a step.
pub(crate) enum Outcome {
    Passed,
    /// It could not be done here, and the reason is no fault of the code.
    Warned(String),
    Failed(String),
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            steps: Vec::new(),
        }
    }

    /// Runs a step that passes or fails.
    pub(crate) fn step(&mut self, name: &str, work: impl FnOnce() -> Result<(), String>) {
        self.step_or_warning(name, || match work() {
            Ok(()) => Outcome::Passed,
            Err(problem) => Outcome::Failed(problem),
        });
    }

    /// Runs a step that may find that it is impossible on this machine.
    pub(crate) fn step_or_warning(&mut self, name: &str, work: impl FnOnce() -> Outcome) {
        println!("\n==> {name}");
        let started = Instant::now();
        let outcome = work();
        let step = Step {
            name: name.to_owned(),
            outcome,
            took: started.elapsed(),
        };
        println!("{step}");
        self.steps.push(step);
    }

    /// Prints what became of every step, `remarks` below it, and a closing line.
    pub(crate) fn close(self, remarks: &[String]) -> Result<(), String> {
        println!("\nSummary");
        for step in &self.steps {
            println!("{step}");
        }
        for remark in remarks {
            println!("{remark}");
        }
        let warnings = self.count(|outcome| matches!(outcome, Outcome::Warned(_)));
        let failures = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let took = seconds(self.started.elapsed());
        let steps = self.steps.len();
        let warned = match warnings {
            0 => String::new(),
            1 => ", with 1 warning".to_owned(),
            n => format!(", with {n} warnings"),
        };
        if failures == 0 {
            println!("All {steps} steps passed in {took}{warned}.");
            Ok(())
        } else {
            Err(format!(
                "{failures} of {steps} steps failed, in {took}{warned}"
            ))
        }
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.steps.iter().filter(|step| is(&step.outcome)).count()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, reason) = match &self.outcome {
            Outcome::Passed => ("ok", None),
            Outcome::Warned(reason) => ("WARNING", Some(reason)),
            Outcome::Failed(reason) => ("FAILED", Some(reason)),
        };
        let took = seconds(self.took);
        write!(out, "  {word:<8} {:<44} {took:>8}", self.name)?;
        reason.map_or(Ok(()), |reason| write!(out, "\n           {reason}"))
    }
}

pub(crate) fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs();
    if whole < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

//! What is printed: tables of medians, and all runs as JSON.

use std::fmt::Write as _;

use crate::contestants::Contestant;
use crate::measure::Outcome;
use crate::shape::Shape;

/// One run, checked.
pub(crate) struct Run {
    pub(crate) contestant: &'static str,
    pub(crate) shape: Shape,
    /// Runs of one round follow each other closely: ratios are taken within a round.
    pub(crate) round: usize,
    /// The RESP version that was spoken.
    pub(crate) protocol: u8,
    /// Messages that were sent and not received.
    pub(crate) lost: u64,
    pub(crate) outcome: Outcome,
}

impl Run {
    fn sent(&self) -> u64 {
        self.outcome.messages + self.lost
    }

    /// Nanoseconds of CPU a message that was sent.
    fn cpu_per_message(&self) -> f64 {
        self.outcome.cpu_nanos as f64 / self.sent() as f64
    }

    fn wall_per_message(&self) -> f64 {
        self.outcome.wall_nanos as f64 / self.sent() as f64
    }

    fn received_per_second(&self) -> f64 {
        self.outcome.messages as f64 * 1e9 / self.outcome.wall_nanos as f64
    }
}

pub(crate) fn preface(facts: &str, rounds: usize) -> String {
    format!(
        "{facts}\n\n\
         Medians of {rounds} alternating runs, (lowest–highest). The server and the contestant have \
         a core each, unless said otherwise. CPU is user and system time of the contestant's \
         process; `× raw` compares within a round, CPU with CPU and time with time. Ratios hold \
         better than values: other machines, and other loads on this one, move all rows together."
    )
}

pub(crate) fn usages(contestants: &[&Contestant]) -> String {
    let mut text = String::new();
    for contestant in contestants {
        let version = contestant.package.and_then(locked_version);
        let version = version.map_or(String::new(), |version| format!(" {version}"));
        let package = contestant
            .package
            .filter(|package| *package != contestant.name);
        let package = package.map_or(String::new(), |package| format!(" ({package}{version})"));
        let version = if package.is_empty() { version } else { package };
        let _ = writeln!(text, "- {}{version}: {}", contestant.name, contestant.usage);
    }
    text.truncate(text.trim_end().len());
    text
}

/// The version of `package` that this program was built with.
fn locked_version(package: &str) -> Option<&'static str> {
    let lock = include_str!("../../Cargo.lock");
    let (_, entry) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    entry.split('"').next()
}

pub(crate) fn table(shape: Shape, contestants: &[&Contestant], runs: &[Run]) -> String {
    let title = match shape {
        Shape::Size(size) => format!("{size} B"),
        Shape::Mix => format!(
            "mix: {} channels and {} patterns, {} B",
            shape.channels().len(),
            shape.patterns().len(),
            shape.payload_len()
        ),
    };
    let mut text = format!(
        "### {title}\n\n\
         | | RESP | messages | messages/s | CPU µs/message | CPU × raw | time × raw | lost | peak MiB |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n"
    );
    let raw: Vec<&Run> = runs_of(contestants.iter().find(|one| one.is_raw()), runs);
    for contestant in contestants {
        let own = runs_of(Some(contestant), runs);
        let Some(first) = own.first() else { continue };
        let spread = |value: fn(&Run) -> f64| Spread::of(own.iter().map(|run| value(run)));
        let against_raw = |value: fn(&Run) -> f64| {
            Spread::of(
                own.iter()
                    .zip(&raw)
                    .map(|(run, raw)| value(run) / value(raw)),
            )
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {:.1} |",
            contestant.name,
            first.protocol,
            count(first.sent() as f64),
            spread(Run::received_per_second).show(count),
            spread(|run| run.cpu_per_message() / 1e3).show(figures),
            against_raw(Run::cpu_per_message).show(figures),
            figures(against_raw(Run::wall_per_message).middle),
            spread(|run| run.lost as f64).show(count),
            spread(|run| run.outcome.peak_kib as f64 / 1024.0).middle,
        );
    }
    text
}

fn runs_of<'a>(contestant: Option<&&Contestant>, runs: &'a [Run]) -> Vec<&'a Run> {
    let name = contestant.map(|contestant| contestant.name);
    runs.iter()
        .filter(|run| Some(run.contestant) == name)
        .collect()
}

/// In three figures, as far as four decimals give them.
fn figures(value: f64) -> String {
    let decimals = match value {
        ..0.1 => 4,
        ..1.0 => 3,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// `12 345 678` in three figures: `12.3M`.
fn count(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => return format!("{value:.0}"),
    };
    let digits = if scaled < 10.0 {
        2
    } else {
        usize::from(scaled < 100.0)
    };
    format!("{scaled:.digits$}{unit}")
}

/// A middle value between the lowest and the highest.
struct Spread {
    lowest: f64,
    middle: f64,
    highest: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        let middle = if values.len() % 2 == 1 {
            values[half]
        } else {
            f64::midpoint(values[half - 1], values[half])
        };
        Self {
            lowest: values[0],
            middle,
            highest: values[values.len() - 1],
        }
    }

    fn show(&self, format: impl Fn(f64) -> String) -> String {
        if self.lowest == self.highest {
            return format(self.middle);
        }
        let (middle, lowest, highest) = (
            format(self.middle),
            format(self.lowest),
            format(self.highest),
        );
        format!("{middle} ({lowest}–{highest})")
    }
}

/// An array of objects, one a run.
pub(crate) fn json(runs: &[Run]) -> String {
    let rows: Vec<String> = runs
        .iter()
        .map(|run| {
            let Outcome {
                messages,
                bytes,
                wall_nanos,
                cpu_nanos,
                peak_kib,
            } = &run.outcome;
            format!(
                "  {{\"contestant\": \"{}\", \"shape\": \"{}\", \"round\": {}, \"protocol\": {}, \
                 \"lost\": {}, \"messages\": {messages}, \"bytes\": {bytes}, \
                 \"wall_nanos\": {wall_nanos}, \"cpu_nanos\": {cpu_nanos}, \
                 \"peak_kib\": {peak_kib}}}",
                run.contestant, run.shape, run.round, run.protocol, run.lost
            )
        })
        .collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_median_in_the_middle() {
        let show = |values: &[f64]| Spread::of(values.iter().copied()).show(|v| v.to_string());
        assert_eq!(show(&[3.0, 1.0, 2.0]), "2 (1–3)");
        assert_eq!(show(&[4.0, 1.0, 2.0, 3.0]), "2.5 (1–4)");
        assert_eq!(show(&[7.0]), "7");
    }

    #[test]
    fn counts_keep_three_figures() {
        assert_eq!(
            [0.0, 999.0, 12_345.0, 1_234_567.0, 61_000_000.0].map(count),
            ["0", "999", "12.3k", "1.23M", "61.0M"]
        );
    }
}

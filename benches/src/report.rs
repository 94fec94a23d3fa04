//! What is printed: tables of medians, and all runs as JSON.

use std::fmt::Write as _;

use crate::contestant::Contestant;
use crate::measure::{Heap, Latency, Outcome};
use crate::rounds::{Observed, Run};

/// One column of a table, and what a contestant has in it.
pub(crate) struct Column {
    pub(crate) head: &'static str,
    pub(crate) cell: fn(&Rows<'_>) -> String,
}

impl Column {
    /// Units that were asked for and did not come.
    pub(crate) const LOST: Self = Self {
        head: "lost",
        cell: |rows| rows.spread(|run| run.lost() as f64).show(count),
    };

    /// The most memory that was resident.
    pub(crate) const PEAK: Self = Self {
        head: "peak MiB",
        cell: |rows| format!("{:.1}", rows.spread(Run::peak_mib).middle),
    };
}

/// The runs of one contestant beside all others of the same shape.
pub(crate) struct Rows<'a> {
    own: Vec<&'a Run>,
    all: &'a [Run],
}

impl Rows<'_> {
    pub(crate) fn first(&self) -> &Run {
        self.own[0]
    }

    pub(crate) fn spread(&self, value: impl Fn(&Run) -> f64) -> Spread {
        Spread::of(self.own.iter().map(|run| value(run)))
    }

    /// The same where it is known of all runs.
    pub(crate) fn known(&self, value: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        let values: Option<Vec<f64>> = self.own.iter().map(|run| value(run)).collect();
        values.map(|values| Spread::of(values.into_iter()))
    }

    /// `value` as a multiple of what it is for the best of those that `is_base` picks, each round
    /// for itself; `None` where there are none of them.
    pub(crate) fn against(
        &self,
        is_base: fn(&Run) -> bool,
        value: fn(&Run) -> f64,
    ) -> Option<Spread> {
        self.known(|run| {
            let bases = self.all.iter().filter(|other| other.round == run.round);
            let best = bases.filter(|other| is_base(other)).map(value);
            Some(value(run) / best.min_by(f64::total_cmp)?)
        })
    }
}

/// What a cell shows of a spread that may not be known.
pub(crate) fn or_dash(spread: Option<Spread>, show: impl Fn(&Spread) -> String) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| show(&spread))
}

pub(crate) fn preface(facts: &[String], rounds: usize) -> String {
    format!(
        "{}\n\n\
         Medians of {rounds} alternating runs, (lowest–highest). The server and the contestant have \
         a core each, unless said otherwise. CPU is user and system time of the contestant's \
         process; `×` compares within a round, CPU with CPU and time with time. Ratios hold \
         better than values: other machines, and other loads on this one, move all rows together.",
        facts.join("; ")
    )
}

pub(crate) fn usages<S>(contestants: &[&Contestant<S>]) -> String {
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

pub(crate) fn table(title: &str, columns: &[Column], runs: &[Run]) -> String {
    let mut text = format!("### {title}\n\n| |");
    for column in columns {
        let _ = write!(text, " {} |", column.head);
    }
    let _ = writeln!(text, "\n|---|{}", "---:|".repeat(columns.len()));
    let mut shown: Vec<&str> = Vec::new();
    for Run { contestant, .. } in runs {
        if shown.contains(contestant) {
            continue;
        }
        shown.push(contestant);
        let own = runs.iter().filter(|run| run.contestant == *contestant);
        let rows = Rows {
            own: own.collect(),
            all: runs,
        };
        let _ = write!(text, "| {contestant} |");
        for column in columns {
            let _ = write!(text, " {} |", (column.cell)(&rows));
        }
        text.push('\n');
    }
    text
}

/// In three figures, as far as four decimals give them.
pub(crate) fn figures(value: f64) -> String {
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
pub(crate) fn count(value: f64) -> String {
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
pub(crate) struct Spread {
    lowest: f64,
    pub(crate) middle: f64,
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

    pub(crate) fn show(&self, format: impl Fn(f64) -> String) -> String {
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
pub(crate) fn json(benchmark: &str, runs: &[Run]) -> String {
    let rows: Vec<String> = runs.iter().map(|run| json_row(benchmark, run)).collect();
    format!("[\n{}\n]\n", rows.join(",\n"))
}

fn json_row(benchmark: &str, run: &Run) -> String {
    let Observed {
        outcome,
        protocol,
        server_reads,
    } = &run.observed;
    let Outcome {
        count,
        bytes,
        wall_nanos,
        cpu_nanos,
        peak_kib,
        heap,
        latency,
    } = outcome;
    let mut row = format!(
        "  {{\"benchmark\": \"{benchmark}\", \"contestant\": \"{}\", \"shape\": \"{}\"",
        run.contestant, run.shape
    );
    let mut number = |name: &str, value: u64| {
        let _ = write!(row, ", \"{name}\": {value}");
    };
    number("round", run.round as u64);
    number("asked", run.asked);
    number("count", *count);
    number("bytes", *bytes);
    number("wall_nanos", *wall_nanos);
    number("cpu_nanos", *cpu_nanos);
    number("peak_kib", *peak_kib);
    if let Some(protocol) = protocol {
        number("protocol", u64::from(*protocol));
    }
    if let Some(reads) = server_reads {
        number("server_reads", *reads);
    }
    if let Some(Heap {
        allocations,
        bytes,
        live,
    }) = heap
    {
        number("allocations", *allocations);
        number("allocated_bytes", *bytes);
        number("live_bytes", *live);
    }
    if let Some(Latency { median, p99 }) = latency {
        number("latency_median_nanos", *median);
        number("latency_p99_nanos", *p99);
    }
    row.push('}');
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestant::Kind;

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

    fn run(contestant: &'static str, kind: Kind, round: usize, cpu_nanos: u64) -> Run {
        Run {
            contestant,
            kind,
            shape: "16".to_owned(),
            round,
            asked: 10,
            observed: Observed {
                outcome: Outcome {
                    count: 10,
                    bytes: 160,
                    wall_nanos: 1,
                    cpu_nanos,
                    peak_kib: 0,
                    heap: None,
                    latency: None,
                },
                protocol: None,
                server_reads: Some(5),
            },
        }
    }

    #[test]
    fn a_ratio_is_to_the_best_of_the_same_round() {
        let runs = [
            run("tidings", Kind::Tidings, 0, 10),
            run("one", Kind::Peer, 0, 20),
            run("other", Kind::Peer, 0, 40),
            run("tidings", Kind::Tidings, 1, 30),
            run("one", Kind::Peer, 1, 40),
            run("other", Kind::Peer, 1, 20),
        ];
        let column = |is_base: fn(&Run) -> bool| {
            let own = runs.iter().filter(|run| run.kind == Kind::Tidings);
            let rows = Rows {
                own: own.collect(),
                all: &runs,
            };
            or_dash(rows.against(is_base, Run::cpu_each), |spread| {
                spread.show(figures)
            })
        };
        assert_eq!(column(|run| run.kind == Kind::Peer), "1.00 (0.500–1.50)");
        assert_eq!(column(|run| run.kind == Kind::Floor), "–");
    }

    #[test]
    fn json_has_what_is_known() {
        let text = json("drain", &[run("one", Kind::Peer, 2, 7)]);
        assert_eq!(
            text,
            "[\n  {\"benchmark\": \"drain\", \"contestant\": \"one\", \"shape\": \"16\", \
             \"round\": 2, \"asked\": 10, \"count\": 10, \"bytes\": 160, \"wall_nanos\": 1, \
             \"cpu_nanos\": 7, \"peak_kib\": 0, \"server_reads\": 5}\n]\n"
        );
    }
}

//! What one run of one contestant measures, and the line in which it says so.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

use crate::{Error, Result};

/// Counts what this process uses from a moment on.
pub(crate) struct Stopwatch {
    wall: u64,
    cpu: u64,
    heap: Option<Heap>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self {
            heap: heap(),
            wall: monotonic_nanos(),
            cpu: cpu_nanos(),
        }
    }

    /// The clock on the wall is to count from another moment.
    pub(crate) fn count_wall_from(&mut self, nanos: u64) {
        self.wall = nanos;
    }

    pub(crate) fn stop(self, count: u64, bytes: u64) -> Outcome {
        Outcome {
            cpu_nanos: cpu_nanos() - self.cpu,
            wall_nanos: monotonic_nanos() - self.wall,
            heap: heap().zip(self.heap).map(|(now, then)| Heap {
                allocations: now.allocations - then.allocations,
                bytes: now.bytes - then.bytes,
                live: now.live.saturating_sub(then.live),
            }),
            latency: None,
            count,
            bytes,
            peak_kib: peak_kib(),
        }
    }
}

/// One run of one contestant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Messages that came, commands that were answered.
    pub(crate) count: u64,
    /// Of payload that came, so that what is counted was also there.
    pub(crate) bytes: u64,
    /// From the first unit's start to the last one's end.
    pub(crate) wall_nanos: u64,
    /// User and system time of the contestant's process, all its threads.
    pub(crate) cpu_nanos: u64,
    /// The most memory resident at any time since the process started; 0 if unknown.
    pub(crate) peak_kib: u64,
    /// What was taken from the heap, where that is counted.
    pub(crate) heap: Option<Heap>,
    /// How long single units took, where that is measured.
    pub(crate) latency: Option<Latency>,
}

/// What a process has taken from the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the counting program of this package makes it"
)]
pub struct Heap {
    /// How often: allocations, and reallocations too.
    pub allocations: u64,
    /// How much, whether or not it was given back.
    pub bytes: u64,
    /// How much of it was not given back.
    pub live: u64,
}

/// How long single units took, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) median: u64,
    pub(crate) p99: u64,
}

impl Latency {
    /// Of at least one.
    pub(crate) fn of(mut all: Vec<u64>) -> Self {
        all.sort_unstable();
        let at = |percent| all[(all.len() - 1) * percent / 100];
        Self {
            median: at(50),
            p99: at(99),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            bytes,
            wall_nanos,
            cpu_nanos,
            peak_kib,
            heap,
            latency,
        } = self;
        write!(f, "{count} {bytes} {wall_nanos} {cpu_nanos} {peak_kib}")?;
        if let Some(Heap {
            allocations,
            bytes,
            live,
        }) = heap
        {
            write!(f, " {HEAP_MARK} {allocations} {bytes} {live}")?;
        }
        if let Some(Latency { median, p99 }) = latency {
            write!(f, " {LATENCY_MARK} {median} {p99}")?;
        }
        Ok(())
    }
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let (line, latency) = split_off(line, LATENCY_MARK)?;
        let (line, heap) = split_off(line, HEAP_MARK)?;
        let [count, bytes, wall_nanos, cpu_nanos, peak_kib] = numbers(line)?;
        Ok(Self {
            count,
            bytes,
            wall_nanos,
            cpu_nanos,
            peak_kib,
            heap: heap.map(|[allocations, bytes, live]| Heap {
                allocations,
                bytes,
                live,
            }),
            latency: latency.map(|[median, p99]| Latency { median, p99 }),
        })
    }
}

/// Before the parts of the line that are not always there.
const HEAP_MARK: &str = "heap";
const LATENCY_MARK: &str = "latency";

/// What stands before `mark`, and the numbers behind it.
fn split_off<'a, const N: usize>(line: &'a str, mark: &str) -> Result<(&'a str, Option<[u64; N]>)> {
    match line.split_once(mark) {
        Some((before, behind)) => Ok((before, Some(numbers(behind)?))),
        None => Ok((line, None)),
    }
}

fn numbers<const N: usize>(text: &str) -> Result<[u64; N]> {
    let all = text.split_whitespace().map(str::parse);
    let all: Vec<u64> = all.collect::<std::result::Result<_, _>>()?;
    all.try_into()
        .map_err(|_| format!("{N} numbers were expected: {text:?}").into())
}

static HEAP: OnceLock<fn() -> Heap> = OnceLock::new();

/// Has every [`Stopwatch`] of this process ask `heap`, if there is one.
pub(crate) fn count_heap_with(heap: Option<fn() -> Heap>) {
    if let Some(heap) = heap {
        HEAP.get_or_init(|| heap);
    }
}

/// What this process has taken from the heap, if its allocator counts.
pub(crate) fn heap() -> Option<Heap> {
    HEAP.get().map(|heap| heap())
}

/// A clock that all processes of the machine share.
pub(crate) fn monotonic_nanos() -> u64 {
    nanos(ClockId::Monotonic)
}

/// CPU time of this process, finer than getrusage tells it.
fn cpu_nanos() -> u64 {
    nanos(ClockId::ProcessCPUTime)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Not getrusage's, which would count what the parent had resident before this program was loaded.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_its_line() {
        let heap = Heap {
            allocations: 6,
            bytes: 7,
            live: 8,
        };
        let latency = Latency { median: 9, p99: 10 };
        for (heap, latency) in [
            (None, None),
            (Some(heap), None),
            (None, Some(latency)),
            (Some(heap), Some(latency)),
        ] {
            let outcome = Outcome {
                count: 1,
                bytes: 2,
                wall_nanos: 3,
                cpu_nanos: 4,
                peak_kib: 5,
                heap,
                latency,
            };
            let read: Outcome = outcome.to_string().parse().unwrap();
            assert_eq!(read, outcome);
        }
        assert!("1 2 3 4 5 heap 6".parse::<Outcome>().is_err());
        assert!("1 2 3".parse::<Outcome>().is_err());
    }

    #[test]
    fn percentiles_are_of_the_sorted_latencies() {
        let latency = Latency::of((0..=200).rev().collect());
        assert_eq!((latency.median, latency.p99), (100, 198));
        assert_eq!(Latency::of(vec![7]).p99, 7);
    }
}

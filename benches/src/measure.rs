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
            }),
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
}

/// What a process has taken from the heap, whether or not it has given it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the counting program of this package makes it"
)]
pub struct Heap {
    /// How often: allocations, and reallocations too.
    pub allocations: u64,
    /// How much.
    pub bytes: u64,
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
        } = self;
        write!(f, "{count} {bytes} {wall_nanos} {cpu_nanos} {peak_kib}")?;
        match heap {
            Some(Heap { allocations, bytes }) => write!(f, " {allocations} {bytes}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Outcome {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let numbers = line.split_whitespace().map(str::parse);
        let numbers: Vec<u64> = numbers.collect::<std::result::Result<_, _>>()?;
        let Some((&[count, bytes, wall_nanos, cpu_nanos, peak_kib], heap)) =
            numbers.split_first_chunk()
        else {
            return Err(format!("not an outcome: {line:?}").into());
        };
        let heap = match *heap {
            [] => None,
            [allocations, bytes] => Some(Heap { allocations, bytes }),
            _ => return Err(format!("more than an outcome: {line:?}").into()),
        };
        Ok(Self {
            count,
            bytes,
            wall_nanos,
            cpu_nanos,
            peak_kib,
            heap,
        })
    }
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
        };
        for heap in [None, Some(heap)] {
            let outcome = Outcome {
                count: 1,
                bytes: 2,
                wall_nanos: 3,
                cpu_nanos: 4,
                peak_kib: 5,
                heap,
            };
            let read: Outcome = outcome.to_string().parse().unwrap();
            assert_eq!(read, outcome);
        }
        assert!("1 2 3".parse::<Outcome>().is_err());
    }
}

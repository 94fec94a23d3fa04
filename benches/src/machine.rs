//! The machine: where processes run on it, and what a reader of the figures should know of it.

use std::fs;
use std::thread::available_parallelism;

/// Where a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    /// The server's.
    First,
    /// The contestants'.
    Last,
    /// Wherever the scheduler likes: for contestants of several threads.
    Any,
}

/// Keeps this process, and those it starts, on one core. Does nothing where there is only one.
#[cfg(target_os = "linux")]
pub(crate) fn pin(core: Core) {
    let mut cores = rustix::thread::CpuSet::new();
    let index = match core {
        Core::First if core_count() > 1 => 0,
        Core::Last if core_count() > 1 => core_count() - 1,
        _ => return,
    };
    cores.set(index);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &cores) {
        eprintln!("tidings-bench: not pinned to core {index}: {error}");
    }
}

/// Leaves it to the scheduler: this system has no affinity.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_: Core) {}

pub(crate) fn core_count() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// One line about the machine.
pub(crate) fn facts() -> String {
    let cpu = first_line("/proc/cpuinfo", "model name\t: ").unwrap_or("unknown CPU".to_owned());
    let kernel = first_line("/proc/sys/kernel/osrelease", "").unwrap_or_default();
    let load = first_line("/proc/loadavg", "").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let (os, cores) = (std::env::consts::OS, core_count());
    format!("{cpu}, {cores} cores, {os} {kernel}, load {load} at the start")
}

fn first_line(path: &str, prefix: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(prefix))
        .map(str::to_owned)
}

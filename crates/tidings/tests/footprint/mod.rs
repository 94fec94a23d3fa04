//! How much memory processes take, as the kernel tells.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::fs;

pub(crate) const MIB: u64 = 1 << 20;

/// What this process has now, in bytes.
pub(crate) fn resident() -> u64 {
    resident_of("self")
}

/// What a process has now, in bytes.
pub(crate) fn resident_of(process: &str) -> u64 {
    figure(process, "VmRSS")
}

/// What the memory of this process has grown by at most during `work`, and what came of that.
pub(crate) async fn growth<T>(work: impl Future<Output = T>) -> (u64, T) {
    // Resets VmHWM, which is the most that it had.
    fs::write("/proc/self/clear_refs", "5").expect("the kernel takes it");
    let before = resident();
    let output = work.await;
    (figure("self", "VmHWM").saturating_sub(before), output)
}

fn figure(process: &str, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the kernel tells");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("a figure in kB") * 1024
}

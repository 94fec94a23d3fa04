//! The same benchmarks with an allocator that counts: `tidings-bench-allocations allocations`.

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tidings_bench::Heap;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    tidings_bench::main(Some(heap))
}

fn heap() -> Heap {
    let stats = COUNTING.stats();
    Heap {
        allocations: (stats.allocations + stats.reallocations) as u64,
        bytes: stats.bytes_allocated as u64,
        live: (stats.bytes_allocated - stats.bytes_deallocated) as u64,
    }
}

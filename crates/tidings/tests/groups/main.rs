//! Every typed command on real servers, a module a group: each method, and what its reply decodes to.

#[path = "../support/mod.rs"]
mod support;

mod bitmaps;
mod geo;
mod keys;
mod streams;
mod strings;

use support::Case;
use tidings_testkit::{Flavor, Version};

/// Whether the case's server is a Redis of this version or a newer one, or a Valkey of that version or a newer one;
/// with `None` no server of that flavor is.
fn since(case: &Case, redis: Option<(u32, u32)>, valkey: Option<(u32, u32)>) -> bool {
    let binary = case.server.binary();
    let first = match binary.flavor {
        Flavor::Redis => redis,
        Flavor::Valkey => valkey,
    };
    first.is_some_and(|(major, minor)| binary.version >= Version::new(major, minor, 0))
}

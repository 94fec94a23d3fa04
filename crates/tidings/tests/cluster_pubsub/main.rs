//! Pub/Sub on real clusters: on one node, and sharded.

mod bus;
#[path = "../clusters/mod.rs"]
mod clusters;
mod faced;
#[path = "../faces/mod.rs"]
mod faces;
mod one_node;
mod refused;
mod seeing;
mod sharded;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;

//! Pub/Sub on real clusters: on one node, and sharded.

mod books;
mod bus;
#[path = "../clusters/mod.rs"]
mod clusters;
mod faced;
#[path = "../faces/mod.rs"]
mod faces;
mod failing_over;
mod lent;
mod moving;
mod one_node;
mod refused;
mod replicas;
mod seeing;
mod sharded;
mod subscriptions;
#[path = "../support/mod.rs"]
mod support;
mod unannounced;

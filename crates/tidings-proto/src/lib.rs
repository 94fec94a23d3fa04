//! The Redis and Valkey protocol as a state machine.

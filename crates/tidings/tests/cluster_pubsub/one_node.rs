//! Channels and patterns, which one node of a cluster brings.
